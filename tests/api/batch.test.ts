import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Call, history, post, type Sent, serve, type Server } from "./fixture.ts";
import { listen } from "./listening.ts";

let server: Server;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server[Symbol.asyncDispose]());

interface Batch {
  readonly messages: readonly Sent[];
}

function sendMulti(call: Call, query = "") {
  return post<Batch>(server, `/chat/send-multi${query}`, call);
}

function seqs(batch: Batch): number[] {
  return batch.messages.map(({ id }) => Number(id.split("-")[1]));
}

describe("POST /chat/send-multi", () => {
  const body = [{ channel: "forms", event: "a", data: 1 }, { channel: "forms", data: "two" }, { channel: "forms" }];
  const json = JSON.stringify(body);
  const ways: readonly [string, Call, string][] = [
    ["the JSON body itself", { json: body }, ""],
    ["`body` in a JSON object", { json: { body } }, ""],
    ["JSON text in `body` of the query", {}, `?body=${encodeURIComponent(json)}`],
    ["JSON text in `body` of a form", { form: { body: json } }, ""],
  ];
  for (const [name, call, query] of ways) {
    test(`takes the array as ${name}`, async () => {
      const { status, data } = await sendMulti(call, query);
      expect(status).toBe(200);
      const ids = data.messages.map(({ id }) => id);
      expect(data).toEqual({ messages: ids.map((id) => ({ id, channel: "forms", subscribers: 0 })) });
      expect((await history(server, "forms")).messages.slice(-3)).toMatchObject([
        { id: ids[0], event: "a", data: 1 },
        { id: ids[1], event: "message", data: "two" },
        { id: ids[2], event: "message", data: "" },
      ]);
    });
  }

  test("gives its messages consecutive positions, in their order, over all of their channels", async () => {
    const batches = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        sendMulti({ json: Array.from({ length: 5 }, (_, j) => ({ channel: `c${(i + j) % 3}`, data: [i, j] })) }),
      ),
    );
    for (const { data } of batches) {
      const first = seqs(data)[0]!;
      expect(seqs(data)).toEqual([0, 1, 2, 3, 4].map((i) => first + i));
    }
    expect(new Set(batches.flatMap(({ data }) => seqs(data))).size).toBe(100);
  });

  test("counts each message's streams by itself", async () => {
    await using stream = await listen(`${server.url}/channel/heard/stream`);
    await stream.live();
    const { data } = await sendMulti({ json: [{ channel: "heard" }, { channel: "unheard" }, { channel: "heard" }] });
    expect(data.messages.map((message) => message.subscribers)).toEqual([1, 0, 1]);
    const frames = await stream.messages(2);
    expect(frames.map(({ id }) => id)).toEqual([data.messages[0]!.id, data.messages[2]!.id]);
  });

  test("of no messages succeeds and sends nothing", async () => {
    const before = seqs((await sendMulti({ json: [{ channel: "empty" }] })).data)[0]!;
    for (const call of [{ json: [] }, { json: { body: [] } }, { form: "body=[]" }]) {
      const { status, data } = await sendMulti(call);
      expect(status).toBe(200);
      expect(data).toEqual({ messages: [] });
    }
    expect(seqs((await sendMulti({ json: [{ channel: "empty" }] })).data)).toEqual([before + 1]);
  });

  test("of 100 messages is taken, of 101 refused", async () => {
    const message = { channel: "hundred" };
    expect((await sendMulti({ json: Array.from({ length: 100 }, () => message) })).status).toBe(200);
    const { status, error } = await sendMulti({ json: Array.from({ length: 101 }, () => message) });
    expect(status).toBe(400);
    expect(error).toMatchObject({ type: "batch_invalid", field: "body" });
    expect((await history(server, "hundred", "?limit=1000")).messages).toHaveLength(100);
  });

  test("without a body, or with one that is no array, is refused", async () => {
    const calls: readonly Call[] = [
      {},
      { json: {} },
      { json: { body: null } },
      { json: { body: { channel: "a" } } },
      { json: { body: "[]" } },
      { form: "body={}" },
      { form: "body=" },
      { form: "body=[" },
      { form: "channel=a" },
    ];
    for (const call of calls) {
      expect((await sendMulti(call)).error).toMatchObject({ type: "batch_invalid", field: "body" });
    }
    for (const json of [3, "[]", null, true]) {
      expect((await sendMulti({ json })).error).toMatchObject({ type: "body_invalid" });
    }
  });

  test("given in two places is refused", async () => {
    const good = JSON.stringify([{ channel: "two-places" }]);
    const query = `?body=${encodeURIComponent(good)}`;
    for (const call of [{ json: [{ channel: "two-places" }] }, { json: { body: [] } }, { form: { body: good } }]) {
      expect((await sendMulti(call, query)).error).toMatchObject({ type: "parameter_repeated", field: "body" });
    }
    expect((await history(server, "two-places")).messages).toEqual([]);
  });
});

describe("one bad message", () => {
  const cases: readonly [string, unknown, string, string][] = [
    ["without a channel", {}, "channel_invalid", "body[3].channel"],
    ["with a bad channel", { channel: "a b" }, "channel_invalid", "body[3].channel"],
    ["for a pattern", { channel: "a.*" }, "channel_invalid", "body[3].channel"],
    ["with a bad event", { channel: "all-or-none", event: "a\nb" }, "event_invalid", "body[3].event"],
    ["with an event of the service", { channel: "c", event: "socket:open" }, "event_invalid", "body[3].event"],
    ["with too much data", { channel: "c", data: "x".repeat(65_537) }, "payload_too_large", "body[3].data"],
    ["that is null", null, "batch_invalid", "body[3]"],
    ["that is an array", [], "batch_invalid", "body[3]"],
    ["that is text", "x", "batch_invalid", "body[3]"],
  ];
  for (const [name, bad, type, field] of cases) {
    test(`${name} sends nothing of the batch, and is named`, async () => {
      const good = { channel: "all-or-none", data: "never" };
      const { error } = await sendMulti({ json: [good, good, good, bad, good] });
      expect(error).toMatchObject({ type, field });
      expect((await history(server, "all-or-none")).messages).toEqual([]);
    });
  }

  test("with a member given twice sends nothing of the batch", async () => {
    const headers = { "Content-Type": "application/json" };
    const body = '[{"channel":"all-or-none"},{"channel":"all-or-none","data":1,"data":2}]';
    const { error } = await sendMulti({ body, headers });
    expect(error).toMatchObject({ type: "parameter_repeated", field: "body[1].data" });
    expect((await history(server, "all-or-none")).messages).toEqual([]);
  });
});
