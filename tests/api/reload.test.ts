import { renameSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type Gateway, startGateway } from "../setup/gateway.ts";
import { listen } from "./listening.ts";
import { claims, sign } from "./tokens.ts";

const NEW = "secret-of-the-shop-that-is-the-new-one";
const OLD = "secret-of-the-shop-that-is-rotated-out";
const BLOG = "secret-of-the-blog-in-these-tests-1";
const GONE = "secret-of-an-app-that-is-taken-away-1";
const TIMEOUT_MS = 60_000;

let folder: string;
let config: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "service-socket-reload-"));
  config = join(folder, "conf.json");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Replaces the settings file as an editor or a renewal does: another file takes its name. */
function configure(apps: readonly object[], node: object = {}): void {
  writeFileSync(`${config}.new`, JSON.stringify({ ...node, apps }), { mode: 0o600 });
  renameSync(`${config}.new`, config);
}

const start = (settings: Record<string, string> = {}) =>
  startGateway({ settings: { SOCKET_CONFIG: config, SOCKET_BROKER: "memory:", SOCKET_HEARTBEAT: "0", ...settings } });

/** Counts the times that it was said. */
const said = (gateway: Gateway, text: string) => gateway.output.split(text).length - 1;

async function statusOf(gateway: Gateway, secret: string): Promise<number> {
  const headers = { Authorization: `key=${secret}` };
  return (await fetch(`${gateway.url}/channels`, { headers })).status;
}

/** A stream, read as text from a connection of its own. */
class Stream {
  text = "";
  ended = false;
  readonly #changed: { wake: () => void } = { wake: () => undefined };
  readonly #connection: ReturnType<typeof connect>;

  constructor(gateway: Gateway, path: string, authorization?: string) {
    const header = authorization === undefined ? "" : `Authorization: ${authorization}\r\n`;
    this.#connection = connect(gateway.port, "127.0.0.1");
    this.#connection.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${header}\r\n`);
    this.#connection.setEncoding("utf8");
    this.#connection.on("data", (part: string) => {
      this.text += part;
      this.#changed.wake();
    });
    this.#connection.on("close", () => {
      this.ended = true;
      this.#changed.wake();
    });
    this.#connection.on("error", () => undefined);
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      if (this.ended) throw new Error(`The stream ended:\n${this.text}`);
      await new Promise<void>((resolve) => (this.#changed.wake = resolve));
    }
  }

  has(text: string): Promise<void> {
    return this.until(() => this.text.includes(text));
  }

  close(): void {
    this.#connection.destroy();
  }
}

const tokenOf = (secret: string, i: number, app = "shop") =>
  sign({ ...claims(["orders"], Date.now(), 600), jti: String(i) }, secret, { alg: "HS256", kid: app });

test(
  "secrets are rotated under 1,000 streams: those whose grant stands go on uncut, the others end with `revoked`",
  async () => {
    const [shop, blog] = [
      { id: "shop", public_channels: ["stays", "goes"] },
      { id: "blog", secrets: [BLOG] },
    ];
    configure([{ ...shop, secrets: [NEW, OLD] }, blog, { id: "gone", secrets: [GONE] }]);
    await using gateway = await start();
    const kinds: readonly [lasts: boolean, count: number, open: (i: number) => Stream][] = [
      [true, 300, (i) => new Stream(gateway, `/stream?channel=orders&token=${tokenOf(NEW, i)}`)],
      [false, 300, (i) => new Stream(gateway, `/stream?channel=orders&token=${tokenOf(OLD, i)}`)],
      [true, 50, () => new Stream(gateway, "/stream?channel=orders", `key=${NEW}`)],
      [false, 50, () => new Stream(gateway, "/stream?channel=orders", `key=${OLD}`)],
      [true, 100, () => new Stream(gateway, "/stream?channel=stays&app=shop")],
      [false, 50, () => new Stream(gateway, "/stream?channel=stays&channel=goes&app=shop")],
      [false, 50, (i) => new Stream(gateway, `/stream?channel=orders&channel=goes&token=${tokenOf(NEW, i)}`)],
      [true, 50, (i) => new Stream(gateway, `/stream?channel=orders&token=${tokenOf(BLOG, i, "blog")}`)],
      [false, 50, (i) => new Stream(gateway, `/stream?channel=orders&token=${tokenOf(GONE, i, "gone")}`)],
    ];
    const streams = kinds.flatMap(([lasts, count, open]) =>
      Array.from({ length: count }, (_, i) => ({ lasts, stream: open(i) })),
    );
    try {
      expect(streams).toHaveLength(1000);
      await Promise.all(streams.map(({ stream }) => stream.has("socket:live")));
      configure([{ ...shop, secrets: [NEW], public_channels: ["stays"] }, blog]);
      gateway.signal("SIGHUP");
      await gateway.wrote("settings were reloaded");
      expect(gateway.output).toContain('"apps":2,"ended":500');
      for (const secret of [NEW, BLOG]) {
        for (const channel of ["orders", "stays"]) {
          const headers = { Authorization: `key=${secret}` };
          const sent = await fetch(`${gateway.url}/chat/send?channel=${channel}&data=after`, {
            method: "POST",
            headers,
          });
          expect(sent.status).toBe(200);
        }
      }
      const close = 'event: socket:close\ndata: {"reason":"revoked","reconnect":false}\n\n';
      await Promise.all(streams.map(({ lasts, stream }) => stream.has(lasts ? "data: after\n" : close)));
      for (const { lasts, stream } of streams) {
        if (lasts) expect([stream.ended, stream.text.includes("socket:close")]).toEqual([false, false]);
        else expect(stream.text).not.toContain("after");
      }
      expect(await Promise.all([NEW, OLD, BLOG, GONE].map((secret) => statusOf(gateway, secret)))).toEqual([
        200, 401, 200, 401,
      ]);
    } finally {
      for (const { stream } of streams) stream.close();
    }
  },
  TIMEOUT_MS,
);

