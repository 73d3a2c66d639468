import { describe, expect, test } from "bun:test";
import { raw, SECRET, WHOLE } from "./fixture.ts";
import { unchanged } from "./unchanged.ts";

const gateway = unchanged({ SOCKET_MAX_BODY_BYTES: "256KiB" });

describe("on the wire", () => {
  const key = `Host: x\r\nAuthorization: key=${SECRET}\r\n`;
  const send = `POST /chat/send HTTP/1.1\r\n${key}Content-Type: application/json\r\n`;

  const cases: readonly [string, string, number][] = [
    [
      "a body that is shorter than its length, then silence",
      `POST /chat/send HTTP/1.1\r\n${key}Content-Length: 300000\r\n\r\n`,
      413,
    ],
    ["bytes that are no UTF-8 in a path", `GET /channel/\xff\xfe HTTP/1.1\r\n${key}\r\n`, 400],
    ["escapes that are no UTF-8 in a path", `GET /channel/%ff HTTP/1.1\r\n${key}\r\n`, 400],
    ["a broken escape in a path", `GET /channel/%zz/history HTTP/1.1\r\n${key}\r\n`, 400],
    ["%00 in a path", `GET /channel/a%00/stream HTTP/1.1\r\n${key}\r\n`, 400],
    ["%0d%0a in a path", `GET /channel/a%0d%0aX:%20y HTTP/1.1\r\n${key}\r\n`, 400],
    [
      "escapes that are no UTF-8 in a query",
      `POST /chat/send?channel=a&data=%ff HTTP/1.1\r\n${key}Content-Length: 0\r\n\r\n`,
      400,
    ],
    ["%00 in a channel of the query", `POST /chat/send?channel=a%00 HTTP/1.1\r\n${key}Content-Length: 0\r\n\r\n`, 400],
    [
      "10 KB of names in a query",
      `POST /chat/send?${"a&".repeat(5000)} HTTP/1.1\r\n${key}Content-Length: 0\r\n\r\n`,
      400,
    ],
    ["a name of 10 KB in a path", `GET /channel/${"x".repeat(10_000)} HTTP/1.1\r\n${key}\r\n`, 400],
    ["a query where there is none of use", `GET /healthz?%ff&a=1&a=2 HTTP/1.1\r\n${key}\r\n`, 200],
    [
      "two Authorization headers",
      `${send}Authorization: key=${SECRET}\r\nContent-Length: 15\r\n\r\n{"channel":"a"}`,
      401,
    ],
  ];
  for (const [name, bytes, status] of cases) {
    test(`${name}: ${status} in the one shape`, async () => {
      expect(await raw(gateway.server, Buffer.from(bytes, "latin1"), WHOLE)).toStartWith(`HTTP/1.1 ${status} `);
    });
  }

  test("100-continue is answered, and the body that follows is refused or taken as any other", async () => {
    const length = '{"channel":"a b"}'.length;
    const start = `${send}Expect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;
    const answer = await raw(gateway.server, `${start}{"channel":"a b"}`, WHOLE);
    expect(answer).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 400 .*channel_invalid/s);
  });
});
