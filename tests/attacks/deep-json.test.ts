import { describe, expect, test } from "bun:test";
import { post } from "../api/fixture.ts";
import { claims, sign } from "../api/tokens.ts";
import { unchanged } from "../api/unchanged.ts";

/** 100,000 levels parse quickly, but what walks them afterwards took a second, or ended at the bottom of the stack. */
const gateway = unchanged();
const JSON_TYPE = { "Content-Type": "application/json" };

function nested(depth: number, [open, close] = ["[", "]"]): string {
  return `${open.repeat(depth)}${close.repeat(depth)}`;
}

const DEEP: readonly [string, string][] = [
  ["33 levels", `{"channel":"a","data":${nested(32)}}`],
  ["30,000 levels of arrays", `{"channel":"a","data":${nested(30_000)}}`],
  ["10,000 levels of objects", `{"channel":"a","data":${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}}`],
  ["open brackets only", "[".repeat(60_000)],
  ["open braces only", '{"a":'.repeat(10_000)],
  ["a batch in a batch", nested(20_000)],
  ["levels in a parameter that is not asked for", `{"channel":"a","x":${nested(1000)}}`],
];

describe("JSON that is too deep is refused by every address that takes a body:", () => {
  for (const [name, body] of DEEP) {
    test(name, async () => {
      for (const path of ["/chat/send", "/chat/send-multi", "/channel/subscribe"]) {
        const { error } = await post(gateway.server, path, { body, headers: JSON_TYPE });
        expect([path, error?.type as string]).toEqual([path, "body_invalid"]);
      }
    });
  }

  test("100,000 levels, where bodies may be so large", async () => {
    const body = `{"channel":"a","data":${nested(100_000)}}`;
    for (const path of ["/chat/send", "/chat/send-multi"]) {
      expect((await post(gateway.server, path, { body, headers: JSON_TYPE })).error!.type).toBe("body_invalid");
    }
  });

  test("in the `body` of a form", async () => {
    const { error } = await post(gateway.server, "/chat/send-multi", { form: { body: nested(10_000) } });
    expect(error).toMatchObject({ type: "batch_invalid", field: "body" });
  });
});

function deep(depth: number): unknown {
  return JSON.parse(nested(depth));
}

test("a token whose header or claims are deep is refused, and opens no stream", async () => {
  for (const token of [sign({ ...claims(["a"]), channels: deep(1000) }), sign({ ...claims(["a"]), sub: deep(1000) })]) {
    const answer = await fetch(`${gateway.server.url}/channel/a/stream?token=${token}`);
    expect(answer.status).toBe(401);
  }
  const header = { alg: "HS256", kid: deep(1000) };
  const answer = await fetch(`${gateway.server.url}/channel/a/stream?token=${sign(claims(["a"]), undefined, header)}`);
  expect(answer.status).toBe(401);
});
