import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { history, post, publish, type Sent, serve, type Server } from "./fixture.ts";
import { listen } from "./listening.ts";

let server: Server;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server[Symbol.asyncDispose]());

const PARTS = { channel: "news", event: "alert", data: "hello" };

describe("POST /chat/send", () => {
  test("takes its parameters from the query, as the API document has them", async () => {
    const query = new URLSearchParams({ ...PARTS, channel: "by-query" });
    const { data } = await post<Sent>(server, `/chat/send?${query}`);
    expect(data).toEqual({ id: data.id, channel: "by-query", subscribers: 0 });
    const { messages } = await history(server, "by-query");
    expect(messages).toEqual([{ ...messages[0]!, channel: "by-query", event: "alert", data: "hello", id: data.id }]);
  });

  test("takes its parameters from a JSON body", async () => {
    const { data } = await post<Sent>(server, "/chat/send", { json: { ...PARTS, channel: "by-json" } });
    expect((await history(server, "by-json")).messages).toMatchObject([{ event: "alert", data: "hello", id: data.id }]);
  });

  test("takes its parameters from an urlencoded form", async () => {
    const { data } = await post<Sent>(server, "/chat/send", { form: { ...PARTS, channel: "by-form" } });
    expect((await history(server, "by-form")).messages).toMatchObject([{ event: "alert", data: "hello", id: data.id }]);
  });

  test("takes some parameters from the query and the others from the body", async () => {
    await post(server, "/chat/send?channel=by-both&event=alert", { json: { data: { a: 1 } } });
    await post(server, "/chat/send?channel=by-both", { form: { data: "text" } });
    expect((await history(server, "by-both")).messages).toMatchObject([
      { event: "alert", data: { a: 1 } },
      { event: "message", data: "text" },
    ]);
  });

  test("takes the secret as `key=` and as `Bearer`, the scheme in any case", async () => {
    for (const scheme of ["key=", "KEY=", "Bearer ", "bearer "]) {
      const headers = { Authorization: `${scheme}secret-of-the-default-app-in-these-tests` };
      const { status } = await post(server, "/chat/send?channel=schemes", { headers });
      expect(status).toBe(200);
    }
  });

  test("takes a body in chunks, without a Content-Length", async () => {
    const body = new Blob(['{"channel":"chunked",', '"data":"é"}']).stream();
    const { data } = await post<Sent>(server, "/chat/send", { body, headers: { "Content-Type": "application/json" } });
    expect((await history(server, "chunked")).messages).toMatchObject([{ data: "é", id: data.id }]);
  });

  test("takes a charset and a byte order mark of UTF-8", async () => {
    const headers = { "Content-Type": 'Application/JSON; charset="UTF-8"' };
    const sent = await post(server, "/chat/send", { body: `\ufeff{"channel":"charset"}`, headers });
    expect(sent.status).toBe(200);
  });

  test("counts the streams that the message reaches", async () => {
    await using one = await listen(`${server.url}/channel/counted/stream`);
    await using two = await listen(`${server.url}/stream?channel=*`);
    await using three = await listen(`${server.url}/stream?channel=counted&channel=*&format=envelope`);
    await using other = await listen(`${server.url}/channel/uncounted/stream`);
    await Promise.all([one, two, three, other].map((stream) => stream.live()));
    expect((await publish(server, "counted", "x")).subscribers).toBe(3);
  });
});

describe("a parameter", () => {
  const cases: readonly [string, string, Readonly<Record<string, unknown>>][] = [
    ["event null", "message", { event: null, data: "a" }],
    ["event absent", "message", { data: "a" }],
    ["event `message`", "message", { event: "message", data: "a" }],
    ["event of 200 characters beyond ASCII", "é\u2028".repeat(100), { event: "é\u2028".repeat(100), data: "a" }],
  ];
  for (const [name, event, json] of cases) {
    test(`${name}: the message has the event ${event.slice(0, 10)}`, async () => {
      const { data } = await post<Sent>(server, "/chat/send", { json: { channel: "events", ...json } });
      const { messages } = await history(server, "events");
      expect(messages.at(-1)).toMatchObject({ event, id: data.id });
    });
  }

  test("channel absent or null is refused with its field", async () => {
    for (const call of [{}, { json: { channel: null } }, { json: {} }, { form: "" }, { form: "data=x" }]) {
      const { status, error } = await post(server, "/chat/send", call);
      expect(status).toBe(400);
      expect(error).toMatchObject({ type: "channel_invalid", field: "channel" });
    }
  });

  test("given twice in one place, or in two, is refused", async () => {
    const twice = [
      ["/chat/send?channel=a&channel=b", {}],
      ["/chat/send", { form: "channel=a&data=x&data=y" }],
      ["/chat/send?channel=twice", { json: { channel: "twice" } }],
      ["/chat/send?channel=twice", { form: "channel=twice" }],
      ["/chat/send", { body: '{"channel":"a","data":1,"data":1}', headers: { "Content-Type": "application/json" } }],
      ["/chat/send?channel=a&event=b&%65vent=b", {}],
    ] as const;
    for (const [path, call] of twice) {
      const { error } = await post(server, path, call);
      expect(error).toMatchObject({ type: "parameter_repeated" });
      expect(["channel", "data", "event"]).toContain(error!.field!);
    }
    expect((await history(server, "twice")).messages).toEqual([]);
  });

  test("that is unknown is ignored, however often it is given", async () => {
    const path = "/chat/send?channel=unknown&x=1&x=2&toString=3";
    expect((await post(server, path, { json: { data: 1, x: 4, Channel: "other", constructor: 5 } })).status).toBe(200);
  });

  test("app_secret in the query is refused, and the sentence names the header", async () => {
    const paths = [
      ["POST", "/chat/send?channel=in-query&app_secret=secret-of-the-default-app-in-these-tests"],
      ["POST", "/chat/send-multi?body=[]&app_secret=x"],
      ["GET", "/channel/in-query?app_secret="],
      ["GET", "/channel/in-query/history?app_secret=x&app_secret=y"],
      ["GET", "/channels?app%5Fsecret=x"],
      ["GET", "/channel/in-query/stream?app_secret=x"],
      ["GET", "/stream?channel=a&app_secret=x"],
    ] as const;
    for (const secret of [undefined, null]) {
      for (const [method, path] of paths) {
        const response = await fetch(server.url + path, {
          method,
          headers: secret === null ? {} : { Authorization: `key=secret-of-the-default-app-in-these-tests` },
        });
        expect(response.status).toBe(401);
        expect(response.headers.get("WWW-Authenticate")).toBe("Bearer");
        expect(await response.text()).toContain("Authorization: key=");
      }
    }
    expect((await history(server, "in-query")).messages).toEqual([]);
  });
});
