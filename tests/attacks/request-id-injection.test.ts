import { afterAll, beforeAll, expect, test } from "bun:test";
import { raw, SECRET, serve, type Server, WHOLE } from "../api/fixture.ts";

const lines: string[] = [];
const log = (...line: unknown[]) => void lines.push(JSON.stringify(line));
let server: Server;
beforeAll(async () => {
  server = await serve({ log, settings: { SOCKET_LOG_LEVEL: "debug" } });
});
afterAll(() => server[Symbol.asyncDispose]());

/** The `X-Request-Id` and the body of a refusal and of a publish, of requests that bring this one. */
async function answers(given: string): Promise<readonly (readonly [id: string, body: string])[]> {
  const found: [string, string][] = [];
  for (const path of ["/chat/send", "/chat/send?channel=news"]) {
    const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: key=${SECRET}\r\nX-Request-Id: ${given}\r\n`;
    const answer = await raw(server, `${head}Content-Length: 0\r\n\r\n`, WHOLE);
    const [headers, body] = answer.split("\r\n\r\n");
    const ids = [...headers!.matchAll(/^x-request-id: (.*)$/gim)].map(([, id]) => id!);
    expect(ids).toHaveLength(1);
    found.push([ids[0]!, body!]);
  }
  return found;
}

test.each([
  ["quotes and braces", '","level":60,"msg":"forged'],
  ["a line end in a URL's way", "abcdefgh%0d%0aSet-Cookie:a=b"],
  ["a tab", "abcdefgh\tijkl"],
  ["spaces", "two words"],
  ["markup", "<script>alert(1)</script>"],
  ["letters beyond ASCII", "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"],
  ["nothing", ""],
  ["a few characters", "short-1"],
  ["more than 64 characters", "x".repeat(65)],
  ["kilobytes", "x".repeat(8000)],
  ["a token", `eyJhbGciOiJIUzI1NiJ9.${"e".repeat(80)}.${"s".repeat(43)}`],
  ["two of them", "first-request\r\nX-Request-Id: second-request"],
])("an X-Request-Id of %s is not taken, and stands in no answer and no line of the log", async (_what, given) => {
  const before = lines.length;
  for (const [id, body] of await answers(given)) {
    expect(id).toMatch(/^[0-9a-f]{16}$/);
    if (body.includes("request_id")) expect(body).toContain(`"request_id":"${id}"`);
  }
  const told = lines.slice(before);
  expect(told).toHaveLength(2);
  for (const line of told) expect(line).toMatch(/"request":"[0-9a-f]{16}"/);
});

test("one of 8 to 64 letters, digits, dots, dashes and underscores is taken", async () => {
  for (const given of [
    "12345678",
    "0af7651916cd43dd8448eb211c80319c",
    crypto.randomUUID(),
    "x".repeat(64),
    "a.b-c_d.",
  ]) {
    for (const [id] of await answers(given)) expect(id).toBe(given);
  }
});
