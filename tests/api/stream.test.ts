import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { history, post, publish, SECRET, serve, type Server } from "./fixture.ts";
import { type Listening, listen } from "./listening.ts";

let server: Server;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server[Symbol.asyncDispose]());

function open(channel: string, query = "", lastEventId?: string): Promise<Listening> {
  return listen(`${server.url}/channel/${channel}/stream${query}`, lastEventId === undefined ? {} : { lastEventId });
}

describe("a stream", () => {
  test("has the headers that keep caches and proxies from holding it back", async () => {
    await using stream = await open("headers");
    expect(Object.fromEntries(stream.response.headers)).toMatchObject({
      "content-type": "text/event-stream",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
      "access-control-allow-origin": "*",
      "x-request-id": expect.stringMatching(/^[0-9a-z]{10,}$/) as string,
    });
  });

  test("tells the reconnection time, where it starts, and that it is live, before anything else", async () => {
    await publish(server, "beginning", "before");
    const { id: head } = await publish(server, "elsewhere", "before");
    await using stream = await open("beginning");
    expect(await stream.told("open")).toEqual({
      id: head,
      stream: stream.response.headers.get("X-Request-Id"),
      app: "default",
      channels: ["beginning"],
      recovered: null,
      heartbeat_ms: 15_000,
      expires_at: null,
    });
    expect(await stream.told("live")).toEqual({ id: undefined, replayed: 0 });
    expect(stream.retries).toHaveLength(1);
    expect(stream.retries[0]!).toBeWithin(2000, 4001);
  });

  test("carries messages under their own event names, with their ids, each once and in order", async () => {
    await using stream = await (await open("order")).live();
    const sent = await Promise.all(
      Array.from({ length: 200 }, (_, i) => publish(server, "order", String(i), i % 2 === 0 ? undefined : `e${i}`)),
    );
    const frames = await stream.messages(200);
    const kept = (await history(server, "order", "?limit=1000")).messages;
    expect(frames.map(({ id }) => id)).toEqual(kept.map(({ id }) => id));
    expect(frames.map(({ event, data }) => [event ?? "message", data])).toEqual(
      kept.map((m) => [m.event, m.data as string]),
    );
    expect(new Set(sent.map(({ id }) => id))).toEqual(new Set(frames.map(({ id }) => id!)));
  });

  test("carries what a text holds, line ends as LF, and history keeps them as they were", async () => {
    const texts = [
      "a\rb\r\nc\nd",
      "\n",
      "\r\n\r\n",
      " leading",
      "id: 1-1",
      "",
      "data: x\n\nevent: y",
      "\u2028\ufeff\u0000é😀",
    ];
    await using stream = await (await open("text")).live();
    for (const text of texts) await publish(server, "text", text);
    const frames = await stream.messages(texts.length);
    expect(frames.map(({ data }) => data)).toEqual(texts.map((text) => text.replace(/\r\n?/g, "\n")));
    expect((await history(server, "text")).messages.map(({ data }) => data)).toEqual(texts);
  });

  test("carries JSON as the text that was given: digits, spaces and the order of keys", async () => {
    const texts = ["12345678901234567890", "1.0e400", '{ "b": 1,\n "a": [ 1.50 ] }', "null", "true", "-0", '"\\u0041"'];
    await using stream = await (await open("json")).live();
    const headers = { "Content-Type": "application/json" };
    for (const text of texts) await post(server, "/chat/send", { body: `{"channel":"json","data":${text}}`, headers });
    const batch = `[${texts.map((text) => `{"data": ${text} ,"channel":"json"}`).join()}]`;
    await post(server, "/chat/send-multi", { body: batch, headers });
    const frames = await stream.messages(2 * texts.length);
    const given = [...texts.slice(0, -1), "A"]; // a string is its characters
    expect(frames.map(({ data }) => data)).toEqual([...given, ...given]);
    const kept = await fetch(`${server.url}/channel/json/history`, { headers: { Authorization: `key=${SECRET}` } });
    expect(await kept.text()).toContain('"data":12345678901234567890,');
  });

  test("as envelopes carries the channel, the event and the JSON value, under the default event name", async () => {
    await using stream = await (await listen(`${server.url}/stream?channel=env.*&format=envelope`)).live();
    const { id } = await publish(server, "env.1", { a: [1] }, "alert");
    const other = await publish(server, "env.2", 'text\r\n"quoted"');
    const body = '{"channel":"env.3","data":{\r\n "a":\n12345678901234567890 }}';
    await post(server, "/chat/send", { body, headers: { "Content-Type": "application/json" } });
    const frames = await stream.messages(3);
    expect(frames.map(({ event }) => event)).toEqual([undefined, undefined, undefined]);
    expect(frames[2]!.data).toContain('"data":{\n "a":\n12345678901234567890 },');
    const [one, two] = frames.map(({ data }) => JSON.parse(data) as Record<string, unknown>);
    expect(one).toEqual({ channel: "env.1", event: "alert", data: { a: [1] }, id, time: expect.any(String) as string });
    expect(two).toMatchObject({ channel: "env.2", event: "message", data: 'text\r\n"quoted"', id: other.id });
    expect(Date.parse(one!["time"] as string)).toBeWithin(Date.now() - 60_000, Date.now() + 1000);
  });

  test("of another format, or with a bad query, is refused", async () => {
    const queries = ["format=plain", "format=", "format=envelope&format=envelope", "token=", "app=", "x=%ff"];
    for (const query of queries) {
      const headers = { Authorization: `key=${SECRET}` };
      const { status } = await fetch(`${server.url}/channel/a/stream?${query}`, { headers });
      expect([query, status]).toEqual([query, query === "app=" ? 403 : 400]);
    }
  });
});

