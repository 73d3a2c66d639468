import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { makeCertificate } from "../setup/certificate.ts";
import { type Gateway, startGateway } from "../setup/gateway.ts";
import { Http2Connection } from "../setup/http2.ts";

/** What a connection over HTTP/2 can ask for that costs the server more than the one who asks. */

let folder: string;
let gateway: Gateway;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "service-socket-http2-"));
  const { cert, key } = makeCertificate("localhost");
  const settings = { SOCKET_TLS_CERT: join(folder, "cert.pem"), SOCKET_TLS_KEY: join(folder, "key.pem") };
  await writeFile(settings.SOCKET_TLS_CERT, cert);
  await writeFile(settings.SOCKET_TLS_KEY, key);
  const quiet = { SOCKET_BROKER: "memory:", SOCKET_HEARTBEAT: "0", SOCKET_STALL: "1s" };
  gateway = await startGateway({ settings: { ...settings, ...quiet } });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION] = [0, 1, 3, 4, 6, 8, 9];
const END_STREAM = 1;
const END_HEADERS = 4;
const CANCEL = Buffer.from([0, 0, 0, 8]);

/** RFC 9113 4.1. */
function frame(type: number, flags: number, stream: number, content: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(content.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, content]);
}

/** A field of the static table with a value of its own, not indexed (RFC 7541 6.2.2); shorter than 127 bytes. */
const field = (index: number, value: string) => Buffer.concat([Buffer.from([index, value.length]), Buffer.from(value)]);

/** `GET` of https://localhost with this path (RFC 7541 appendix A). */
function get(stream: number, path: string, flags = END_STREAM | END_HEADERS): Buffer {
  const fields = [Buffer.from([0x82, 0x87]), field(4, path), field(1, "localhost")];
  const secret = Buffer.concat([Buffer.from([0x0f, 0x08]), field(0, `key=${gateway.secret}`).subarray(1)]);
  return frame(HEADERS, flags, stream, Buffer.concat([...fields, secret]));
}

function setting(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt32BE(value, 2);
  return bytes;
}

function windowUpdate(by: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(by);
  return frame(WINDOW_UPDATE, 0, 0, bytes);
}

/** A connection that sends what it is given, and whether it was closed. */
class Raw implements Disposable {
  readonly socket: TLSSocket;
  readonly closed: Promise<void>;
  isClosed = false;

  constructor(settings: Uint8Array = Buffer.alloc(0)) {
    const options = { port: gateway.port, host: "127.0.0.1", ALPNProtocols: ["h2"], rejectUnauthorized: false };
    this.socket = connect(options);
    this.socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => {
      this.socket.on("close", () => {
        this.isClosed = true;
        resolve();
      });
    });
    this.socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    this.socket.write(frame(SETTINGS, 0, 0, settings));
  }

  /** Resolves when it is written or the connection has been closed. */
  send(...frames: readonly Uint8Array[]): Promise<unknown> {
    return Promise.race([new Promise((resolve) => this.socket.write(Buffer.concat(frames), resolve)), this.closed]);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

const SECRET = () => ({ authorization: `key=${gateway.secret}` });

/** Others are served, on a connection of their own. */
async function serves(): Promise<void> {
  using connection = new Http2Connection(gateway.url);
  const { stream } = await connection.open("/channel/others/stream", SECRET());
  await stream.has("socket:live");
  await publish("others", "served");
  await stream.has("data: served\n");
}

async function publish(channel: string, data: string): Promise<void> {
  const options = { method: "POST", headers: SECRET(), body: new URLSearchParams({ channel, data }) };
  const sent = await fetch(`${gateway.url}/chat/send`, { ...options, tls: { rejectUnauthorized: false } });
  expect(sent.status).toBe(200);
}

async function listened(channel: string, streams: number): Promise<void> {
  for (;;) {
    const options = { headers: SECRET(), tls: { rejectUnauthorized: false } };
    const answer = await fetch(`${gateway.url}/channel/${channel}`, options);
    const { data } = (await answer.json()) as { data: { subscribers: number } };
    if (data.subscribers === streams) return;
  }
}

test("rapid reset (CVE-2023-44487): streams that are opened and reset at once leave nothing behind", async () => {
  using raw = new Raw();
  raw.socket.resume();
  for (let i = 0; i < 50; i++) {
    const pairs = Array.from({ length: 100 }, (_, j) => {
      const id = 1 + 2 * (i * 100 + j);
      return Buffer.concat([get(id, "/channel/reset/stream"), frame(RST_STREAM, 0, id, CANCEL)]);
    });
    await raw.send(...pairs);
  }
  await serves();
  await listened("reset", 0);
});

test("more streams at once than the server allows (256) are refused, and the others go on", async () => {
  using raw = new Raw();
  raw.socket.resume();
  await raw.send(...Array.from({ length: 400 }, (_, i) => get(1 + 2 * i, "/channel/many/stream")));
  await listened("many", 256);
  await serves();
  raw.socket.destroy();
  await listened("many", 0);
});

test("headers without an end (CVE-2024-27316): the connection is closed", async () => {
  using raw = new Raw();
  raw.socket.resume();
  await raw.send(get(1, "/healthz", 0));
  const name = Buffer.concat([
    Buffer.from([0]),
    Buffer.from([1]),
    Buffer.from("x"),
    Buffer.from([1]),
    Buffer.from("y"),
  ]);
  const fields = Buffer.concat(Array.from({ length: 100 }, () => name));
  for (let i = 0; i < 100 && !raw.isClosed; i++) await raw.send(frame(CONTINUATION, 0, 1, fields));
  await raw.closed;
  await serves();
}, 20_000);

test.each([
  ["settings", () => frame(SETTINGS, 0, 0, setting(4, 65_535))],
  ["pings", () => frame(PING, 0, 0, Buffer.alloc(8))],
  ["empty data", () => frame(DATA, 0, 1)],
] as const)("a flood of %s whose answers are not read is bounded", async (_name, one) => {
  using raw = new Raw();
  raw.socket.pause();
  await raw.send(get(1, "/channel/flood/stream"));
  const flood = Buffer.concat(Array.from({ length: 1000 }, one));
  const before = rssMiB(gateway.pid);
  for (let i = 0; i < 300 && !raw.isClosed; i++) {
    await Promise.race([raw.send(flood), serves()]);
  }
  await serves();
  expect(rssMiB(gateway.pid) - before).toBeLessThan(64);
});

test("windows of 2 GiB that are not read: streams are held to the kernel's buffer, and cut", async () => {
  using raw = new Raw(setting(4, 0x7fffffff));
  await raw.send(
    windowUpdate(0x7fff0000 - 65_535),
    ...Array.from({ length: 100 }, (_, i) => get(1 + 2 * i, "/channel/window/stream")),
  );
  raw.socket.pause();
  await listened("window", 100);
  const before = rssMiB(gateway.pid);
  const large = "x".repeat(60_000);
  for (let i = 0; i < 40; i++) await publish("window", large);
  expect(rssMiB(gateway.pid) - before).toBeLessThan(128); // of 240 MB that were published to them
  await listened("window", 0);
  await serves();
}, 20_000);

/** 0 where the system does not tell. */
function rssMiB(pid: number): number {
  if (process.platform !== "linux") return 0;
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}
