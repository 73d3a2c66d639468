import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startGateway } from "../setup/gateway.ts";
import { type Call, history, type Place, post, type Result, type Sent, serve, type Server } from "./fixture.ts";
import { listen } from "./listening.ts";

let server: Server;
beforeAll(async () => {
  const other = { id: "other", secrets: ["secret-of-another-app-in-these-tests-too"] };
  server = await serve({ apps: [{ id: "default", secrets: ["secret-of-the-default-app-in-these-tests"] }, other] });
});
afterAll(() => server[Symbol.asyncDispose]());

function send(key: string, json: unknown, call: Call = {}, place: Place = server): Promise<Result<Sent>> {
  return post<Sent>(place, "/chat/send", { json, ...call, headers: { "Idempotency-Key": key } });
}

describe("an Idempotency-Key that was used", () => {
  test("with the same content gives the first answer again and publishes nothing", async () => {
    const message = { channel: "same", event: "a", data: { b: [1, 2.0] } };
    const first = await send("same", message);
    await using stream = await listen(`${server.url}/channel/same/stream`);
    await stream.live();
    const again = await send("same", message);
    expect(again.data).toEqual(first.data);
    expect(again.data.subscribers).toBe(0); // as it was then, though a stream listens now
    expect((await send("same", { channel: "same", data: "next" }, {})).status).toBe(409);
    await post(server, "/chat/send", { json: { channel: "same", data: "next" } });
    expect(await stream.messages(1)).toMatchObject([{ data: "next" }]);
    expect((await history(server, "same")).messages).toHaveLength(2);
  });

  test("with the same content in another form of request gives the first answer", async () => {
    const first = await send("forms", { channel: "forms", data: "x" });
    const form = await post<Sent>(server, "/chat/send", {
      form: { channel: "forms", data: "x" },
      headers: { "Idempotency-Key": "forms" },
    });
    expect(form.data).toEqual(first.data);
  });

  test("with other content is a conflict and publishes nothing", async () => {
    await send("other-content", { channel: "conflict", data: "1" });
    const others = [
      { channel: "conflict", data: "2" },
      { channel: "conflict", data: 1 }, // JSON, not text
      { channel: "conflict", data: "1", event: "e" },
      { channel: "conflict.2", data: "1" },
    ];
    for (const json of others) {
      const { status, error } = await send("other-content", json);
      expect(status).toBe(409);
      expect(error).toMatchObject({ type: "idempotency_conflict" });
    }
    const batch = await post(server, "/chat/send-multi", {
      json: [{ channel: "conflict", data: "1" }, { channel: "conflict" }],
      headers: { "Idempotency-Key": "other-content" },
    });
    expect(batch.status).toBe(409);
    expect((await history(server, "conflict")).messages).toHaveLength(1);
    expect((await history(server, "conflict.2")).messages).toEqual([]);
  });

  test("in another app is another key", async () => {
    const first = await send("per-app", { channel: "a", data: "1" });
    const other = await send(
      "per-app",
      { channel: "b", data: "2" },
      { secret: "secret-of-another-app-in-these-tests-too" },
    );
    expect(other.status).toBe(200);
    expect(other.data.id).not.toBe(first.data.id);
  });

  test("gives a batch its first answers again", async () => {
    const call = { json: [{ channel: "batch" }, { channel: "batch" }], headers: { "Idempotency-Key": "batch" } };
    const first = await post<object>(server, "/chat/send-multi", call);
    expect((await post<object>(server, "/chat/send-multi", call)).data).toEqual(first.data);
    expect((await history(server, "batch")).messages).toHaveLength(2);
  });

  test("by a request that was refused is free", async () => {
    expect((await send("refused", { channel: "a b" })).status).toBe(400);
    expect((await send("refused", { channel: "refused", event: "socket:x" })).status).toBe(400);
    expect((await send("refused", { channel: "refused" }, { secret: "wrong" })).status).toBe(401);
    expect((await send("refused", { channel: "refused", data: "at last" })).status).toBe(200);
  });
});

test("a key that is empty, too long, or holds a space is refused and nothing is published", async () => {
  for (const key of ["", "x".repeat(256), "a b", "é"]) {
    const { error } = await send(key, { channel: "bad-key" });
    expect(error).toMatchObject({ type: "parameter_invalid", field: "Idempotency-Key" });
  }
  expect((await send("x".repeat(255), { channel: "bad-key" })).status).toBe(200);
  expect((await history(server, "bad-key")).messages).toHaveLength(1);
});

describe("on SQLite", () => {
  const message = { channel: "kept", data: "once" };

  test("a key outlives kill -9, of two in flight the second waits, and a conflict fails alone", async () => {
    await using gateway = await startGateway();
    const { secret } = gateway;
    const first = await send("kept", message, { secret }, gateway);
    await gateway.kill();
    await gateway.start();
    const again = await send("kept", message, { secret }, gateway);
    expect(again.data).toEqual(first.data);
    expect((await send("kept", { ...message, data: "twice" }, { secret }, gateway)).status).toBe(409);

    const flying = await Promise.all([
      ...Array.from({ length: 8 }, () => send("flying", { channel: "flying", data: "one" }, { secret }, gateway)),
      send("kept", { channel: "flying", data: "conflict" }, { secret }, gateway),
      ...Array.from({ length: 8 }, (_, i) => send(`alone-${i}`, { channel: "beside", data: i }, { secret }, gateway)),
    ]);
    expect(flying.map(({ status }) => status)).toEqual([...Array(8).fill(200), 409, ...Array(8).fill(200)]);
    expect(new Set(flying.slice(0, 8).map(({ data }) => data.id)).size).toBe(1);
    expect(new Set(flying.slice(9).map(({ data }) => data.id)).size).toBe(8);

    await using stream = await listen(`${gateway.url}/stream?channel=*&since=earliest`, {
      authorization: `key=${secret}`,
    });
    await stream.told("open");
    const frames = await stream.messages(10);
    expect(frames.map(({ data }) => data).sort()).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "once", "one"]);
    expect(await stream.told("live")).toMatchObject({ replayed: 10 });
  });
});
