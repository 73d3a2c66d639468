import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Command, run, secretOf } from "../setup/command.ts";
import { freePort, type Gateway, startGateway } from "../setup/gateway.ts";

setDefaultTimeout(60_000);

let gateway: Gateway;
let env: Record<string, string>;
beforeAll(async () => {
  gateway = await startGateway();
  env = secretOf(gateway);
});
afterAll(async () => gateway[Symbol.asyncDispose]());

interface Kept {
  readonly event: string;
  readonly data: string;
  readonly id: string;
}

/** What the channel holds, at most 1,000 messages. */
async function kept(channel: string, of = gateway): Promise<readonly Kept[]> {
  const headers = { Authorization: `key=${of.secret}` };
  const response = await fetch(`${of.url}/channel/${channel}/history?limit=1000`, { headers });
  return ((await response.json()) as { data: { messages: Kept[] } }).data.messages;
}

function lines(count: number, from = 1): string {
  return Array.from({ length: count }, (_, i) => `line ${from + i}\n`).join("");
}

describe.concurrent("service-socket send", () => {
  test("publishes one message and prints its id", async () => {
    const { code, out, err } = await run(["send", "one", "hello", "--event", "greeting", "--url", gateway.url], {
      env,
    });
    const [message] = await kept("one");
    expect([code, out, err]).toEqual([0, `${message!.id}\n`, ""]);
    expect(message).toMatchObject({ event: "greeting", data: "hello" });
  });

  test("publishes standard input, one message a line, in its order", async () => {
    const input = `${lines(998)}\r\nno line end, but ü`;
    const { code, out } = await run(["send", "lines", "--url", gateway.url], { env, input });
    const messages = await kept("lines");
    expect(messages.map(({ data }) => data)).toEqual(input.replace("\r", "").split("\n"));
    expect([code, out]).toEqual([0, `1,000 messages sent, the last is ${messages.at(-1)!.id}\n`]);
  });

  test("a line that comes alone is sent at once", async () => {
    await using sender = new Command(["send", "tail", "--json", "--url", gateway.url], { env, input: "first\n" });
    await sender.says('"channel":"tail"');
    expect(await kept("tail")).toHaveLength(1);
    sender.write("second\n");
    sender.endInput();
    expect(await sender.exit()).toBe(0);
    const ids = (await kept("tail")).map(({ id }) => id);
    expect(sender.out).toBe(ids.map((id) => `{"id":"${id}","channel":"tail","subscribers":0}\n`).join(""));
  });

  test("says which line is refused, and what was sent before it", async () => {
    const input = `${lines(150)}${"x".repeat(70_000)}\n${lines(10)}`;
    const { code, out, err } = await run(["send", "refused", "--url", gateway.url], { env, input });
    expect([code, out]).toEqual([65, ""]);
    expect(err).toMatch(/^service-socket: line 151: payload_too_large: .*; lines 1 to \d+ were sent\n$/);
    const sent = Number(/lines 1 to (\d+) were/.exec(err)![1]);
    expect(await kept("refused")).toHaveLength(sent);
  });

  test("sends smaller batches to a gateway that takes no larger ones", async () => {
    await using small = await startGateway({ settings: { SOCKET_MAX_BATCH: "7", SOCKET_MAX_BODY_BYTES: "2KiB" } });
    const long = `${"y".repeat(1500)}\n`;
    const input = lines(30) + long + long + lines(3);
    const { code } = await run(["send", "small", "--url", small.url], { env, input });
    expect(code).toBe(0);
    expect((await kept("small", small)).map(({ data }) => `${data}\n`).join("")).toBe(input);
  });

  test("with an idempotency key the same lines are published once, however they come", async () => {
    const args = ["send", "once", "--idempotency-key", "import-1", "--url", gateway.url];
    const input = lines(250);
    await using broken = new Command(args, { env, input: input.slice(0, 2000) });
    while ((await kept("once")).length < 100);
    broken.signal("SIGKILL");
    await broken.exit();
    expect((await run(args, { env, input })).code).toBe(0);
    expect((await kept("once")).map(({ data }) => `${data}\n`).join("")).toBe(input);
    expect((await run(["send", "once", "other", ...args.slice(2)], { env })).code).toBe(0);
    const conflict = await run(["send", "once", "another", ...args.slice(2)], { env });
    expect([conflict.code, conflict.err]).toEqual([65, expect.stringContaining("idempotency_conflict")]);
  });

  test("goes on over a gateway that is killed and comes back, and publishes nothing twice", async () => {
    await using away = await startGateway();
    const sender = new Command(["send", "away", "--url", away.url], { env, input: lines(300) });
    await using _ = sender;
    while ((await kept("away", away)).length < 300);
    await away.kill();
    sender.write(lines(300, 301));
    await sender.says("trying again in");
    await away.start();
    sender.endInput();
    expect(await sender.exit()).toBe(0);
    expect((await kept("away", away)).map(({ data }) => `${data}\n`).join("")).toBe(lines(600));
  });

  test("waits as long as a limit asks for", async () => {
    await using limited = await startGateway({ settings: { SOCKET_PUBLISH_RATE: "100" } });
    const { code, err } = await run(["send", "rate", "--url", limited.url], { env, input: lines(300) });
    expect(code).toBe(0);
    expect(err).toMatch(/^(limit_exceeded: .*; trying again in [1-3]\.\d s\n)+$/); // and no progress bar
    expect((await kept("rate", limited)).map(({ data }) => `${data}\n`).join("")).toBe(lines(300));
  });

  test("gives up on a gateway that does not answer", async () => {
    const url = `http://127.0.0.1:${freePort()}`;
    const started = performance.now();
    const { code, out, err } = await run(["send", "a", "b", "--url", url, "--retry-for", "1s"], { env });
    expect([code, out]).toEqual([69, ""]);
    expect(err).toContain(`${url} does not answer`);
    expect(performance.now() - started).toBeGreaterThan(1000);
  });

  test("a progress bar is shown on a terminal when it takes long", async () => {
    await using limited = await startGateway({ settings: { SOCKET_PUBLISH_RATE: "1000" } });
    const folder = await mkdtemp(join(tmpdir(), "service-socket-send-"));
    try {
      const file = join(folder, "lines");
      await writeFile(file, lines(3000));
      const main = join(import.meta.dir, "..", "..", "src", "main.ts");
      const command = `exec '${process.execPath}' '${main}' send bar --url ${limited.url} < '${file}'`;
      let shown = "";
      const terminal = {
        cols: 100,
        rows: 20,
        data: (_: unknown, bytes: Uint8Array) => void (shown += Buffer.from(bytes)),
      };
      const child = Bun.spawn(["sh", "-c", command], { env: { PATH: process.env["PATH"] ?? "", ...env }, terminal });
      expect(await child.exited).toBe(0);
      child.terminal?.close();
      expect(shown).toMatch(/\[#+-+\] +\d\d %  \d,\d00 sent, \d+\/s/);
      expect(shown).toContain("3,000 messages sent, the last is");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("what is not UTF-8 is not sent as something else", async () => {
    const input = Buffer.concat([Buffer.from("good\n"), Buffer.from([0xff, 0xfe, 0x0a])]);
    const { code, err } = await run(["send", "bytes", "--url", gateway.url], { env, input });
    expect([code, err]).toEqual([65, expect.stringContaining("not UTF-8")]);
    for (const { data } of await kept("bytes")) expect(data).toBe("good");
  });

  test("empty input sends nothing, and data may look like an option", async () => {
    const nothing = await run(["send", "nothing", "--url", gateway.url], { env });
    expect([nothing.code, nothing.out]).toEqual([0, "Nothing to send: standard input was empty.\n"]);
    expect((await run(["send", "dash", "--url", gateway.url, "--", "--help"], { env })).code).toBe(0);
    expect((await kept("dash"))[0]!.data).toBe("--help");
  });

  test("goes on when nobody reads its output any more", async () => {
    const main = join(import.meta.dir, "..", "..", "src", "main.ts");
    const command = `'${process.execPath}' '${main}' send unread --json --url ${gateway.url} | head -n 1 > /dev/null`;
    const child = Bun.spawn(["sh", "-c", command], {
      env: { PATH: process.env["PATH"] ?? "", ...env },
      stdin: Buffer.from(lines(950)),
      stderr: "pipe",
    });
    expect(await new Response(child.stderr).text()).toBe("");
    while ((await kept("unread")).length < 950);
  });
});

describe.concurrent("the secret", () => {
  test("on the command line is refused, and shown nowhere", async () => {
    for (const args of [
      ["--secret", gateway.secret],
      [`--secret=${gateway.secret}`],
      ["--app-secret", gateway.secret],
    ]) {
      const { code, out, err } = await run(["send", "a", "b", ...args], { env });
      expect([code, out]).toEqual([64, ""]);
      expect(err).toContain("process lists");
      expect(err).not.toContain(gateway.secret);
    }
  });

  test("is found where the gateway has it: in the folder, in a file that is named, or in the environment", async () => {
    const folder = await mkdtemp(join(tmpdir(), "service-socket-send-"));
    try {
      const args = ["send", "found", "x", "--url", gateway.url];
      const missing = await run(args, { cwd: folder });
      expect([missing.code, missing.err]).toEqual([78, expect.stringContaining("data/secret is not there")]);
      await Bun.write(join(folder, "data", "secret"), `${gateway.secret}\n`);
      await Bun.write(join(folder, "two"), `${gateway.secret},an-old-secret-that-is-long-enough-too\n`);
      expect((await run(args, { cwd: folder })).code).toBe(0);
      expect((await run([...args, "--secret-file", "two"], { cwd: folder })).code).toBe(0);
      expect((await run(args, { cwd: tmpdir(), env: { SOCKET_DATA: join(folder, "data") } })).code).toBe(0);
      expect((await run(args, { cwd: tmpdir(), env: { SOCKET_SECRET_FILE: join(folder, "two") } })).code).toBe(0);
      expect((await run([...args, "--secret-file", "three"], { cwd: folder })).code).toBe(78);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("that is refused ends with 77, and is not shown", async () => {
    const wrong = "a-wrong-secret-that-is-as-long-as-others";
    const { code, err } = await run(["send", "a", "b", "--url", gateway.url], { env: { APP_SECRET: wrong } });
    expect([code, err]).toEqual([77, expect.stringContaining("unauthorized")]);
    expect(err).not.toContain(wrong);
  });

  test("is not handed to where a redirect leads", async () => {
    let headers: Headers | null = null;
    using thief = Bun.serve({ port: 0, fetch: (request) => ((headers = request.headers), new Response("")) });
    using lure = Bun.serve({ port: 0, fetch: () => Response.redirect(`${thief.url}chat/send-multi`, 307) });
    const { code, err } = await run(["send", "a", "b", "--url", lure.url.origin], { env });
    expect([code, err]).toEqual([69, expect.stringContaining("answers 307")]);
    expect(headers).toBeNull();
  });
});
