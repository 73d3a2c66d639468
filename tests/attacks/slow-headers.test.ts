import { expect, test } from "bun:test";
import { publish, serve } from "../api/fixture.ts";
import { listen } from "../api/listening.ts";
import { drip } from "./dripping.ts";

// Takes 12 s: 10 s are Bun's own limit for a connection's first request, and it looks every four.
test("a request line or headers that come byte by byte are ended in time, and what is open goes on", async () => {
  await using server = await serve({ idleTimeoutSeconds: 1, settings: { SOCKET_HEARTBEAT: "0" } });
  await using stream = await (await listen(`${server.url}/channel/news/stream`)).live();
  const whole = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
  const said = await Promise.all([
    drip(server, "", "G"),
    drip(server, "GET /", "x"),
    drip(server, "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ", "x"),
    drip(server, "GET /healthz HTTP/1.1\r\nHost: a\r\n", "X: 1\r\n"),
    drip(server, `${whole}GET /healthz HTTP/1.1\r\nX-Slow: `, "x"),
  ]);
  expect(said.slice(0, 4)).toEqual(["", "", "", ""]);
  expect(said[4]).toStartWith("HTTP/1.1 200 ");
  await publish(server, "news", "still here");
  expect((await stream.next()).data).toBe("still here");
}, 30_000);
