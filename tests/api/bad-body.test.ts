import { describe, expect, test } from "bun:test";
import { type Call, post } from "./fixture.ts";
import { unchanged } from "./unchanged.ts";

const LIMIT_BYTES = 256 * 1024;
const gateway = unchanged({ SOCKET_MAX_BODY_BYTES: "256KiB" });

const JSON_TYPE = { "Content-Type": "application/json" };

function json(body: string | Uint8Array<ArrayBuffer>): () => Call {
  return () => ({ body, headers: JSON_TYPE });
}

/** Of chunks, without a Content-Length. */
function chunked(text: string): () => Call {
  return () => ({ body: new Blob([text]).stream(), headers: JSON_TYPE });
}

function form(body: string): () => Call {
  return () => ({ form: body });
}

function typed(type: string): () => Call {
  return () => ({ body: '{"channel":"a"}', headers: { "Content-Type": type } });
}

function encoded(encoding: string): () => Call {
  return () => ({ body: Bun.gzipSync('{"channel":"a"}'), headers: { ...JSON_TYPE, "Content-Encoding": encoding } });
}

function long(bytes: number): string {
  return `{"channel":"a","x":"${"x".repeat(bytes)}"}`;
}

describe("a body", () => {
  const cases: readonly [string, () => Call, string][] = [
    ["of broken JSON", json('{"channel":"a"'), "body_invalid"],
    ["of JSON with text behind it", json('{"channel":"a"}x'), "body_invalid"],
    ["with a `__proto__` key", json('{"channel":"a","__proto__":{"data":1}}'), "body_invalid"],
    [
      "with an escaped `__proto__` key within",
      json(String.raw`{"channel":"a","data":{"__pr\u006fto__":1}}`),
      "body_invalid",
    ],
    ["of 1,001 members", json(`{"channel":"a"${',"x":1'.repeat(1000)}}`), "body_invalid"],
    ["of NaN", json('{"channel":"a","data":NaN}'), "body_invalid"],
    [
      "that is bad UTF-8 in JSON",
      json(new Uint8Array(Buffer.from('{"channel":"a","data":"\xff"}', "latin1"))),
      "body_invalid",
    ],
    ["that is UTF-16", json(new Uint8Array(Buffer.from('\ufeff{"channel":"a"}', "utf16le"))), "body_invalid"],
    ["of bad UTF-8 in a form", form("channel=a&data=%ff"), "parameter_invalid"],
    ["of a broken escape in a form", form("channel=a&data=%zz"), "parameter_invalid"],
    ["of 60 KB of names in a form", form("a&".repeat(30_000)), "bad_request"],
    ["that is plain text", typed("text/plain"), "unsupported_media_type"],
    ["that is XML", typed("application/xml"), "unsupported_media_type"],
    ["of another charset", typed("application/json; charset=iso-8859-1"), "unsupported_media_type"],
    ["of no type", () => ({ body: new Uint8Array(Buffer.from('{"channel":"a"}')) }), "unsupported_media_type"],
    ["of a type that is broken", typed(";"), "unsupported_media_type"],
    ["that is compressed", encoded("gzip"), "unsupported_media_type"],
    ["that says that it is compressed twice", encoded("gzip, br"), "unsupported_media_type"],
    ["over the limit with its length", json(long(LIMIT_BYTES)), "payload_too_large"],
    ["over the limit without its length", chunked(long(LIMIT_BYTES)), "payload_too_large"],
    ["of 20 MB without its length", chunked(" ".repeat(20_000_000)), "payload_too_large"],
  ];
  for (const [name, body, type] of cases) {
    test(`${name} is refused by every address that takes one`, async () => {
      for (const path of ["/chat/send", "/chat/send-multi", "/channel/subscribe"]) {
        const { error } = await post(gateway.server, path, body());
        expect([path, error?.type as string]).toEqual([path, type]);
      }
    });
  }

  test("over 64 KiB is refused by subscribe, which reads it before it knows whose it is", async () => {
    const taken = { secret: null, ...json(long(65_500))() };
    expect((await post(gateway.server, "/channel/subscribe", taken)).error).toMatchObject({ type: "unauthorized" });
    for (const body of [json(long(65_536)), chunked(long(65_536))]) {
      const { error } = await post(gateway.server, "/channel/subscribe", { secret: null, ...body() });
      expect(error).toMatchObject({ type: "payload_too_large" });
    }
  });

  test("that is `__proto__` JSON in a form's `body` is refused", async () => {
    const call = { form: { body: '[{"channel":"a","data":{"__proto__":{}}}]' } };
    expect((await post(gateway.server, "/chat/send-multi", call)).error).toMatchObject({
      type: "batch_invalid",
      field: "body",
    });
  });
});
