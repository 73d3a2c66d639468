import { expect, test } from "bun:test";
import { HandClock, publish, serve } from "./fixture.ts";
import { listen } from "./listening.ts";

test("heartbeats move the position of a listener on a quiet channel, and dispatch nothing", async () => {
  const clock = new HandClock();
  await using server = await serve({ clock, settings: { SOCKET_HEARTBEAT: "1s" } });
  const first = await publish(server, "quiet", "first");
  await using quiet = await listen(`${server.url}/channel/quiet/stream`);
  await using busy = await listen(`${server.url}/channel/busy/stream`);
  await Promise.all([quiet.live(), busy.live()]);
  expect(quiet.ids).toEqual([first.id]);

  let head = first;
  for (let i = 0; i < 3; i++) {
    head = await publish(server, "busy", String(i));
    await busy.messages(1);
    clock.ms += 1000;
    await quiet.when(() => (quiet.ids.at(-1) === head.id ? true : undefined));
  }
  expect(quiet.frames).toHaveLength(2); // socket:open and socket:live
  expect(quiet.text).toEndWith(`id: ${head.id}\n\n`);

  await using resumed = await listen(`${server.url}/channel/quiet/stream`, { lastEventId: head.id });
  expect(await resumed.told("open")).toMatchObject({ id: head.id, recovered: true });
  expect(await resumed.told("live")).toMatchObject({ replayed: 0 });
});

test("heartbeats to a listener that is level with everything are bare comments", async () => {
  const clock = new HandClock();
  await using server = await serve({ clock, settings: { SOCKET_HEARTBEAT: "1s" } });
  const { id } = await publish(server, "news", "first");
  await using stream = await (await listen(`${server.url}/channel/news/stream`)).live();
  for (let beats = 1; beats <= 3; beats++) {
    clock.ms += 1000;
    await stream.when(() => (stream.comments.length >= beats ? true : undefined));
  }
  expect(stream.ids).toEqual([id]);
});

test("without heartbeats nothing is sent on a quiet stream", async () => {
  const clock = new HandClock();
  await using server = await serve({ clock, settings: { SOCKET_HEARTBEAT: "0" } });
  await using stream = await listen(`${server.url}/channel/news/stream`);
  expect(await stream.told("open")).toMatchObject({ heartbeat_ms: 0 });
  await stream.told("live");
  clock.ms += 3_000_000 * 0.9; // short of the age at which the stream is ended
  await publish(server, "news", "next");
  await stream.messages(1);
  expect(stream.comments).toEqual([]);
});
