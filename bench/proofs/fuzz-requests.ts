import { createHmac } from "node:crypto";
import { SECRET } from "../servers.ts";
import type { Random } from "./random.ts";

/** One request as it goes over the wire. */
export interface Fuzzed {
  readonly bytes: Buffer;
  /** As what its answer is read: an answer to HEAD has no body. */
  readonly method: string;
  /**
   * Its bytes say where it ends, so an answer must come. What was mutated byte by byte may be none or several requests,
   * or one that waits for more.
   */
  readonly framed: boolean;
  /** Set where nothing in it is wrong: the status that it must have. */
  readonly status: number | null;
}

/** What a request may name of the server that it goes to. */
export interface Facts {
  readonly epoch: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Of a hundred requests so many are mutated byte by byte; so many of the others have nothing wrong in them. */
const MUTATED = 20;
const SOUND = 50;

/** Of one message, by default. */
const MAX_DATA_BYTES = 64 * 1024;

const NAMES = [
  "news",
  "alerts",
  "a/b",
  "..",
  "100%",
  "room.1.chat",
  ...Array.from({ length: 40 }, (_, i) => `room.${i}`),
];
const PATTERNS = ["room.*", "**", "*.*", "room.**", "*.1.chat"];
const BAD_NAMES = [
  "",
  " ",
  "a b",
  "é",
  "a*",
  "**.a",
  "a.**.b",
  "x".repeat(201),
  "\u0000",
  "a\nb",
  "%",
  "\ud800",
  "x".repeat(5000),
];
const WORDS = [
  "hello",
  "",
  " ",
  "id: 1",
  "data: x\n\nevent: y",
  "é😀",
  "\u2028\ufeff",
  "\r\n\r\n",
  "null",
  "{}",
  "\\u0000",
  "-0",
  "1e400",
];
const NUMBERS = [
  "0",
  "1",
  "10",
  "1000",
  "1001",
  "-1",
  "1.5",
  "1e3",
  "",
  "x",
  "99999999999999999999",
  "0x10",
  " 1",
  "01",
  "+1",
  "NaN",
];
const SINCE = [
  "0",
  "1ms",
  "10m",
  "24h",
  "earliest",
  "yesterday",
  "2030-02-30T00:00:00Z",
  "2020-01-01T00:00:00Z",
  "999999999999999d",
  "10",
];
const METHODS = [
  "GET",
  "GET",
  "GET",
  "GET",
  "POST",
  "POST",
  "POST",
  "HEAD",
  "OPTIONS",
  "DELETE",
  "PUT",
  "PATCH",
  "PROPFIND",
  "TRACE",
];
const TYPES = [
  "application/json",
  "application/json; charset=utf-8",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "text/plain",
  ";",
  "application/json; charset=latin1",
];
const PATHS = [
  "/",
  "/healthz",
  "/readyz",
  "/nope",
  "/stream/",
  "//",
  "/channel",
  "/channel/",
  "/chat",
  "/%2e%2e/",
  "/channel/news/stream/x",
  "*",
  "?",
  "/?",
  "http://evil.example/healthz",
  "/healthz#x",
];
const USERS = ["ann", "bob", "ünal", "x".repeat(256)];

/** The request of that number: the same seed and number give the same one, but for what is the server's own. */
export function requestOf(random: Random, facts: Facts): Fuzzed {
  const maker = new Maker(random, facts);
  if (!maker.chance(MUTATED)) return maker.request(maker.chance(SOUND));
  const bytes = maker.mutated();
  return { bytes, method: bytes.includes("HEAD") ? "HEAD" : "GET", framed: false, status: null };
}

interface Plan {
  readonly method: string;
  readonly path: string;
  readonly query: readonly string[];
  readonly headers: readonly string[];
  readonly body: Buffer | null;
  readonly status: number | null;
}

class Maker {
  readonly #random: Random;
  readonly #facts: Facts;
  /** Of a hundred choices so many are bad ones. */
  #bad = 0;

  constructor(random: Random, facts: Facts) {
    this.#random = random;
    this.#facts = facts;
  }

  chance(percent: number): boolean {
    return this.#random.next() * 100 < percent;
  }