describe("a stream of several channels", () => {
  const names = "channel=m.one&channel=m.two&channel=deep.**&channel=m.*";

  test("carries each message once, also where several of its channels match", async () => {
    await using stream = await (await listen(`${server.url}/stream?${names}`)).live();
    for (const channel of ["m.one", "m.three", "deep", "deep.a.b", "m.two", "m.a.b", "deep.c"]) {
      await publish(server, channel, channel);
    }
    const frames = await stream.messages(5);
    expect(frames.map(({ data }) => data)).toEqual(["m.one", "m.three", "deep.a.b", "m.two", "deep.c"]);
  });

  test("resumes exactly from every one of its ids", async () => {
    const from = (await publish(server, "m.one", "start")).id;
    await using whole = await listen(`${server.url}/stream?${names}`, { lastEventId: from });
    expect(await whole.told("open")).toMatchObject({ id: from, recovered: true });
    for (let i = 0; i < 20; i++) await publish(server, ["m.one", "other", "deep.x", "m.z"][i % 4]!, String(i));
    const frames = (await framesOf(whole, 15)).filter(({ event }) => event === undefined);
    for (const [i, { id }] of frames.entries()) {
      await using rest = await listen(`${server.url}/stream?${names}`, { lastEventId: id! });
      expect(await rest.told("open")).toMatchObject({ id, recovered: true });
      expect(await framesOf(rest, frames.length - i - 1)).toEqual(frames.slice(i + 1));
      expect(await rest.told("live")).toMatchObject({ replayed: frames.length - i - 1 });
    }
  });

  test("of more than 50, of a bad one, or of none is refused", async () => {
    const many = Array.from({ length: 51 }, (_, i) => `channel=c${i}`).join("&");
    for (const query of [
      "",
      "channel=",
      "channel=a&channel=b%20c",
      "channel=a*",
      "channel=a.**.b",
      many,
      `channel=${"x".repeat(201)}`,
    ]) {
      const response = await fetch(`${server.url}/stream?${query}`, { headers: { Authorization: `key=${SECRET}` } });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ Error: { type: "channel_invalid", field: "channel" } });
    }
  });
});

/** The next `count` messages, past `socket:live` where it comes among them. */
async function framesOf(stream: Listening, count: number) {
  const frames: Listening["frames"] = [];
  while (frames.length < count) {
    const frame = await stream.next();
    if (frame.event !== "socket:live") frames.push(frame);
  }
  return frames;
}
