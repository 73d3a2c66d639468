import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { HandClock, history, publish, SECRET, serve, type Server } from "./fixture.ts";
import { type Listening, listen } from "./listening.ts";

const clock = new HandClock();
const ids: string[] = [];
let server: Server;
let epoch = "";

/** Messages 1 to 9 on `news`, a minute apart, with others in between. */
beforeAll(async () => {
  server = await serve({ clock, settings: { SOCKET_REPLAY_LIMIT: "6", SOCKET_STREAM_AGE: "0" } });
  for (let i = 1; i <= 9; i++) {
    ids.push((await publish(server, "news", String(i))).id);
    await publish(server, "other", "x");
    clock.ms += 60_000;
  }
  epoch = ids[0]!.split("-")[0]!;
});
afterAll(() => server[Symbol.asyncDispose]());

function open(query: string, lastEventId?: string): Promise<Listening> {
  return listen(`${server.url}/channel/news/stream${query}`, lastEventId === undefined ? {} : { lastEventId });
}

/** The data of what is replayed until the stream is live. */
async function replayed(stream: Listening): Promise<string> {
  for (let told = ""; ;) {
    const { event, data } = await stream.next();
    if (event === "socket:live") {
      expect(JSON.parse(data)).toEqual({ replayed: told.length });
      return told;
    }
    if (event === undefined) told += data;
  }
}

/** So many minutes after the first message. */
function iso(minutes: number): string {
  return new Date(Date.UTC(2030, 0, 1, 0, minutes)).toISOString();
}

describe("a first connect", () => {
  // now is 00:09:00; message i was published at 00:(i - 1):00
  const cases: readonly [string, string][] = [
    ["", ""],
    ["?last=0", ""],
    ["?last=1", "9"],
    ["?last=3", "789"],
    ["?last=6", "456789"],
    ["?since=0", ""],
    ["?since=1m", "9"],
    ["?since=90s", "9"],
    ["?since=2m", "89"],
    ["?since=1d", "456789"],
    ["?since=earliest", "456789"],
    [`?since=${iso(6)}`, "789"],
    ["?since=2030-01-01t00:06:00z", "789"],
    ["?since=2030-01-01T02:06:00%2B02:00", "789"],
    ["?since=2029-12-31T19:06:00.000001-05:00", "789"],
    [`?since=${iso(60)}`, ""],
    ["?since=1969-12-31T00:00:00Z", "456789"],
  ];
  for (const [query, expected] of cases) {
    test(`with ${query || "no position"} is given ${expected || "nothing"}, at most the newest of the replay limit`, async () => {
      await using stream = await open(query);
      const { id, recovered } = await stream.told("open");
      expect(recovered).toBeNull();
      expect(await replayed(stream)).toBe(expected);
      // the id of socket:open resumes the same stream
      await using again = await open("", id);
      expect(await again.told("open")).toMatchObject({ id, recovered: true });
      expect(await replayed(again)).toBe(expected);
    });
  }

  const bad = [
    "last=-1",
    "last=1.5",
    "last=",
    "last=7",
    "last=x",
    "last=1&last=1",
    "last=1&since=1m",
    "since=",
    "since=10",
    "since=yesterday",
    "since=2030-01-01",
    "since=2030-01-01T00:00:00",
    "since=2030-13-01T00:00:00Z",
    "since=2030-01-01T25:00:00Z",
    "since=2030-01-01T24:00:00Z",
    "since=2030-02-30T00:00:00Z",
    "since=2030-01-01%2000:00:00Z",
    "since=2030-01-01T00:00:00%2B25:00",
    "since=EARLIEST",
    "last_event_id=",
    "last_event_id=x",
    "last_event_id=1",
    "last_event_id=a-01",
    "last_event_id=A-1",
    "last_event_id=a-9999999999999999",
  ];
  for (const query of bad) {
    test(`with ${query} is refused, also where a header counts before it`, async () => {
      for (const more of [{}, { "Last-Event-ID": ids[0]! }]) {
        const headers = { Authorization: `key=${SECRET}`, ...more };
        const response = await fetch(`${server.url}/channel/news/stream?${query}`, { headers });
        expect(response.status).toBe(400);
        const { Error } = (await response.json()) as { Error: { field: string; type: string } };
        expect(["last", "since", "last_event_id"]).toContain(Error.field);
        expect(Error.type).toBe(query === "last=1&last=1" ? "parameter_repeated" : "parameter_invalid");
      }
    });
  }
});