  request(sound: boolean): Fuzzed {
    this.#bad = sound ? 0 : this.#random.pick([2, 10, 40]);
    const plan = this.#plan();
    const method = this.chance(this.#bad / 4) ? this.#random.pick(METHODS) : plan.method;
    const status = sound && method === plan.method ? plan.status : null;
    return { bytes: this.#written({ ...plan, method }), method, framed: true, status };
  }

  #plan(): Plan {
    switch (this.#random.between(0, 7)) {
      case 0:
        return this.#batch();
      case 1:
        return this.#grant();
      case 2:
        return this.#read();
      case 3:
        return this.#other();
      case 4:
      case 5:
        return this.#stream();
      default:
        return this.#send();
    }
  }

  /** The bytes of a request, changed in places; or bytes of no request at all. */
  mutated(): Buffer {
    let bytes = this.request(this.chance(50)).bytes;
    if (this.chance(5)) bytes = this.#noise(this.#random.between(1, 2000));
    for (let i = this.#random.between(1, 4); i > 0; i--) bytes = this.#change(bytes);
    return bytes;
  }

  #change(bytes: Buffer): Buffer {
    const at = this.#random.between(0, bytes.length);
    const end = Math.min(bytes.length, at + this.#random.between(0, 30));
    const before = bytes.subarray(0, at);
    switch (this.#random.between(0, 6)) {
      case 0: // in the head, where it matters most
        return Buffer.concat([bytes.subarray(0, at % 200), this.#noise(1), bytes.subarray((at % 200) + 1)]);
      case 1:
        return Buffer.concat([before, this.#noise(this.#random.between(1, 20)), bytes.subarray(at)]);
      case 2:
        return Buffer.concat([before, bytes.subarray(end)]);
      case 3:
        return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
      case 4:
        return before;
      case 5:
        return Buffer.concat([
          before,
          Buffer.from(
            this.#random.pick([
              "\r\n",
              "\n",
              "\r",
              "\0",
              ":",
              " ",
              "%",
              "&",
              "\r\n\r\n",
              "Content-Length: 5\r\n",
              "Transfer-Encoding: chunked\r\n",
            ]),
          ),
          bytes.subarray(at),
        ]);
      default:
        return Buffer.concat([bytes, this.request(false).bytes]);
    }
  }

  #noise(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#random.between(0, 255)));
  }

  /** A good value, or now and then a bad one. */
  #one(good: readonly string[], bad: readonly string[]): string {
    return this.chance(this.#bad) ? this.#random.pick(bad) : this.#random.pick(good);
  }

  #name(): string {
    return this.#one(NAMES, BAD_NAMES);
  }

  #nameOrPattern(): string {
    return this.chance(30) ? this.#one(PATTERNS, BAD_NAMES) : this.#name();
  }

  #text(): string {
    if (this.chance(1)) return "x".repeat(this.#random.between(0, this.#bad === 0 ? 20_000 : 100_000));
    return Array.from({ length: this.#random.between(0, 4) }, () => this.#random.pick(WORDS)).join("");
  }

  /** JSON text of any value. */
  #value(depth = 0): string {
    if (depth > 5 || this.chance(60))
      return this.#random.pick([JSON.stringify(this.#text()), "12345678901234567890", "true", "null", " 1.50e-7 "]);
    const parts = Array.from(
      { length: this.#random.between(0, 4) },
      (_, i) => [`"k${i}"`, this.#value(depth + 1)] as const,
    );
    if (this.chance(50)) return `[${parts.map(([, value]) => value).join(" , ")}]`;
    return `{${parts.map((part) => part.join("\n:")).join(",")}}`;
  }

  #draft(): string {
    const event = this.chance(30)
      ? `,"event":${JSON.stringify(this.#one(["greeting", "é", "message"], ["socket:x", "error", "open", "", "a\nb", "\u0000"]))}`
      : "";
    const broken = this.chance(this.#bad)
      ? this.#random.pick([',"channel":1', ',"__proto__":{}', ",", '"', `,"x":${"[".repeat(200)}`])
      : "";
    const data = this.#value();
    const fits = this.#bad > 0 || data.length * 3 < MAX_DATA_BYTES;
    return `{"channel":${JSON.stringify(this.#name())},"data":${fits ? data : "null"}${event}${broken}}`;
  }

  #key(): string {
    const good = `key=${SECRET}`;
    return `Authorization: ${this.#one([good, good.replace("key=", "Bearer ")], ["", "key=", `key=${SECRET}x`, `Bearer ${this.#token()}`, "Basic eDp5", "key", SECRET.slice(3)])}`;
  }

  #token(): string {
    const exp =
      Math.floor(this.#facts.now / 1000) + this.#random.pick(this.#bad === 0 ? [36_000] : [36_000, -1, 1e9, 1e300]);
    const header = this.chance(this.#bad)
      ? { alg: this.#random.pick(["none", "HS512", "RS256", 1]), kid: this.#random.pick(["default", "x", null]) }
      : { alg: "HS256", kid: "default" };
    const claims = {
      channels: ["**"],
      aud: "service-socket",
      exp,
      sub: this.#random.pick(USERS),
      jti: `t${this.#random.between(0, 1e9)}`,
    };
    const signed = `${encode(header)}.${encode(this.chance(this.#bad) ? { ...claims, [this.#random.pick(Object.keys(claims))]: this.#random.pick([null, 1, [], {}, "x"]) } : claims)}`;
    const signature = createHmac("sha256", this.chance(this.#bad) ? "x" : SECRET)
      .update(signed)
      .digest("base64url");
    return `${signed}.${this.chance(this.#bad) ? signature.slice(this.#random.between(0, 43)) : signature}`;
  }

  #position(): string {
    const { epoch } = this.#facts;
    const seq = this.#random.pick([0, 1, this.#random.between(0, 100_000), this.#random.between(0, 1e15)]);
    return this.#one(
      [`${epoch}-${seq}`, `${epoch.slice(1)}z-${seq}`],
      ["x", "", "-1", `${epoch}-`, `${epoch}-01`, `${epoch}-99999999999999999`, "é", "x".repeat(2000)],
    );
  }

  #pair(name: string, value: string): string {
    const encoded = this.chance(this.#bad / 4)
      ? value.replaceAll(/[^!-~]/g, "%zz")
      : encodeURIComponent(value.toWellFormed());
    return this.chance(this.#bad / 4)
      ? this.#random.pick([name, `${name}=${encoded}&${name}=x`, `${name}=%ff`, `=${encoded}`, "&&&"])
      : `${name}=${encoded}`;
  }

  #send(): Plan {
    const headers = [
      this.#key(),
      ...(this.chance(20)
        ? [`Idempotency-Key: ${this.#one([`k${this.#random.between(0, 1e9)}`], ["", "a b", "é", "x".repeat(256)])}`]
        : []),
    ];
    const form = [this.#pair("channel", this.#name()), this.#pair("data", this.#text().slice(0, 2000))];
    switch (this.#random.between(0, 3)) {
      case 0:
        return { method: "POST", path: "/chat/send", query: form, headers, body: Buffer.alloc(0), status: 200 };
      case 1:
        return {
          method: "POST",
          path: "/chat/send",
          query: [],
          headers: [...headers, this.#type("application/x-www-form-urlencoded")],
          body: Buffer.from(form.join("&")),
          status: 200,
        };
      default:
        return {
          method: "POST",
          path: "/chat/send",
          query: [],
          headers: [...headers, this.#type("application/json")],
          body: Buffer.from(this.#draft()),
          status: 200,
        };
    }
  }

  #batch(): Plan {
    const drafts = Array.from({ length: this.#random.between(0, this.#bad === 0 ? 8 : 120) }, () =>
      this.chance(50) ? '{"channel":"news"}' : this.#draft(),
    );
    const text = this.chance(50) ? `[${drafts.join(",")}]` : `{"body":[${drafts.join(", ")}]}`;
    // single messages may be as large as the body alone
    const body = Buffer.from(this.#bad === 0 && text.length > 900_000 ? "[]" : text);
    return {
      method: "POST",
      path: "/chat/send-multi",
      query: [],
      headers: [this.#key(), this.#type("application/json")],
      body,
      status: 200,
    };
  }

  /** What makes, changes and ends grants. */
  #grant(): Plan {
    const token = JSON.stringify(this.#token());
    const [path, body, status] = this.#random.pick([
      [
        "/channel/subscribe",
        `{"channel":${JSON.stringify(this.#nameOrPattern())},"ttl":${this.#one(["1", "600"], NUMBERS)},"user":${JSON.stringify(this.#one(USERS, ["", "x".repeat(300)]))}}`,
        200,
      ],
      ["/channel/renew", `{"stream":${JSON.stringify(this.#one(["abc1"], BAD_NAMES))},"token":${token}}`, null],
      ["/channel/revoke", `{"user":${JSON.stringify(this.#one(["nobody"], BAD_NAMES))}}`, null],
      ["/channel/revoke", `{"token":${this.chance(50) ? token : '"t1000"'}}`, null],
      ["/channel/cookie", `{"token":${token}}`, null],
    ] as const);
    return {
      method: "POST",
      path,
      query: [],
      headers: [this.#key(), this.#type("application/json")],
      body: Buffer.from(body),
      status,
    };
  }

  #stream(): Plan {
    const query = this.chance(20) ? [this.#pair("format", this.#one(["envelope"], ["plain", ""]))] : [];
    if (this.chance(40))
      query.push(
        this.chance(50)
          ? this.#pair("last", this.#one(["0", "1", "20"], NUMBERS))
          : this.#pair("since", this.#one(SINCE.slice(0, 5), SINCE)),
      );
    else if (this.chance(30))
      query.push(this.#pair("last_event_id", this.#one([`${this.#facts.epoch}-1`], [this.#position()])));
    const headers = this.chance(30) ? [this.#key()] : [];
    if (headers.length === 0 && this.chance(50)) query.push(`token=${this.#token()}`);
    if (this.chance(30)) headers.push(`Last-Event-ID: ${this.#position()}`);
    if (this.chance(30))
      headers.push(
        this.#random.pick([
          "Accept: text/event-stream",
          "Origin: https://a.example",
          "Cookie: __Host-socket-default=x",
          "Cache-Control: no-cache",
        ]),
      );
    if (this.chance(50)) {
      const names = Array.from({ length: this.#random.between(1, this.#bad === 0 ? 5 : 60) }, () =>
        this.#pair("channel", this.#nameOrPattern()),
      );
      return {
        method: this.chance(10) ? "HEAD" : "GET",
        path: "/stream",
        query: [...names, ...query],
        headers,
        body: null,
        status: 200,
      };
    }
    return {
      method: this.chance(10) ? "HEAD" : "GET",
      path: `/channel/${this.#segment()}/stream`,
      query,
      headers,
      body: null,
      status: 200,
    };
  }

  #segment(): string {
    const name = this.#name();
    // `..` cannot stand in a path
    return name === ".."
      ? "news"
      : this.chance(this.#bad / 2)
        ? this.#random.pick(["%ff", "%00", "%zz", "%2e%2e", "a%0d%0ab", "é"])
        : encodeURIComponent(name.toWellFormed()) || "x";
  }

  #read(): Plan {
    const limit = this.chance(30) ? [this.#pair("limit", this.#one(["1", "20"], NUMBERS))] : [];
    const after = this.chance(30)
      ? [this.#pair("after", this.#one([`${this.#facts.epoch}-1`], [this.#position()]))]
      : [];
    const [path, query] = this.#random.pick([
      [`/channel/${this.#segment()}`, []],
      [`/channel/${this.#segment()}/history`, [...limit, ...after]],
      ["/channels", [...limit, ...(this.chance(50) ? [this.#pair("prefix", this.#name())] : [])]],
      ["/streams", this.chance(50) ? [this.#pair("channel", this.#name())] : []],
    ] as const);
    return { method: "GET", path, query, headers: [this.#key()], body: null, status: 200 };
  }

  #other(): Plan {
    const path = this.#random.pick(PATHS);
    return {
      method: this.#random.pick(METHODS),
      path,
      query: this.chance(30) ? [this.#pair(this.#text(), this.#text().slice(0, 500))] : [],
      headers: this.chance(50) ? [this.#key()] : [],
      body: this.chance(20) ? this.#noise(50) : null,
      status: null,
    };
  }

  #type(good: string): string {
    return `Content-Type: ${this.#one([good], TYPES)}`;
  }

  #written({ method, path, query, headers, body }: Plan): Buffer {
    const host = this.#one(["x", "localhost:3000", "events.example.com"], ["", "[", "a b", "x:99999", "a/b?c"]);
    const target = query.length === 0 ? path : `${path}?${query.join("&")}`;
    const lines = [`${method} ${target} HTTP/1.${this.chance(this.#bad / 4) ? 0 : 1}`, `Host: ${host}`, ...headers];
    if (this.chance(this.#bad))
      lines.push(
        this.#random.pick([
          "X-Forwarded-For: 1.2.3.4, x",
          "X-Forwarded-Host: evil.example",
          "Connection: close",
          "Content-Encoding: gzip",
          "Expect: 100-continue",
          `X-Long: ${"x".repeat(17_000)}`,
          "Upgrade: websocket\r\nConnection: Upgrade",
          "Range: bytes=0-1",
          "Accept: */*",
          "TE: trailers",
        ]),
      );
    if (body === null) return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    if (this.chance(80))
      return Buffer.concat([
        Buffer.from(`${lines.join("\r\n")}\r\nContent-Length: ${body.length}\r\n\r\n`, "latin1"),
        body,
      ]);
    const chunks: Buffer[] = [Buffer.from(`${lines.join("\r\n")}\r\nTransfer-Encoding: chunked\r\n\r\n`, "latin1")];
    for (let at = 0; at < body.length;) {
      const chunk = body.subarray(at, at + this.#random.between(1, 5000));
      chunks.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
      at += chunk.length;
    }
    return Buffer.concat([...chunks, Buffer.from("0\r\n\r\n")]);
  }
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
