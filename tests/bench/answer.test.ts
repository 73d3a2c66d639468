import { describe, expect, test } from "bun:test";
import { AnswerReader } from "../../bench/proofs/answer.ts";

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
const SIZED = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 6\r\n\r\nhello!";

function read(parts: readonly string[]): [status: number, body: string, complete: boolean] {
  let body = "";
  const reader = new AnswerReader((bytes) => (body += Buffer.from(bytes).toString()));
  for (const part of parts) reader.feed(Buffer.from(part));
  return [reader.status, body, reader.complete];
}

describe("an answer", () => {
  test.each([
    ["in chunks", CHUNKED, 200],
    ["by its length", SIZED, 429],
  ])("%s is read the same at every split", (_, text, status) => {
    for (let at = 0; at <= text.length; at++) {
      expect(read([text.slice(0, at), text.slice(at)])).toEqual([status, "hello!", true]);
    }
    expect(read(text.split(""))).toEqual([status, "hello!", true]);
  });

  test("is not complete before its last byte", () => {
    for (const text of [CHUNKED, SIZED]) expect(read([text.slice(0, -1)])[2]).toBe(false);
  });

  test("is refused where it is no HTTP, or has more than its body", () => {
    for (const text of ["HTTP/2 200\r\n\r\n", `${CHUNKED}!`, `${SIZED}!`, CHUNKED.replace("5\r\n", "x\r\n")]) {
      expect(() => read([text])).toThrow();
    }
  });
});
