import { describe, expect, test } from "bun:test";
import { call, post, SECRET } from "./fixture.ts";
import { unchanged } from "./unchanged.ts";

const gateway = unchanged();

const LONG = "x".repeat(100_000);

/** Wrong to each address that takes a body: each is tried as it is, and in a batch where it is JSON. */
describe("a message", () => {
  const cases: readonly [string, unknown, string, string][] = [
    ["to a channel with CR", { channel: "a\rb" }, "channel_invalid", "channel"],
    ["to a channel with LF", { channel: "a\nb" }, "channel_invalid", "channel"],
    ["to a channel with NUL", { channel: "a\u0000b" }, "channel_invalid", "channel"],
    ["to a channel with a space", { channel: "a b" }, "channel_invalid", "channel"],
    ["to a channel beyond ASCII", { channel: "é" }, "channel_invalid", "channel"],
    ["to a pattern", { channel: "a.*" }, "channel_invalid", "channel"],
    ["to an empty channel", { channel: "" }, "channel_invalid", "channel"],
    ["to a channel of 201 characters", { channel: "x".repeat(201) }, "channel_invalid", "channel"],
    ["to a channel of 100 KB", { channel: LONG }, "channel_invalid", "channel"],
    ["to a number", { channel: 1 }, "channel_invalid", "channel"],
    ["to several channels", { channel: ["a", "b"] }, "channel_invalid", "channel"],
    ["with CR in its event", { channel: "a", event: "a\rb" }, "event_invalid", "event"],
    ["with LF in its event", { channel: "a", event: "a\nid: 1" }, "event_invalid", "event"],
    ["with NUL in its event", { channel: "a", event: "a\u0000b" }, "event_invalid", "event"],
    ["with U+0085 in its event", { channel: "a", event: "a\u0085b" }, "event_invalid", "event"],
    ["with an empty event", { channel: "a", event: "" }, "event_invalid", "event"],
    ["with an event of 201 characters", { channel: "a", event: "x".repeat(201) }, "event_invalid", "event"],
    ["with an event of 100 KB", { channel: "a", event: LONG }, "event_invalid", "event"],
    ["with an event that is a number", { channel: "a", event: 1 }, "event_invalid", "event"],
    ["with an event of the service", { channel: "a", event: "socket:open" }, "event_invalid", "event"],
    ["with an unknown event of the service", { channel: "a", event: "socket:" }, "event_invalid", "event"],
    ["with the event `error`", { channel: "a", event: "error" }, "event_invalid", "event"],
    ["with the event `open`", { channel: "a", event: "open" }, "event_invalid", "event"],
    ["with half a surrogate pair in its event", { channel: "a", event: "\ud800" }, "event_invalid", "event"],
    ["with half a surrogate pair in its data", { channel: "a", data: "\udfff" }, "data_invalid", "data"],
    ["with data over the limit", { channel: "a", data: "x".repeat(65_537) }, "payload_too_large", "data"],
    ["with data over the limit in bytes", { channel: "a", data: "é".repeat(32_769) }, "payload_too_large", "data"],
    ["with JSON over the limit", { channel: "a", data: ["x".repeat(65_536)] }, "payload_too_large", "data"],
  ];
  for (const [name, json, type, field] of cases) {
    test(`${name} is refused, alone and in a batch`, async () => {
      expect((await post(gateway.server, "/chat/send", { json })).error).toMatchObject({ type, field });
      const batch = await post(gateway.server, "/chat/send-multi", { json: [{ channel: "a" }, json] });
      expect(batch.error).toMatchObject({ type, field: `body[1].${field}` });
    });
  }
});

test("a secret that is wrong, absent or of another form publishes nothing, whatever else is wrong", async () => {
  const authorizations = [
    "",
    "key=",
    `key=${SECRET}x`,
    `Basic ${btoa(`a:${SECRET}`)}`,
    SECRET,
    `key=${SECRET},key=${SECRET}`,
  ];
  for (const Authorization of authorizations) {
    const headers = { "Content-Type": "application/json", Authorization };
    for (const body of ['{"channel":"a"}', "{", LONG]) {
      const { status, error } = await call(gateway.server, "POST", "/chat/send", { secret: null, headers, body });
      expect(status).toBe(401);
      expect(JSON.stringify(error)).not.toContain(SECRET.slice(10));
    }
  }
});
