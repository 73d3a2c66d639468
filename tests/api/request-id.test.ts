import { describe, expect, test } from "bun:test";
import { call, post, publish, request, SECRET, serve } from "./fixture.ts";
import { listen } from "./listening.ts";

type Line = readonly [level: string, message: string, fields: Readonly<Record<string, unknown>>];

/** A log that is kept, with a wait for a line. */
function logbook() {
  const lines: Line[] = [];
  let changed = Promise.withResolvers<void>();
  return {
    lines,
    log: (level: string, message: string, fields: Readonly<Record<string, unknown>> = {}) => {
      lines.push([level, message, fields]);
      changed.resolve();
      changed = Promise.withResolvers();
    },
    line: async (message: string): Promise<Line> => {
      for (;;) {
        const { promise } = changed;
        const found = lines.find((line) => line[1] === message);
        if (found !== undefined) return found;
        await promise;
      }
    },
  };
}

const GIVEN = "trace_7.Ab-0123456789";
const headers = { "X-Request-Id": GIVEN };

describe("the id that a caller gives a request", () => {
  test("comes back with every answer, in the header and in the error", async () => {
    await using server = await serve({ settings: { SOCKET_ADMIN_PORT: "0" } });
    await publish(server, "news", "hello");
    const asked: readonly (readonly [method: string, path: string])[] = [
      ...["/", "/healthz", "/readyz", "/channels", "/streams", "/channel/news", "/channel/news/history"].map(
        (path) => ["GET", path] as const,
      ),
      ...["/nope", "/channel/subscribe", "/channel/a%20b", "/stream"].map((path) => ["GET", path] as const),
      ...[
        "/chat/send?channel=news",
        "/chat/send?channel=",
        "/channel/subscribe?channel=a",
        "/channel/revoke?user=a",
      ].map((path) => ["POST", path] as const),
      ["POST", "/chat/send-multi?body=[]"],
      ["POST", "/channel/renew"],
      ["POST", "/channel/cookie"],
      ["DELETE", "/channel/cookie"],
      ["OPTIONS", "/stream"],
      ["HEAD", "/channel/news/stream"],
    ];
    for (const [method, path] of asked) {
      const response = await request(server, method, path, { headers });
      expect([method, path, response.headers.get("X-Request-Id")]).toEqual([method, path, GIVEN]);
      const text = await response.text();
      if (response.status >= 400) expect(text).toContain(`"request_id":"${GIVEN}"`);
    }
    const metrics = await fetch(`${server.adminUrl}/metrics`, { headers });
    expect(metrics.headers.get("X-Request-Id")).toBe(GIVEN);
  });

  test("is no id of a stream: two streams of one request id are two, and neither is named by it", async () => {
    await using server = await serve();
    const opened = await Promise.all([1, 2].map(() => listen(`${server.url}/channel/news/stream`, { headers })));
    await using one = opened[0]!;
    await using two = opened[1]!;
    const ids = [await one.told("open"), await two.told("open")].map(({ stream }) => stream as string);
    expect(new Set([...ids, GIVEN]).size).toBe(3);
    expect(one.response.headers.get("X-Request-Id")).toBe(GIVEN);
    const { error } = await post(server, "/channel/revoke", { form: { stream: GIVEN } });
    expect(error).toMatchObject({ type: "stream_not_found" });
    expect((await post<object>(server, "/channel/revoke", { form: { stream: ids[0]! } })).data).toMatchObject({
      streams: 1,
    });
    await one.told("live");
    await one.told("close");
    expect(two.ended).toBe(false);
  });
});

describe("the log", () => {
  test("has one line for a closed stream, with what it was", async () => {
    const { log, line, lines } = logbook();
    await using server = await serve({ log });
    for (const data of ["one", "two"]) await publish(server, "news", data);
    {
      await using stream = await listen(`${server.url}/stream?channel=news&channel=more.*&last=2`, { headers });
      const { stream: id } = await stream.told("open");
      await stream.messages(2);
      await stream.told("live");
      await publish(server, "more.1", "three");
      await stream.messages(1);
      await post(server, "/channel/revoke", { form: { stream: id as string } });
      await stream.told("close");
      const [before] = stream.text.split("event: socket:close");
      expect(await line("stream closed")).toEqual([
        "info",
        "stream closed",
        {
          stream: id,
          request: GIVEN,
          app: "default",
          reason: "revoked",
          grant: "secret",
          token: undefined,
          channels: 2,
          duration_ms: expect.any(Number) as number,
          messages: 3,
          replayed: 2,
          bytes: before!.length,
        },
      ]);
      await stream.end();
    }
    expect(lines.filter(([, message]) => message === "stream closed")).toHaveLength(1);
  });

  test("names a stream's request by its id where the caller gave none", async () => {
    const { log, line } = logbook();
    await using server = await serve({ log });
    await (await (await listen(`${server.url}/channel/news/stream`)).live())[Symbol.asyncDispose]();
    const [, , fields] = await line("stream closed");
    expect(fields["request"]).toBe(fields["stream"]);
    expect(fields).toMatchObject({ reason: "client", channels: 1, messages: 0, replayed: 0 });
  });

  test("of who looks closely has a line for a publish and for a refusal, with the id that their answers have", async () => {
    const { log, lines } = logbook();
    await using server = await serve({ log, settings: { SOCKET_LOG_LEVEL: "debug" } });
    const sent = await post<{ id: string }>(server, "/chat/send?event=x", {
      form: { channel: "news", data: "hidden" },
    });
    const refused = await call(server, "GET", "/channel/news/history?limit=hidden", { headers });
    expect(lines).toEqual([
      [
        "debug",
        "published",
        { request: sent.headers.get("X-Request-Id"), app: "default", messages: 1, first: sent.data.id },
      ],
      ["debug", "refused", { request: GIVEN, method: "GET", path: "/channel/news/history", type: "parameter_invalid" }],
    ]);
    expect(refused.status).toBe(400);
    expect(JSON.stringify(lines)).not.toContain("hidden");
    expect(JSON.stringify(lines)).not.toContain(SECRET);
  });
});
