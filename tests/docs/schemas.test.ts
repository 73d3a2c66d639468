import { describe, expect, test } from "bun:test";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { closeFrame } from "../../src/core/frame.ts";
import { HandClock, history, post, publish, serve } from "../api/fixture.ts";
import { type Frame, listen } from "../api/listening.ts";
import { read } from "./markdown.ts";

const NAMES = ["open", "gap", "live", "token", "close", "envelope"] as const;
type Name = (typeof NAMES)[number];

/** Open to members of later versions, as readers are. */
const OPEN = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true, strictTypes: false });

function schemaOf(name: Name): { properties: Record<string, unknown> } {
  return JSON.parse(read(`docs/schemas/${name}.json`)) as { properties: Record<string, unknown> };
}

const SCHEMAS = Object.fromEntries(NAMES.map((name) => [name, OPEN.compile(schemaOf(name))])) as Record<
  Name,
  ValidateFunction
>;

/** Expects data that the schema takes, and no member that it does not describe. */
function fits(name: Name, data: unknown): void {
  const validate = SCHEMAS[name];
  expect([data, validate(data), validate.errors]).toEqual([data, true, null]);
  const known = Object.keys(schemaOf(name).properties).sort();
  expect(Object.keys(data as object).sort()).toEqual(known);
}

/** Expects that every `socket:` event of these fits its schema, and gives what was told: `gap trimmed`. */
function told(frames: readonly Frame[]): readonly string[] {
  return frames
    .filter(({ event }) => event?.startsWith("socket:") === true)
    .map(({ event, data }) => {
      const name = event!.slice("socket:".length) as Name;
      const facts = JSON.parse(data) as { reason?: string; recovered?: boolean | null };
      fits(name, facts);
      return `${name} ${facts.reason ?? facts.recovered ?? ""}`.trim();
    });
}

describe("what a real stream says fits the schemas of the protocol", () => {
  test("from its beginning to the end of its token", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: { SOCKET_STREAM_AGE: "0" } });
    const json = { channel: ["news", "room.*"], user: "ann", ttl: 600 };
    const { data } = await post<{ url: string }>(server, "/channel/subscribe", { json });
    await using stream = await (await listen(data.url, { authorization: null })).live();
    clock.ms += 595_000;
    await stream.told("token");
    clock.ms += 5000;
    await stream.end();
    expect(told(stream.frames)).toEqual(["open", "live", "token", "close expired"]);
  });

  test("of every gap", async () => {
    await using server = await serve({ settings: { SOCKET_HISTORY_COUNT: "1", SOCKET_MAX_CHANNELS: "2" } });
    const address = `${server.url}/channel/news/stream`;
    const first = (await publish(server, "news", "1")).id;
    const after = async (lastEventId: string, at = address) => {
      await using stream = await listen(at, { lastEventId });
      await stream.when(() => stream.frames.find(({ event }) => event === "socket:live"));
      return told(stream.frames);
    };
    expect(await after(first)).toEqual(["open true", "live"]);
    expect(await after("nothing of ours")).toEqual(["open false", "gap unknown_position", "live"]);
    expect(await after("0000000000-1")).toEqual(["open false", "gap epoch", "live"]);
    for (const data of ["2", "3"]) await publish(server, "news", data);
    while ((await history(server, "news")).messages.length > 1); // goes in a step once a second
    expect(await after(first)).toEqual(["open false", "gap trimmed", "live"]);
    for (const channel of ["a", "b", "a", "c"]) await publish(server, channel, "");
    while ((await after(first, `${server.url}/channel/other/stream`))[1] === "live");
    expect(await after(first, `${server.url}/channel/other/stream`)).toEqual(["open false", "gap unproven", "live"]);
  });

  test("of every end", async () => {
    const clock = new HandClock();
    const server = await serve({ clock, settings: { SOCKET_STREAM_AGE: "1h", SOCKET_MAX_STREAMS_PER_APP: "1" } });
    const address = `${server.url}/channel/news/stream`;
    const ends: string[] = [];
    for (const end of [
      async () => void (clock.ms += 3_600_000),
      (stream: string) => post(server, "/channel/revoke", { json: { stream } }),
      async () => {
        await using refused = await listen(address, { headers: { Accept: "text/event-stream" } });
        await refused.end();
        ends.push(...told(refused.frames));
        return server.stop();
      },
    ]) {
      await using stream = await listen(address);
      const { stream: id } = await stream.told("open");
      await end(id as string);
      await stream.end();
      ends.push(told(stream.frames).at(-1)!);
    }
    expect(ends).toEqual(["close max_age", "close revoked", "close limit", "close drain"]);
    const [, data] = /^data: (.*)$/m.exec(new TextDecoder().decode(closeFrame("unavailable", true)))!;
    fits("close", JSON.parse(data!));
  });

  test("of envelopes, on a stream and in history", async () => {
    await using server = await serve();
    await publish(server, "news", { n: 1 }, "price");
    await publish(server, "news", "text");
    await using stream = await listen(`${server.url}/stream?channel=news&last=2&format=envelope`);
    await stream.told("open");
    for (const { data } of await stream.messages(2)) fits("envelope", JSON.parse(data));
    for (const message of (await history(server, "news")).messages) fits("envelope", message);
  });
});

/** For each schema data that it takes, and changes of which each makes it wrong. */
const BROKEN: Readonly<Record<Name, readonly [good: object, ...bad: object[]]>> = {
  open: [
    {
      stream: "5e97d7a4b219a11a",
      app: "default",
      channels: ["news"],
      recovered: null,
      heartbeat_ms: 15_000,
      expires_at: "2030-01-31T12:00:00.000Z",
    },
    { channels: [] },
    { channels: ["two words"] },
    { recovered: "true" },
    { heartbeat_ms: -1 },
    { expires_at: "tomorrow" },
    { app: undefined },
  ],
  gap: [
    { reason: "trimmed", asked: "k3v9x2m7qa-1", oldest: null, newest: "k3v9x2m7qa-5" },
    { reason: "lost" },
    { asked: null },
    { oldest: "5" },
    { newest: null },
    { newest: "k3v9x2m7qa-05" },
  ],
  live: [{ replayed: 0 }, { replayed: -1 }, { replayed: "2" }, { replayed: undefined }],
  token: [
    { stream: "5e97d7a4b219a11a", expires_at: "2030-01-31T12:00:00.000Z" },
    { expires_at: null },
    { stream: "" },
    { stream: undefined },
  ],
  close: [
    { reason: "expired", reconnect: false },
    { reconnect: true },
    { reason: "drain" },
    { reason: "slow" },
    { reconnect: undefined },
  ],
  envelope: [
    { channel: "news", event: "message", data: null, id: "k3v9x2m7qa-1", time: "2030-01-31T12:00:00.000Z" },
    { channel: "room.*" },
    { event: "socket:open" },
    { event: "" },
    { data: undefined },
    { id: "1" },
    { time: 1_900_000_000 },
  ],
};

test.each(NAMES)("the schema of %s takes a good one and refuses broken ones", (name) => {
  const [good, ...broken] = BROKEN[name];
  fits(name, good);
  for (const change of broken) {
    const data = JSON.parse(JSON.stringify({ ...good, ...change })) as unknown; // what is undefined is left out
    expect([data, SCHEMAS[name](data)]).toEqual([data, false]);
  }
});

test("every schema is linked from the protocol", () => {
  for (const name of NAMES) expect(read("docs/protocol.md")).toContain(`(schemas/${name}.json)`);
});
