import { connect } from "node:net";
import { expect, test } from "bun:test";
import { raw, SECRET, WHOLE } from "../api/fixture.ts";
import { unchanged } from "../api/unchanged.ts";

/** Bun's own bounds, which keep a head from taking memory; beyond them it answers by itself, without a body. */
const gateway = unchanged();
const BARE = /\r\n\r\n$/;

function send(headers: string, line = "POST /chat/send HTTP/1.1"): string {
  return `${line}\r\nHost: x\r\nAuthorization: key=${SECRET}\r\nContent-Type: application/json\r\n${headers}\r\n`;
}

function fields(count: number): string {
  return Array.from({ length: count }, (_, i) => `X-${i}: y\r\n`).join("");
}

test("a head of more bytes, or of more fields, than Bun takes is refused before it is read to its end", async () => {
  const floods = [
    send(`X: ${"x".repeat(100_000)}\r\n`),
    send(`${"x".repeat(100_000)}: y\r\n`),
    send("", `GET /channel/${"x".repeat(100_000)} HTTP/1.1`),
    send("", `GET /channel/a/stream?${"channel=a&".repeat(10_000)} HTTP/1.1`),
    send(fields(1000)),
    send("X: y\r\n".repeat(10_000)),
    send("Authorization: key=x\r\n".repeat(5000)),
  ];
  for (const flood of floods) {
    expect(await raw(gateway.server, flood, BARE)).toStartWith("HTTP/1.1 431 ");
    // the same without an end
    expect(await raw(gateway.server, flood.slice(0, -2), BARE)).toStartWith("HTTP/1.1 431 ");
  }
});

test("many heads that never end keep nobody from being answered", async () => {
  const { port } = gateway.server;
  const floods = Array.from({ length: 100 }, () => connect(port, "127.0.0.1"));
  try {
    for (const flood of floods) flood.write(send(fields(100)).slice(0, -2));
    for (let i = 0; i < 100; i++) {
      const answer = await raw(gateway.server, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", WHOLE);
      expect(answer).toStartWith("HTTP/1.1 200 ");
    }
  } finally {
    for (const flood of floods) flood.destroy();
  }
});
