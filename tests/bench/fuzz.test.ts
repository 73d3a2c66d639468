import { describe, expect, test } from "bun:test";
import { faultOf, readAnswer } from "../../bench/proofs/fuzz-answer.ts";
import { requestOf } from "../../bench/proofs/fuzz-requests.ts";
import { Random } from "../../bench/proofs/random.ts";

const ID = "X-Request-Id: abc\r\n";
const JSON_TYPE = "Content-Type: application/json\r\n";
const GOOD = '{"code":0,"data":{},"message":"Success","Error":null}';
const REFUSED =
  '{"code":404,"data":{},"message":"There is no such address.","Error":{"type":"not_found","detail":"x","request_id":"abc"}}';
const STREAM = `HTTP/1.1 200 OK\r\n${ID}Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n`;

function answer(status: string, body: string, headers = ID + JSON_TYPE): string {
  return `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** What the fuzzer says of an answer; undefined while it would wait for more. */
function told(text: string, method = "GET"): string | null | undefined {
  try {
    const read = readAnswer(text, method, true);
    return read === null ? undefined : faultOf(read, method);
  } catch (error) {
    return (error as Error).message;
  }
}

describe("the fuzzer", () => {
  const TAKEN: readonly [string, string, string?][] = [
    ["success", answer("200 OK", GOOD)],
    ["an error", answer("404 Not Found", REFUSED)],
    ["a head", `HTTP/1.1 200 OK\r\n${ID}Content-Length: 9\r\n\r\n`, "HEAD"],
    ["a stream", `${STREAM}c\r\nretry: 200\n\n\r\n`],
    ["a stream that was greeted", `${STREAM}3\r\n:\n\n\r\n`],
    ["a bare refusal of Bun", "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n"],
    ["an answer after a 100", `HTTP/1.1 100 Continue\r\n\r\n${answer("200 OK", GOOD)}`],
  ];
  for (const [name, text, method] of TAKEN) {
    test(`takes ${name}`, () => expect(told(text, method)).toBeNull());
  }

  const FOUND: readonly [string, string, string?][] = [
    ["a 500 in our shape", answer("500 Internal Server Error", REFUSED)],
    ["a bare 503", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"],
    ["no request id", answer("200 OK", GOOD, JSON_TYPE)],
    ["another request id", answer("404 Not Found", REFUSED.replace("abc", "abd"))],
    ["another code", answer("404 Not Found", REFUSED.replace("404", "400"))],
    ["a refusal with data", answer("404 Not Found", REFUSED.replace("{}", '{"a":1}'))],
    ["a success that is none", answer("200 OK", REFUSED)],
    ["JSON that is none", answer("200 OK", GOOD.slice(1))],
    ["text", answer("404 Not Found", "Not Found", `${ID}Content-Type: text/plain\r\n`)],
    ["a body of a HEAD", answer("200 OK", GOOD), "HEAD"],
    ["more than one answer", answer("200 OK", GOOD) + answer("200 OK", GOOD)],
    ["a header twice", answer("200 OK", GOOD, ID + ID + JSON_TYPE)],
    ["a header with a control character", answer("200 OK", GOOD, `${ID}X: a\u0001\r\n`)],
    ["a chunk that is longer than it says", `${STREAM}3\r\n:\n\n\n\r\n`],
    ["a stream that begins with a message", `${STREAM}9\r\ndata: x\n\n\r\n`],
    ["no HTTP", "SSH-2.0-x\r\n\r\n"],
  ];
  for (const [name, text, method] of FOUND) {
    test(`finds ${name}`, () => expect(told(text, method)).toBeString());
  }

  test("waits for the rest of what is not whole", () => {
    for (const [, text, method] of TAKEN) {
      if (method === "HEAD" || !text.includes("Length")) continue;
      for (let end = 0; end < text.length; end++) expect(told(text.slice(0, end))).toBeUndefined();
    }
  });

  test("makes the same request of the same number, and others of others", () => {
    const facts = { epoch: "k3v9x2m7qa", now: 0 };
    const made = Array.from({ length: 500 }, (_, i) => requestOf(new Random(i), facts).bytes.toString("latin1"));
    expect(Array.from({ length: 500 }, (_, i) => requestOf(new Random(i), facts).bytes.toString("latin1"))).toEqual(
      made,
    );
    expect(new Set(made).size).toBeGreaterThan(450);
  });
});
