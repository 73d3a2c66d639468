import { BlockList, isIP } from "node:net";

/** Who a request comes from and which address its sender sees, given the proxies whose `X-Forwarded-*` counts. */
export class Addresses {
  readonly #trusted = new BlockList();
  readonly #publicUrl: string | null;

  /** `proxies` are IP addresses and networks such as `10.0.0.0/8`. */
  constructor(publicUrl: string | null, proxies: readonly string[]) {
    this.#publicUrl = publicUrl;
    for (const proxy of proxies) {
      const [address = "", prefix] = proxy.split("/");
      const family = isIP(address) === 6 ? "ipv6" : "ipv4";
      if (prefix === undefined) this.#trusted.addAddress(address, family);
      else this.#trusted.addSubnet(address, Number(prefix), family);
    }
  }

  /**
   * The IP address of the listener: the peer, or, where the peer is a trusted proxy, the nearest address of
   * `X-Forwarded-For` that is none. Further to the left anything may stand: the listener itself could have sent it.
   */
  client(peer: string, headers: Headers): string {
    let address = plain(peer);
    const forwarded = headers.get("x-forwarded-for")?.split(",") ?? [];
    while (forwarded.length > 0 && this.#trusts(address)) {
      const next = plain(forwarded.pop()!.trim());
      if (isIP(next) === 0) break;
      address = next;
    }
    return address;
  }

  /** The address that users see, without a slash at its end. */
  base(peer: string, request: Request): string {
    if (this.#publicUrl !== null) return this.#publicUrl;
    const { protocol, host } = new URL(request.url);
    if (!this.#trusts(plain(peer))) return `${protocol}//${host}`;
    const scheme = first(request.headers.get("x-forwarded-proto"));
    const name = first(request.headers.get("x-forwarded-host"));
    const url = URL.parse(`${/^https?$/.test(scheme) ? scheme : protocol.slice(0, -1)}://${name === "" ? host : name}`);
    return url?.origin ?? `${protocol}//${host}`;
  }

  #trusts(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.#trusted.check(address, family === 6 ? "ipv6" : "ipv4");
  }
}

function first(list: string | null): string {
  return list?.split(",")[0]?.trim() ?? "";
}

/** An IPv4 address that comes by an IPv6 listener is written `::ffff:192.0.2.1`. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}