describe("a position", () => {
  test("is taken from the Last-Event-ID header, else from last_event_id, and then last and since do not count", async () => {
    const cases: readonly [string, string | undefined, string][] = [
      ["", ids[6], "89"],
      [`?last_event_id=${ids[2]!}`, undefined, "456789"],
      [`?last_event_id=${ids[2]!}`, ids[7], "9"],
      ["?last=5", ids[7], "9"],
      ["?since=earliest", ids[8], ""],
      [`?last=5&last_event_id=${ids[7]!}`, undefined, "9"],
      [`?since=1m&last_event_id=${ids[0]!}`, undefined, "23456789"], // a resume is given all that is kept
      [`?last_event_id=${ids[7]!}`, "", "9"], // an empty header is none
    ];
    for (const [query, header, expected] of cases) {
      await using stream = await open(query, header);
      expect(await stream.told("open")).toMatchObject({ recovered: true });
      expect(await replayed(stream)).toBe(expected);
    }
  });

  const strange: readonly [string, string, string][] = [
    ["malformed", "what is this?", "unknown_position"],
    ["of another service", "12345", "unknown_position"],
    ["with characters beyond ASCII", 'ÿ"\\', "unknown_position"],
    ["of another epoch", "zzzzzzzzzz-3", "epoch"],
    ["with leading zeros", "a-007", "unknown_position"],
    ["of 8,000 characters", "x".repeat(8000), "unknown_position"],
  ];
  for (const [name, header, reason] of strange) {
    test(`in the header that is ${name} is told as a gap, and what is kept is given`, async () => {
      await using stream = await open("", header);
      expect(await stream.told("open")).toMatchObject({ id: undefined, recovered: false });
      const gap = await stream.told("gap");
      expect(gap).toEqual({
        id: `${epoch}-0`,
        reason,
        asked: header.slice(0, 128), // what is told of it is bounded
        oldest: ids[0],
        newest: `${epoch}-18`,
      });
      expect(await replayed(stream)).toBe("123456789");
    });
  }

  test("in the future is told as a gap and goes on from now", async () => {
    const asked = `${epoch}-1000`;
    for (const way of [await open("", asked), await open(`?last_event_id=${asked}`)]) {
      await using stream = way;
      expect(await stream.told("open")).toMatchObject({ id: undefined, recovered: false });
      expect(await stream.told("gap")).toMatchObject({ id: `${epoch}-18`, reason: "unknown_position", asked });
      expect(await replayed(stream)).toBe("");
    }
  });

  test("before what is kept is told as a gap, and the rest is given", async () => {
    await using small = await serve({ settings: { SOCKET_HISTORY_COUNT: "2" } });
    const all: string[] = [];
    for (let i = 1; i <= 5; i++) all.push((await publish(small, "trimmed", String(i))).id);
    const from = all[0]!;
    while ((await history(small, "trimmed")).messages.length > 2); // goes in a step once a second
    await using stream = await listen(`${small.url}/channel/trimmed/stream`, { lastEventId: from });
    expect(await stream.told("open")).toMatchObject({ id: undefined, recovered: false });
    expect(await stream.told("gap")).toMatchObject({ reason: "trimmed", asked: from, oldest: all[3], newest: all[4] });
    expect(await replayed(stream)).toBe("45");
    await using quiet = await listen(`${small.url}/channel/quiet/stream`, { lastEventId: from });
    expect(await quiet.told("open")).toMatchObject({ id: from, recovered: true });
  });

  test("of one selection resumes another", async () => {
    await using stream = await listen(`${server.url}/stream?channel=*&format=envelope`, { lastEventId: ids[7]! });
    expect(await stream.told("open")).toMatchObject({ id: ids[7], recovered: true });
    const frames = await stream.messages(3);
    expect(frames.map(({ id }) => id)).toEqual([`${epoch}-16`, `${epoch}-17`, `${epoch}-18`]);
  });
});
