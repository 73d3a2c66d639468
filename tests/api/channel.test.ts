import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { call, type History, history, publish, serve, type Server } from "./fixture.ts";
import { listen } from "./listening.ts";

let server: Server;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server[Symbol.asyncDispose]());

interface Listed {
  readonly channels: readonly { readonly channel: string; readonly subscribers: number }[];
  readonly next: string | null;
  readonly complete: boolean;
}

async function list(query: string): Promise<Listed> {
  const { status, data } = await call<Listed>(server, "GET", `/channels${query}`);
  expect(status).toBe(200);
  return data;
}

describe("GET /channel/:channel", () => {
  test("tells who listens now, and the oldest and newest id that is kept", async () => {
    const none = { channel: "state.a/b", subscribers: 0, oldest: null, newest: null, complete: true };
    expect((await call<object>(server, "GET", "/channel/state.a%2Fb")).data).toEqual(none);
    const first = await publish(server, "state.a/b", "1");
    await publish(server, "other", "1");
    const last = await publish(server, "state.a/b", "2");
    await using one = await listen(`${server.url}/channel/state.a%2Fb/stream`);
    await using two = await listen(`${server.url}/stream?channel=state.*&format=envelope`);
    await Promise.all([one.live(), two.live()]);
    expect((await call<object>(server, "GET", "/channel/state.a%2Fb")).data).toEqual({
      channel: "state.a/b",
      subscribers: 2,
      oldest: first.id,
      newest: last.id,
      complete: true,
    });
  });
});

describe("GET /channel/:channel/history", () => {
  test("gives what is kept, oldest first, page after page by `through`", async () => {
    const ids: string[] = [];
    for (let i = 0; i < 250; i++) ids.push((await publish(server, "paged", i)).id);
    expect(await history(server, "paged")).toMatchObject({ channel: "paged", gap: null, through: ids[99]! });
    const read: string[] = [];
    let after = "";
    for (;;) {
      const page = await history(server, "paged", `?limit=60${after}`);
      if (page.messages.length === 0) break;
      expect(page.gap).toBeNull();
      read.push(...page.messages.map(({ id }) => id));
      after = `&after=${page.through}`;
    }
    expect(read).toEqual(ids);
    const [first] = (await history(server, "paged", "?limit=1")).messages;
    expect(Object.keys(first!)).toEqual(["channel", "event", "data", "id", "time"]);
    expect(first!.data).toBe(0);
  });

  test("of a channel that nothing was published to is empty and complete up to now", async () => {
    const { id } = await publish(server, "somewhere", "x");
    expect(await history(server, "nowhere")).toEqual({ channel: "nowhere", messages: [], through: id, gap: null });
    expect(await history(server, "nowhere", `?after=${id}`)).toMatchObject({ messages: [], through: id, gap: null });
  });

  test("tells a gap for a position that nothing can follow exactly", async () => {
    const { id } = await publish(server, "gaps", "x");
    const epoch = id.split("-")[0]!;
    const future = await history(server, "gaps", `?after=${epoch}-100000`);
    expect(future).toMatchObject({ messages: [], gap: { reason: "unknown_position", asked: `${epoch}-100000` } });
    const lost: History = await history(server, "gaps", "?after=zzzzzzzzzz-5");
    expect(lost.gap).toEqual({ reason: "epoch", asked: "zzzzzzzzzz-5", oldest: id, newest: id });
    expect(lost.messages.map((message) => message.id)).toEqual([id]);
  });

  test("with a bad query is refused", async () => {
    for (const [query, field] of [
      ["after=x", "after"],
      ["after=", "after"],
      ["limit=0", "limit"],
      ["limit=1001", "limit"],
      ["limit=1e2", "limit"],
      ["limit=", "limit"],
    ] as const) {
      const { error } = await call(server, "GET", `/channel/a/history?${query}`);
      expect(error).toMatchObject({ type: "parameter_invalid", field });
    }
    const { error } = await call(server, "GET", "/channel/a/history?limit=1&limit=1");
    expect(error).toMatchObject({ type: "parameter_repeated", field: "limit" });
  });
});

describe("GET /channels", () => {
  test("lists by prefix, in name order, page after page", async () => {
    const names = ["l", "l.", "l.A", "l.a", "l.b", "l.b.c", "l/", "l~"];
    for (const name of names.toReversed()) await publish(server, name, "x");
    expect((await list("?prefix=l")).channels.map(({ channel }) => channel)).toEqual([...names].sort());
    expect((await list("?prefix=l.b")).channels.map(({ channel }) => channel)).toEqual(["l.b", "l.b.c"]);
    const found: string[] = [];
    for (let after: string | null = ""; after !== null;) {
      const page = await list(`?prefix=l&limit=3&after=${encodeURIComponent(after)}`);
      found.push(...page.channels.map(({ channel }) => channel));
      after = page.next;
    }
    expect(found).toEqual([...names].sort());
  });

  test("lists channels that only have streams as well, and who listens by a pattern", async () => {
    await publish(server, "both.1", "x");
    await using named = await listen(`${server.url}/stream?channel=both.0&channel=both.2`);
    await using pattern = await listen(`${server.url}/stream?channel=both.*`);
    await Promise.all([named.live(), pattern.live()]);
    const { channels, next } = await list("?prefix=both.");
    expect(channels.map(({ channel, subscribers }) => [channel, subscribers])).toEqual([
      ["both.0", 2],
      ["both.1", 1],
      ["both.2", 2],
    ]);
    expect(next).toBeNull();
    const page = await list("?prefix=both.&limit=2");
    expect(page.channels.map(({ channel }) => channel)).toEqual(["both.0", "both.1"]);
    expect(page.next).toBe("both.1");
    const rest = await list("?prefix=both.&limit=2&after=both.1");
    expect(rest).toMatchObject({ channels: [{ channel: "both.2" }], next: null });
  });

  test("of a prefix that nothing has is empty, whatever the prefix holds", async () => {
    for (const prefix of ["nothing", "%25", "_", "*", "%F0%9F%98%80", "a%00"]) {
      expect(await list(`?prefix=${prefix}`)).toEqual({ channels: [], next: null, complete: true });
    }
  });
});

test("health and readiness are told without a secret, in the one shape", async () => {
  for (const [path, status] of [
    ["/healthz", "ok"],
    ["/readyz", "ready"],
  ] as const) {
    expect((await call<object>(server, "GET", path, { secret: null })).data).toEqual({ status });
  }
});

test("what a backend reads needs the app's secret", async () => {
  for (const path of ["/channels", "/channel/a", "/channel/a/history", "/channel/a%20b/history?limit=x"]) {
    for (const secret of [null, "wrong"]) {
      const { status, error } = await call(server, "GET", path, { secret });
      expect(status).toBe(401);
      expect(error).toMatchObject({ type: "unauthorized" });
    }
  }
});
