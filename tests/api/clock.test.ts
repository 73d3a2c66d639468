import { expect, test } from "bun:test";
import type { Clock } from "../../src/http/gateway.ts";
import { history, post, publish, serve } from "./fixture.ts";
import { listen } from "./listening.ts";

const HOUR_MS = 3_600_000;

/** A wall clock that can be set, beside one that only goes on. */
class SetClock implements Clock {
  wallMs = Date.UTC(2030, 0, 1);
  steadyMs = 0;
  readonly now = (): number => this.wallMs;
  readonly elapsed = (): number => this.steadyMs;
  readonly random = (): number => 0.5;

  pass(ms: number): void {
    this.wallMs += ms;
    this.steadyMs += ms;
  }
}

test("heartbeats and the ends of streams go by the time that passes, whatever the wall clock does", async () => {
  const clock = new SetClock();
  await using server = await serve({ clock, settings: { SOCKET_HEARTBEAT: "15s", SOCKET_STREAM_AGE: "10h" } });
  const granted = await post<{ url: string }>(server, "/channel/subscribe", { json: { channel: "news", ttl: 600 } });
  await using stream = await (await listen(granted.data.url, { authorization: null })).live();
  await using other = await (await listen(`${server.url}/channel/news/stream`)).live();
  clock.wallMs -= HOUR_MS;
  clock.pass(15_000);
  await stream.when(() => (stream.comments.length > 0 ? true : undefined));
  await using later = await (await listen(granted.data.url, { authorization: null })).live(); // it is not less valid
  clock.wallMs += 2 * HOUR_MS; // beyond the token's expiry and the age of a stream
  await publish(server, "news", "x");
  for (const one of [stream, other, later]) await one.messages(1);
  clock.pass(600_000);
  expect(await stream.told("close")).toMatchObject({ reason: "expired" });
  await publish(server, "news", "y");
  await other.messages(1);
});

test("a message published after the clock went back has the time of the newest, until it has caught up", async () => {
  const clock = new SetClock();
  await using server = await serve({ clock });
  await publish(server, "news", 1);
  clock.wallMs -= HOUR_MS;
  await publish(server, "news", 2);
  clock.pass(HOUR_MS + 1000);
  await publish(server, "news", 3);
  expect((await history(server, "news")).messages.map(({ time }) => time)).toEqual([
    "2030-01-01T00:00:00.000Z",
    "2030-01-01T00:00:00.000Z",
    "2030-01-01T00:00:01.000Z",
  ]);
});
