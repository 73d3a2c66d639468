import { renameSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { makeCertificate, type Pair, shownName } from "../setup/certificate.ts";
import { freePort, type Gateway, startGateway } from "../setup/gateway.ts";
import { Http2Connection } from "../setup/http2.ts";

let folder: string;
let files: { SOCKET_TLS_CERT: string; SOCKET_TLS_KEY: string };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "service-socket-tls-"));
  files = { SOCKET_TLS_CERT: join(folder, "cert.pem"), SOCKET_TLS_KEY: join(folder, "key.pem") };
  install(makeCertificate("first"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** As a renewal does: other files take the names. */
function install({ cert, key }: Pair): void {
  for (const [path, text] of [
    [files.SOCKET_TLS_CERT, cert],
    [files.SOCKET_TLS_KEY, key],
  ] as const) {
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

const start = (settings: Record<string, string> = {}) =>
  startGateway({ settings: { ...files, SOCKET_BROKER: "memory:", SOCKET_HEARTBEAT: "0", ...settings } });

const key = (gateway: Gateway) => ({ authorization: `key=${gateway.secret}` });
const TLS = { rejectUnauthorized: false };

async function publish(gateway: Gateway, data: string, channel = "news"): Promise<void> {
  const body = new URLSearchParams({ channel, data });
  const sent = await fetch(`${gateway.url}/chat/send`, { method: "POST", headers: key(gateway), body, tls: TLS });
  expect(sent.status).toBe(200);
}

/** Resolves once so many streams listen. */
async function listened(gateway: Gateway, streams: number): Promise<void> {
  for (;;) {
    const answer = await fetch(`${gateway.url}/channel/news`, { headers: key(gateway), tls: TLS });
    const { data } = (await answer.json()) as { data: { subscribers: number } };
    if (data.subscribers === streams) return;
  }
}

const PATH = "/channel/news/stream";

describe("over HTTP/2", () => {
  test("200 streams of one connection are sent each message, and each leaves alone or with its connection", async () => {
    await using gateway = await start();
    using connection = new Http2Connection(gateway.url);
    const opened = await Promise.all(Array.from({ length: 200 }, () => connection.open(PATH, key(gateway))));
    const streams = opened.map(({ stream }) => stream);
    await Promise.all(streams.map((stream) => stream.has("socket:live")));
    await publish(gateway, "to all");
    await Promise.all(streams.map((stream) => stream.has("data: to all\n")));
    for (const stream of streams.slice(0, 150)) stream.reset();
    await listened(gateway, 50);
    await publish(gateway, "to the rest");
    await Promise.all(streams.slice(150).map((stream) => stream.has("data: to the rest\n")));
    connection.session.destroy();
    await listened(gateway, 0);
  });

  test("no header of the connection is sent, which HTTP/2 forbids; over HTTP/1.1 it closes after the stream", async () => {
    await using gateway = await start();
    using connection = new Http2Connection(gateway.url);
    const { headers } = await connection.open(PATH, key(gateway));
    expect(headers).toMatchObject({ ":status": 200, "content-type": "text/event-stream" });
    expect(Object.keys(headers)).not.toContain("connection");
    const abort = new AbortController();
    const options = { headers: key(gateway), tls: TLS, signal: abort.signal, protocol: "http1.1" } as const;
    const older = await fetch(`${gateway.url}${PATH}`, options);
    expect(older.headers.get("Connection")).toBe("close");
    abort.abort();
  });

  test("HEAD answers as GET and opens nothing", async () => {
    await using gateway = await start();
    using connection = new Http2Connection(gateway.url);
    const { headers, stream } = await connection.open(PATH, { ...key(gateway), ":method": "HEAD" });
    expect(headers).toMatchObject({ ":status": 200, "content-type": "text/event-stream" });
    expect([await stream.closed(), stream.text]).toEqual([0, ""]);
    await listened(gateway, 0);
  });

  test("a reader that takes no data is cut alone; the other streams of its connection go on", async () => {
    await using gateway = await start({ SOCKET_STALL: "1s" });
    using connection = new Http2Connection(gateway.url);
    const { stream: stalled } = await connection.open(PATH, key(gateway));
    const { stream } = await connection.open(PATH, key(gateway));
    await Promise.all([stalled.has("socket:live"), stream.has("socket:live")]);
    stalled.pause();
    const large = "x".repeat(60_000);
    for (let i = 0; i < 12; i++) await publish(gateway, `${large}${i}.`);
    await stream.has(`${large}11.`);
    await listened(gateway, 1);
    await publish(gateway, "on");
    await stream.has("data: on\n");
    expect(stream.closedWith).toBeNull();
  });

  test("addresses from `subscribe` are https, and the app's limit counts streams, not connections", async () => {
    await using gateway = await start({ SOCKET_MAX_STREAMS_PER_APP: "3" });
    const body = new URLSearchParams({ channel: "news" });
    const options = { method: "POST", headers: key(gateway), body, tls: TLS };
    const { data } = (await (await fetch(`${gateway.url}/channel/subscribe`, options)).json()) as {
      data: { url: string };
    };
    expect(data.url).toStartWith(`${gateway.url}${PATH}?token=`);
    using connection = new Http2Connection(gateway.url);
    for (let i = 0; i < 3; i++) await (await connection.open(PATH, key(gateway))).stream.has("socket:live");
    expect((await connection.open(PATH, key(gateway))).headers).toMatchObject({ ":status": 429 });
  });
});

test("a drain tells the streams of a connection, and closes it without an error", async () => {
  await using gateway = await start({ SOCKET_DRAIN: "200ms" });
  using connection = new Http2Connection(gateway.url);
  const { stream } = await connection.open(PATH, key(gateway));
  await stream.has("socket:live");
  expect(await gateway.stop()).toBe(0);
  await connection.closed;
  expect([stream.closedWith, stream.text.includes('"reason":"drain"')]).toEqual([0, true]);
});

describe("a renewed certificate", () => {
  test("is shown to new connections without a signal, and cuts nothing; the connection that is open serves on", async () => {
    await using gateway = await start();
    using connection = new Http2Connection(gateway.url);
    const { stream } = await connection.open(PATH, key(gateway));
    await stream.has("socket:live");
    expect(await shownName(gateway)).toBe("first");
    for (const name of ["second", "third"]) {
      const said = gateway.output.length;
      install(makeCertificate(name));
      while (!gateway.output.slice(said).includes("the certificate was renewed")) await gateway.wroteMore();
      expect(await shownName(gateway)).toBe(name);
      await publish(gateway, name);
      await stream.has(`data: ${name}\n`);
      const { stream: further } = await connection.open(PATH, key(gateway));
      await further.has("socket:live");
    }
    using fresh = new Http2Connection(gateway.url);
    await (await fresh.open(PATH, key(gateway))).stream.has("socket:live");
    await publish(gateway, "to both");
    await stream.has("data: to both\n");
  }, 20_000);

  test("loses no connection that comes while it is put in", async () => {
    await using gateway = await start();
    const over = new AbortController();
    let answered = 0;
    const asking = Array.from({ length: 4 }, async () => {
      while (!over.signal.aborted) {
        await shownName(gateway); // a connection of its own; rejects when it is refused or reset
        answered += 1;
      }
    });
    for (let i = 0; i < 10; i++) {
      const said = gateway.output.length;
      install(makeCertificate(`c${i}`));
      gateway.signal("SIGHUP");
      while (!gateway.output.slice(said).includes("the certificate was renewed")) await gateway.wroteMore();
    }
    over.abort();
    await Promise.all(asking);
    expect(answered).toBeGreaterThan(10);
  }, 20_000);

  test("that is bad is one line in the log, and the old one stays", async () => {
    await using gateway = await start();
    const [first, other] = [makeCertificate("bad"), makeCertificate("other")];
    for (const [bad, reason] of [
      [{ cert: "nothing", key: first.key }, "takes a certificate in PEM"],
      [{ cert: first.cert, key: "nothing" }, "takes a private key in PEM"],
      [{ cert: first.cert, key: other.key }, "the key is not that of the certificate"],
      [{ cert: first.cert.slice(0, 100), key: first.key }, "takes a certificate in PEM"],
    ] as const) {
      const said = gateway.output.length;
      install(bad);
      gateway.signal("SIGHUP");
      while (!gateway.output.slice(said).includes("settings were reloaded")) await gateway.wroteMore();
      const lines = gateway.output.slice(said).trim().split("\n");
      expect(lines).toHaveLength(2);
      expect(JSON.parse(lines[0]!)).toMatchObject({ level: 40, msg: expect.stringContaining(reason) });
      expect(await shownName(gateway)).toBe("first");
    }
  });
});

describe("a start ends with one line", () => {
  test.each([
    ["no certificate", () => ({ cert: "nothing", key: makeCertificate("a").key }), "takes a certificate in PEM"],
    ["no key", () => ({ cert: makeCertificate("a").cert, key: "nothing" }), "takes a private key in PEM"],
    ["another's key", () => ({ cert: makeCertificate("a").cert, key: makeCertificate("b").key }), "is not that of"],
    ["no file", null, "the file cannot be read (ENOENT)"],
  ] as const)("for %s", async (_name, make, reason) => {
    if (make === null) await rm(files.SOCKET_TLS_KEY);
    else install(make());
    const child = Bun.spawn([process.execPath, "src/main.ts"], {
      cwd: join(import.meta.dir, "..", ".."),
      env: { ...files, PATH: process.env["PATH"] ?? "", PORT: String(freePort()), SOCKET_DATA: join(folder, "data") },
      stdout: "ignore",
      stderr: "pipe",
    });
    expect(await child.exited).toBe(78);
    const said = await new Response(child.stderr).text();
    expect(said).toStartWith("service-socket: ");
    expect(said).toContain(reason);
    expect(said.trim().split("\n")).toHaveLength(1);
  });
});
