import { BlockList, isIP } from "node:net";
import { ApiError } from "../core/errors.ts";

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
   * Where a request comes from, as limits count it: its IPv4 address, or the /64 network of its IPv6 address, since one
   * host has all addresses of that (RFC 4291 2.5.4, RFC 6177).
   *
   * The address is the peer's, or, where the peer is a trusted proxy, the nearest one of `X-Forwarded-For` that is none.
   * Further to the left anything may stand: the sender itself could have sent it.
   */
  network(peer: string, headers: Headers): string {
    let address = plain(peer);
    const forwarded = headers.get("x-forwarded-for")?.split(",") ?? [];
    while (forwarded.length > 0 && this.#trusts(address)) {
      const next = plain(forwarded.pop()!.trim());
      if (isIP(next) === 0) break;
      address = next;
    }
    return networkOf(address);
  }

  /**
   * The address that users see, without a slash at its end. Throws ApiError `bad_request` where nothing tells it: the
   * `Host` header is missing (HTTP/1.0) or is none.
   */
  base(peer: string, request: Request): string {
    if (this.#publicUrl !== null) return this.#publicUrl;
    const own = URL.parse(request.url);
    const address = this.#trusts(plain(peer)) ? forwarded(request.headers, own) : own;
    if (address !== null) return address.origin;
    throw new ApiError(
      "bad_request",
      "The request needs a valid `Host` header, from which the stream's address is made.",
    );
  }

  #trusts(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.#trusted.check(address, family === 6 ? "ipv6" : "ipv4");
  }
}

function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = "", tail] = address.split("%")[0]!.split("::");
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.replace(DOTTED, "0:0").split(":");
  const zeros = Array<string>(Math.max(0, 8 - groups.length - rest.length)).fill("0");
  const first = tail === undefined ? groups : [...groups, ...zeros, ...rest];
  return `${first
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}

/** The last two groups may be written as an IPv4 address (RFC 4291 2.2). */
const DOTTED = /\d+\.\d+\.\d+\.\d+$/;

/** What the proxy says of the address, and of the rest what the request itself says. */
function forwarded(headers: Headers, own: URL | null): URL | null {
  const scheme = first(headers.get("x-forwarded-proto"));
  const name = first(headers.get("x-forwarded-host")) || own?.host;
  if (name === undefined) return null;
  return URL.parse(`${/^https?$/.test(scheme) ? scheme : "http"}://${name}`) ?? own;
}

function first(list: string | null): string {
  return list?.split(",")[0]?.trim() ?? "";
}

/** An IPv4 address that comes by an IPv6 listener is written `::ffff:192.0.2.1`; others may write it in other ways. */
function plain(address: string): string {
  const [, dotted, high, low] = MAPPED.exec(address) ?? [];
  if (dotted !== undefined) return dotted;
  if (high === undefined || low === undefined) return address;
  const bits = [high, low].map((group) => Number.parseInt(group, 16));
  return bits.flatMap((group) => [group >> 8, group & 255]).join(".");
}

const MAPPED = /^(?:::|(?:0+:){5})ffff:(?:([0-9.]+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i;
