import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Command, run, secretOf } from "../setup/command.ts";
import { freePort, type Gateway, publish, startGateway, subscribe } from "../setup/gateway.ts";

setDefaultTimeout(60_000);

const QUICK = { SOCKET_RETRY: "100ms", SOCKET_PUBLIC_CHANNELS: "open" };

let gateway: Gateway;
let env: Record<string, string>;
beforeAll(async () => {
  gateway = await startGateway({ settings: QUICK });
  env = secretOf(gateway);
});
afterAll(async () => gateway[Symbol.asyncDispose]());

/** `listen`, once it listens. */
async function listen(args: readonly string[], of = gateway, given = env): Promise<Command> {
  const command = new Command(["listen", ...args, "--url", of.url], { env: given });
  await command.says("listening to").catch(async (error: unknown) => {
    await command[Symbol.asyncDispose]();
    throw error;
  });
  return command;
}

describe.concurrent("service-socket listen", () => {
  test("prints the data of each message, as it was given, and ends with 0 at SIGINT", async () => {
    await using listener = await listen(["one"]);
    await publish(gateway, { channel: "one", event: "greeting", data: "two\nlines" });
    await fetch(`${gateway.url}/chat/send`, {
      method: "POST",
      headers: { Authorization: `key=${gateway.secret}`, "Content-Type": "application/json" },
      body: '{"channel":"one","data":{"n":12345678901234567890}}',
    });
    await listener.says("890}");
    listener.signal("SIGINT");
    expect(await listener.exit()).toBe(0);
    expect(listener.out).toBe('two\nlines\n{"n":12345678901234567890}\n');
    expect(listener.err).toBe(`listening to one on ${gateway.url}; Ctrl-C ends\n`);
  });

  test("of several channels and patterns prints time, channel and event too", async () => {
    for (const channel of ["many.1", "many.2", "much"]) await publish(gateway, { channel, event: "e", data: channel });
    const args = ["listen", "much", "many.*", "--last", "3", "--count", "3", "--url", gateway.url];
    const { code, out } = await run(args, { env });
    const rows = out
      .trim()
      .split("\n")
      .map((row) => row.split("  "));
    expect([code, rows.map(([, ...rest]) => rest.join(" "))]).toEqual([
      0,
      ["many.1 e many.1", "many.2 e many.2", "much e much"],
    ]);
    for (const [time] of rows) expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    const plain = await run([...args, "--format", "data"], { env });
    expect(plain.out).toBe("many.1\nmany.2\nmuch\n");
  });

  test("--json prints an object a line: messages, and what the stream says itself", async () => {
    const { id } = await publish(gateway, { channel: "json", data: { a: 1 } });
    const { out } = await run(["listen", "json", "--since", "1h", "--count", "1", "--json", "--url", gateway.url], {
      env,
    });
    const [open, message, ...more] = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(open).toMatchObject({ event: "socket:open", data: { channels: ["json"], recovered: null } });
    expect(message).toMatchObject({ channel: "json", event: "message", data: { a: 1 }, id });
    expect(more).toEqual([]);
  });

  test("goes on from an id, and begins with the newest that were asked for", async () => {
    const ids: string[] = [];
    for (const data of ["a", "b", "c", "d"]) ids.push((await publish(gateway, { channel: "from", data })).id);
    const after = await run(["listen", "from", "--after", ids[1]!, "--count", "2", "--url", gateway.url], { env });
    expect(after.out).toBe("c\nd\n");
    const last = await run(["listen", "from", "--last", "3", "--count", "3", "--url", gateway.url], { env });
    expect(last.out).toBe("b\nc\nd\n");
  });

  test("resumes over a gateway that is killed, and shows what was published meanwhile, each once", async () => {
    await using away = await startGateway({ settings: QUICK });
    await using listener = await listen(["away"], away);
    await publish(away, { channel: "away", data: "before" });
    await listener.says("before");
    await away.kill();
    await listener.says("going on after");
    await away.start();
    await publish(away, { channel: "away", data: "meanwhile" });
    await listener.says("meanwhile");
    await listener.says("resumed, nothing is missing");
    await publish(away, { channel: "away", data: "after" });
    await listener.says("after\n");
    expect(listener.out).toBe("before\nmeanwhile\nafter\n");
    expect(listener.err).toContain("resumed, nothing is missing");
    expect(listener.err).not.toContain("gap");
  });

  test("tells a gap where what was missed is not kept", async () => {
    await using away = await startGateway({ settings: { ...QUICK, SOCKET_BROKER: "memory:" } });
    await using listener = await listen(["lost", "--json"], away);
    const { id } = await publish(away, { channel: "lost", data: "before" });
    await listener.says("before");
    await away.kill();
    await away.start();
    await listener.says(`gap (epoch): messages after ${id} are missing`);
    const gap = listener.out.split("\n").find((line) => line.includes("socket:gap"));
    expect(JSON.parse(gap!)).toMatchObject({ event: "socket:gap", data: { reason: "epoch", asked: id } });
  });

  test("goes on when the gateway is drained, and says why", async () => {
    await using drained = await startGateway({ settings: { ...QUICK, SOCKET_DRAIN: "300ms" } });
    await using listener = await listen(["drained"], drained);
    await drained.stop();
    await listener.says("the stream ended (drain); going on after");
    await drained.start();
    await listener.says("resumed, nothing is missing");
  });

  test("leaves a connection on which nothing comes, not even heartbeats, for a new one", async () => {
    let connections = 0;
    const second = Promise.withResolvers<void>();
    using silent = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: () => {
        connections += 1;
        if (connections === 2) second.resolve();
        const open = `retry: 100\nid: a-${connections}\nevent: socket:open\ndata: {"heartbeat_ms":100}\n\n`;
        const body = new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from(open)) });
        return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
      },
    });
    await using listener = new Command(["listen", "silent", "--url", silent.url.origin], { env });
    await listener.says("the stream broke off; going on after a-1");
    await second.promise;
  });

  test("listens with a token, from the environment or as an option, and ends with 77 when it is revoked", async () => {
    const { token } = await subscribe(gateway, "secret", { user: "ann" });
    const given = { SOCKET_TOKEN: token };
    await using listener = await listen(["secret"], gateway, given);
    await publish(gateway, { channel: "secret", data: "to ann" });
    await listener.says("to ann");
    const headers = { Authorization: `key=${gateway.secret}` };
    await fetch(`${gateway.url}/channel/revoke?user=ann`, { method: "POST", headers });
    expect(await listener.exit()).toBe(77);
    expect(listener.err).toContain("the stream ended for good: revoked");
    const again = await run(["listen", "secret", "--token", token, "--url", gateway.url]);
    expect([again.code, again.err]).toEqual([77, expect.stringContaining("revoked")]);
    for (const { out, err } of [listener, again]) expect(out + err).not.toContain(token);
  });

  test("needs no credential for a public channel, and one for any other", async () => {
    await using folder = await emptyFolder();
    const options = { cwd: folder.path };
    await publish(gateway, { channel: "open", data: "for all" });
    const open = await run(["listen", "open", "--last", "1", "--count", "1", "--url", gateway.url], options);
    expect([open.code, open.out]).toEqual([0, "for all\n"]);
    const closed = await run(["listen", "closed", "--url", gateway.url], options);
    expect([closed.code, closed.err]).toEqual([77, expect.stringContaining("Listening needs a credential")]);
  });

  test("ends at once with a code that says what is wrong", async () => {
    for (const [args, code, says] of [
      [["listen"], 64, "it takes a channel"],
      [["listen", "a b"], 64, "neither a channel nor a pattern"],
      [["listen", "a", "--last", "x", "--url", gateway.url], 64, "parameter_invalid"],
      [["listen", "a", "--count", "0"], 64, "--count takes"],
      [["listen", "a", "--format", "x"], 64, "--format takes"],
      [["listen", "a", "--url", "ftp://x"], 64, "--url takes"],
      [["listen", "a", "--url", `http://127.0.0.1:${freePort()}`], 69, "does not answer"],
    ] as const) {
      const ended = await run(args, { env });
      expect([args, ended.code, ended.err]).toEqual([args, code, expect.stringContaining(says)]);
    }
  });

  test("ends with 0 when nobody reads its output any more", async () => {
    for (let i = 0; i < 50; i++) await publish(gateway, { channel: "head", data: `${i}` });
    const main = join(import.meta.dir, "..", "..", "src", "main.ts");
    const listener = `'${process.execPath}' '${main}' listen head --last 50 --url ${gateway.url}`;
    const child = Bun.spawn(["bash", "-c", `${listener} | head -n 1; echo "\${PIPESTATUS[0]}"`], {
      env: { PATH: process.env["PATH"] ?? "", ...env },
      stderr: "ignore",
    });
    // A pipe takes what is written before its reader has gone: what is published later shows it.
    const publishing = setInterval(() => void publish(gateway, { channel: "head", data: "more" }), 50);
    expect(await new Response(child.stdout).text()).toMatch(/^\d+\n0\n$/);
    clearInterval(publishing);
  });
});

async function emptyFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "service-socket-listen-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
