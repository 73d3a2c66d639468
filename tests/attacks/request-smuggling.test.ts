import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { history, raw, SECRET, serve, type Server, WHOLE } from "../api/fixture.ts";
import { unchanged } from "../api/unchanged.ts";

/**
 * Requests on whose end two programs could disagree, so that what follows is a request to one and a body to the other.
 * Bun refuses what is ambiguous, by an answer of its own without a body, and closes the connection.
 */
const KEY = `Host: x\r\nAuthorization: key=${SECRET}\r\nContent-Type: application/json\r\n`;
const SEND = `POST /chat/send HTTP/1.1\r\n${KEY}`;
const BODY = '{"channel":"a"}';
const LENGTH = `Content-Length: ${BODY.length}\r\n`;
const CHUNK = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`;
const SMUGGLED = `POST /chat/send?channel=smuggled HTTP/1.1\r\n${KEY}Content-Length: 0\r\n\r\n`;

const AMBIGUOUS: readonly [string, string][] = [
  ["a length and chunks", `${SEND}${LENGTH}Transfer-Encoding: chunked\r\n\r\n${CHUNK}`],
  ["chunks and a length", `${SEND}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`],
  ["two lengths", `${SEND}${LENGTH}Content-Length: 16\r\n\r\n${BODY}`],
  ["a list of lengths", `${SEND}Content-Length: 15, 15\r\n\r\n${BODY}`],
  ["a length with a sign", `${SEND}Content-Length: +15\r\n\r\n${BODY}`],
  ["a length below zero", `${SEND}Content-Length: -1\r\n\r\n${BODY}`],
  ["a length in base 16", `${SEND}Content-Length: 0xf\r\n\r\n${BODY}`],
  ["a length that is text", `${SEND}Content-Length: x\r\n\r\n${BODY}`],
  ["a length of nothing", `${SEND}Content-Length:\r\n\r\n${BODY}`],
  ["a length beyond all numbers", `${SEND}Content-Length: 99999999999999999999\r\n\r\n${BODY}`],
  ["a space before the colon of a length", `${SEND}Content-Length : 15\r\n\r\n${BODY}`],
  ["a space before the colon of an encoding", `${SEND}Transfer-Encoding : chunked\r\n\r\n${CHUNK}`],
  ["an encoding that is nearly chunked", `${SEND}Transfer-Encoding: xchunked\r\n\r\n${CHUNK}`],
  ["chunked, and not last", `${SEND}Transfer-Encoding: chunked, identity\r\n\r\n${CHUNK}`],
  ["identity", `${SEND}Transfer-Encoding: identity\r\n\r\n${BODY}`],
  ["gzip in chunks", `${SEND}Transfer-Encoding: gzip, chunked\r\n\r\n${CHUNK}`],
  ["chunked twice", `${SEND}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNK}`],
  ["a line end in a chunk's extension", `${SEND}Transfer-Encoding: chunked\r\n\r\nf;a\nb\r\n${BODY}\r\n0\r\n\r\n`],
  ["a chunk's size with 0x", `${SEND}Transfer-Encoding: chunked\r\n\r\n0xf\r\n${BODY}\r\n0\r\n\r\n`],
  ["a chunk's size below zero", `${SEND}Transfer-Encoding: chunked\r\n\r\n-1\r\n${BODY}\r\n0\r\n\r\n`],
  ["a chunk's size of 72 bits", `${SEND}Transfer-Encoding: chunked\r\n\r\n${"f".repeat(18)}\r\n${BODY}\r\n0\r\n\r\n`],
  ["chunks whose lines end with LF", `${SEND}Transfer-Encoding: chunked\r\n\r\nf\n${BODY}\n0\n\n`],
  ["a chunk that is longer than its size", `${SEND}Transfer-Encoding: chunked\r\n\r\n5\r\n${BODY}\r\n0\r\n\r\n`],
  ["a field over two lines", `${SEND}X: a\r\n b\r\n${LENGTH}\r\n${BODY}`],
  ["CR alone in a field", `${SEND}X: a\rContent-Length: 5\r\n\r\n`],
  ["NUL in a field's name", `${SEND}X\u0000: a\r\n${LENGTH}\r\n${BODY}`],
  ["a space in a field's name", `${SEND}X Y: a\r\n${LENGTH}\r\n${BODY}`],
  ["lines that end with LF", `POST /chat/send?channel=a HTTP/1.1\nHost: x\nAuthorization: key=${SECRET}\n\n`],
  ["HTTP/0.9", "GET /chat/send?channel=a\r\n\r\n"],
  ["HTTP/2 by its preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
];

describe("is refused, closes the connection, and what follows it is no request:", () => {
  const gateway = unchanged();
  for (const [name, bytes] of AMBIGUOUS) {
    test(name, async () => {
      const answer = await raw(gateway.server, Buffer.from(bytes + SMUGGLED, "latin1"), /never/); // until it is closed
      expect(answer).toMatch(/^HTTP\/1\.1 (400|505) [^\r]*\r\n(?:[^\r]+\r\n)*\r\n$/);
    });
  }

  test("a chunk of more than all memory waits for its bytes, and takes none", async () => {
    const bytes = `${SEND}Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n${SMUGGLED}`;
    // 1.5 MB of it are enough to refuse it, of a body that may have 1 MiB
    const answer = await raw(gateway.server, bytes + "x".repeat(1_500_000), WHOLE);
    expect(answer).toStartWith("HTTP/1.1 413 ");
  });
});

describe("is taken as the one request that it is:", () => {
  let server: Server;
  beforeAll(async () => {
    server = await serve();
  });
  afterAll(async () => {
    expect((await history(server, "smuggled")).messages).toEqual([]);
    await server[Symbol.asyncDispose]();
  });

  const TAKEN: readonly [string, string][] = [
    ["the same length twice", `${SEND}${LENGTH}${LENGTH}\r\n${BODY}`],
    ["a chunk with an extension", `${SEND}Transfer-Encoding: chunked\r\n\r\nf;a=b\r\n${BODY}\r\n0;x\r\n\r\n`],
    [
      "a chunk's size with zeros before it",
      `${SEND}Transfer-Encoding: chunked\r\n\r\n0000000f\r\n${BODY}\r\n0\r\n\r\n`,
    ],
    ["chunked after a tab, in capitals", `${SEND}Transfer-Encoding:\tCHUNKED\r\n\r\n${CHUNK}`],
    ["an address of another host", `${SEND.replace("/chat", "http://evil.example/chat")}${LENGTH}\r\n${BODY}`],
  ];
  for (const [i, [name, bytes]] of TAKEN.entries()) {
    test(name, async () => {
      expect(await raw(server, bytes, WHOLE)).toStartWith("HTTP/1.1 200 ");
      expect((await history(server, "a")).messages).toHaveLength(i + 1);
    });
  }

  test("a GET with a body, in which a request stands", async () => {
    const bytes = `GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`;
    expect((await raw(server, bytes, WHOLE)).match(/HTTP\/1\.1 /g)).toHaveLength(1);
  });

  test("a refused body, in which a request stands", async () => {
    const bytes = `${SEND.replace("json", "xml")}Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`;
    const answer = await raw(server, bytes, WHOLE);
    expect(answer).toStartWith("HTTP/1.1 415 ");
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  });

  test("a path with a fragment, which is no address", async () => {
    const answer = await raw(server, "GET /healthz#x HTTP/1.1\r\nHost: x\r\n\r\n", WHOLE);
    expect(answer).toStartWith("HTTP/1.1 404 ");
  });
});
