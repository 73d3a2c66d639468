import { join } from "node:path";
import { expect, test } from "bun:test";
import { shown } from "../../src/cli/terminal.ts";
import { run, secretOf } from "../setup/command.ts";
import { publish, startGateway } from "../setup/gateway.ts";

/** Sets a terminal's title, moves its cursor, and is an escape in one byte. */
const ATTACK = "\x1b]0;owned\x07\x1b[2A\u009b31m\r\x00";

/** Line ends and tabs are harmless. */
const CONTROL = /(?![\n\t])\p{Cc}/u;

test("a message makes a terminal do nothing, and goes to anything else as it is", async () => {
  await using gateway = await startGateway();
  const env = { PATH: process.env["PATH"] ?? "", ...secretOf(gateway) };
  await publish(gateway, { channel: "news", event: "x", data: `hi ${ATTACK} there` });
  const args = ["listen", "news", "--last", "1", "--count", "1", "--url", gateway.url];
  let screen = "";
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "..", "..", "src", "main.ts"), ...args], {
    env,
    terminal: { cols: 200, rows: 20, data: (_, bytes) => void (screen += Buffer.from(bytes).toString()) },
  });
  expect(await child.exited).toBe(0);
  child.terminal?.close();
  expect(screen).toContain("hi \\x1b]0;owned\\x07\\x1b[2A\\x9b31m");
  expect(screen.replaceAll("\r\n", "\n")).not.toMatch(CONTROL);
  expect((await run(args, { env })).out).toBe(`hi ${ATTACK} there\n`);
});

test("what a server answers makes a terminal do nothing either", async () => {
  const answer = JSON.stringify({ code: 400, data: {}, Error: { type: "x", detail: ATTACK, field: ATTACK } });
  using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(answer, { status: 400 }) });
  const { code, err } = await run(["send", "a", "b", "--url", server.url.origin], {
    env: { APP_SECRET: "x".repeat(32) },
  });
  expect(code).toBe(65);
  expect(err).not.toMatch(CONTROL);
  expect(shown("tab\tand\nline ü 🙂")).toBe("tab\tand\nline ü 🙂");
});

test("a server that never ends its answer does not fill the doctor's memory, and is no gateway", async () => {
  const chunk = Buffer.from("x".repeat(65_536));
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () =>
      new Response(new ReadableStream({ pull: (controller) => controller.enqueue(chunk) }), {
        headers: { "Content-Type": "text/event-stream" },
      }),
  });
  const { code, out } = await run(["doctor", server.url.origin, "--for", "5m"]);
  expect([code, out]).toEqual([2, expect.stringContaining("no probe")]);
});