describe("a reload", () => {
  test("follows a changed file without a signal, and takes new limits", async () => {
    configure([{ id: "shop", secrets: [NEW] }]);
    await using gateway = await start();
    configure(
      [
        { id: "shop", secrets: [NEW], max_data_bytes: 3 },
        { id: "blog", secrets: [BLOG] },
      ],
      { max_batch: 1 },
    );
    await gateway.wrote("settings were reloaded");
    expect(await statusOf(gateway, BLOG)).toBe(200);
    const headers = { Authorization: `key=${NEW}` };
    const sent = await fetch(`${gateway.url}/chat/send?channel=a&data=long`, { method: "POST", headers });
    expect(sent.status).toBe(413);
    expect(said(gateway, "settings were reloaded")).toBe(1);
  });

  test("of a bad file changes nothing, and says why in one line that holds nothing of the file", async () => {
    configure([{ id: "shop", secrets: [NEW] }]);
    await using gateway = await start();
    await using stream = await (
      await listen(`${gateway.url}/stream?channel=a`, { authorization: `key=${NEW}` })
    ).live();
    for (const [text, reason] of [
      [`{"apps":[{"id":"shop","secrets":["${OLD}`, "conf.json is not JSON"],
      [JSON.stringify({ apps: [{ id: "shop", secrets: [OLD, "short"] }] }), "apps[0].secrets in"],
      [
        JSON.stringify({
          apps: [
            { id: "a", secrets: [OLD] },
            { id: "b", secrets: [OLD] },
          ],
        }),
        "have the same secret",
      ],
      [JSON.stringify({ apps: [], [OLD]: 1 }), "there is no such setting"],
    ] as const) {
      const before = gateway.output;
      writeFileSync(config, text);
      gateway.signal("SIGHUP");
      await gateway.wrote(reason);
      const lines = gateway.output.slice(before.length).trim().split("\n");
      expect(lines).toHaveLength(1);
      expect(JSON.parse(lines[0]!)).toMatchObject({
        level: 50,
        msg: expect.stringContaining("the settings stay as they were: "),
      });
      expect(await statusOf(gateway, NEW)).toBe(200);
      expect(await statusOf(gateway, OLD)).toBe(401);
    }
    expect(gateway.output).not.toContain("short");
    expect(stream.ended).toBe(false);
    configure([{ id: "shop", secrets: [OLD] }]);
    gateway.signal("SIGHUP");
    expect(await stream.told("close")).toMatchObject({ reason: "revoked" });
  });

  test("tells in one line what takes a restart, and leaves it as it was", async () => {
    configure([{ id: "shop", secrets: [NEW] }]);
    await using gateway = await start();
    const node = { stall: "1s", trusted_proxies: ["10.0.0.1"], port: 1, max_body_bytes: 20 };
    configure([{ id: "shop", secrets: [NEW] }], node);
    gateway.signal("SIGHUP");
    await gateway.wrote("settings were reloaded");
    const lines = gateway.output.split("\n").filter((line) => line.includes("a restart is needed"));
    // Not the port: a variable sets it, whatever the file says.
    const message = "a restart is needed for what was changed of SOCKET_TRUSTED_PROXIES, SOCKET_STALL";
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ level: 40, msg: message }),
    ]);
    const headers = { Authorization: `key=${NEW}`, "Content-Type": "application/json" };
    const body = JSON.stringify({ channel: "a", data: "long" });
    expect((await fetch(`${gateway.url}/chat/send`, { method: "POST", headers, body })).status).toBe(413);
  });

  test("takes the secrets of a changed secret file, and none for one that is gone", async () => {
    const file = join(folder, "secret");
    writeFileSync(file, OLD, { mode: 0o600 });
    configure([{ id: "shop", secret_file: file }]);
    await using gateway = await start();
    await rm(file);
    gateway.signal("SIGHUP");
    await gateway.wrote(`${file}: there is no such file`);
    expect(await statusOf(gateway, OLD)).toBe(200);
    writeFileSync(file, NEW, { mode: 0o600 });
    await gateway.wrote("settings were reloaded"); // without a signal
    expect(await Promise.all([NEW, OLD].map((secret) => statusOf(gateway, secret)))).toEqual([200, 401]);
  });
});
