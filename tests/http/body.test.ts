import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { ApiError } from "../../src/core/errors.ts";
import { failure, nextRequestId, success } from "../../src/http/answer.ts";
import { readBody } from "../../src/http/body.ts";
import { BodyRoom } from "../../src/http/body-room.ts";

const LIMIT = 100_000;
const room = new BodyRoom(250_000);

let server: Bun.Server<undefined>;
/** Told of every refusal, also of one that nobody is left to read. */
let refusal: (type: string) => void = () => undefined;

beforeAll(() => {
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const id = nextRequestId();
      try {
        return success((await readBody(request, LIMIT, room)).length, id);
      } catch (error) {
        if (error instanceof ApiError) refusal(error.type);
        return failure(error, id, () => expect.unreachable("an unexpected error"));
      }
    },
  });
});

afterAll(() => server.stop(true));

interface Answer {
  readonly code: number;
  readonly data: unknown;
  readonly Error: { readonly type: string } | null;
}

async function post(body: RequestInit["body"], headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(server.url, { method: "POST", body: body ?? null, headers });
  expect(response.headers.get("Content-Type")).toBe("application/json");
  return (await response.json()) as Answer;
}

/** A body that is made while it is read, so that it goes out chunked, without Content-Length. */
function chunked(bytes: number): ReadableStream<Uint8Array> {
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      const size = Math.min(left, 10_000);
      left -= size;
      if (size === 0) controller.close();
      else controller.enqueue(new Uint8Array(size).fill(0x61));
    },
  });
}

/** What the server says to these bytes on one connection, up to `answers` answers. */
function exchange(answers: number, ...writes: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port!, "127.0.0.1");
    let said = "";
    socket.on("data", (bytes) => {
      said += bytes.toString();
      if (said.split('"request_id"').length + said.split('"Success"').length - 2 === answers) {
        socket.destroy();
        resolve(said);
      }
    });
    socket.on("error", reject);
    for (const text of writes) socket.write(text);
  });
}

describe("a body within its limit", () => {
  test("is read with and without Content-Length", async () => {
    expect(await post("x".repeat(LIMIT))).toMatchObject({ code: 0, data: LIMIT });
    expect(await post(chunked(LIMIT))).toMatchObject({ code: 0, data: LIMIT });
  });

  test("is empty where there is none", async () => {
    expect(await post(null)).toMatchObject({ data: 0 });
    expect(await post("")).toMatchObject({ data: 0 });
    const request = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    expect(await exchange(1, request)).toContain('"data":0');
  });

  test("has every character, also where a chunk ends within one", async () => {
    const head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    const bytes = Buffer.from("é").toString("latin1");
    const socket = connect(server.port!, "127.0.0.1");
    const said = new Promise<string>((resolve, reject) => {
      socket.on("data", (answer) => resolve(answer.toString()));
      socket.on("error", reject);
    });
    socket.write(Buffer.from(`${head}1\r\n${bytes[0]}\r\n1\r\n${bytes[1]}\r\n0\r\n\r\n`, "latin1"));
    expect(await said).toContain('"data":1,');
    socket.destroy();
  });
});

describe("a body over its limit", () => {
  test("is refused in our shape with Content-Length, before it is sent", async () => {
    const head = `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${LIMIT + 1}\r\n\r\n`;
    const said = await exchange(1, head);
    expect(said).toStartWith("HTTP/1.1 413");
    expect(said).toContain('"payload_too_large"');
  });

  test("is refused in our shape without Content-Length, before its end", async () => {
    expect(await post(chunked(LIMIT + 1))).toMatchObject({ code: 413, Error: { type: "payload_too_large" } });
    expect(await post(chunked(LIMIT * 100))).toMatchObject({ code: 413, Error: { type: "payload_too_large" } });
    const chunk = `c351\r\n${"x".repeat(50_001)}\r\n`;
    const head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    expect(await exchange(1, head, chunk, chunk)).toStartWith("HTTP/1.1 413");
  });

  test("leaves the connection and the server well", async () => {
    const large = `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${LIMIT + 1}\r\n\r\n${"x".repeat(LIMIT + 1)}`;
    const small = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
    expect(await exchange(2, large, small)).toContain('"data":2,');
    expect(await post("abc")).toMatchObject({ code: 0, data: 3 });
  });
});

describe("a body that cannot be read", () => {
  test("is refused when it is not UTF-8", async () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0x61, 0xe2, 0x82]]) {
      const body = new Uint8Array(bytes);
      expect(await post(body)).toMatchObject({ code: 400, Error: { type: "body_invalid" } });
    }
  });

  test("is refused when its sender goes away in the middle", async () => {
    for (const rest of ["Content-Length: 100\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"]) {
      const refused = new Promise<string>((resolve) => (refusal = resolve));
      const socket = connect(server.port!, "127.0.0.1");
      socket.end(`POST / HTTP/1.1\r\nHost: h\r\n${rest}`);
      expect(await refused).toBe("bad_request");
      socket.destroy();
    }
  });

  test("is refused when it is compressed", async () => {
    for (const encoding of ["gzip", "br", "identity, gzip"]) {
      const answer = await post("abc", { "Content-Encoding": encoding });
      expect(answer).toMatchObject({ code: 415, Error: { type: "unsupported_media_type" } });
    }
    expect(await post("abc", { "Content-Encoding": "Identity" })).toMatchObject({ data: 3 });
  });
});

describe("bodies that are still being sent", () => {
  const last = "x".repeat(10);

  /** All but the last ten bytes of a body of 100,000, of which the server reads for certain: it said so. */
  async function begun(chunks: boolean): Promise<Socket> {
    const socket = connect(server.port!, "127.0.0.1");
    const length = chunks ? "Transfer-Encoding: chunked" : `Content-Length: ${LIMIT}`;
    socket.write(`POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n${length}\r\n\r\n`);
    await once(socket, "data");
    const text = "x".repeat(LIMIT - last.length);
    socket.write(chunks ? `${text.length.toString(16)}\r\n${text}\r\n` : text);
    return socket;
  }

  test("have bounded room, which each gives back at its end, however it ends", async () => {
    const [ending, breaking] = [await begun(false), await begun(false)];
    try {
      for (const body of ["x".repeat(60_000), chunked(60_000)]) {
        expect(await post(body)).toMatchObject({ code: 503, Error: { type: "unavailable" } });
      }
      expect(await post("x".repeat(40_000))).toMatchObject({ data: 40_000 });

      ending.write(last);
      expect(String(await once(ending, "data"))).toContain(`"data":${LIMIT},`);
      expect(await post("x".repeat(LIMIT))).toMatchObject({ data: LIMIT });

      const refused = new Promise<string>((resolve) => (refusal = resolve));
      breaking.destroy();
      expect(await refused).toBe("bad_request");
      expect(await Promise.all([post(chunked(LIMIT)), post("x".repeat(LIMIT))])).toMatchObject([
        { data: LIMIT },
        { data: LIMIT },
      ]);
    } finally {
      ending.destroy();
      breaking.destroy();
    }
  });

  test("take room as they come where their length is not told", async () => {
    const sending = await Promise.all([begun(true), begun(true)]);
    try {
      const large = "x".repeat(60_000);
      while ((await post(large)).code === 0); // until the server has read what was sent
      expect(await post("x".repeat(40_000))).toMatchObject({ data: 40_000 });
      for (const socket of sending) {
        socket.write(`a\r\n${last}\r\n0\r\n\r\n`);
        expect(String(await once(socket, "data"))).toContain(`"data":${LIMIT},`);
      }
      expect(await post(large)).toMatchObject({ data: 60_000 });
    } finally {
      for (const socket of sending) socket.destroy();
    }
  });
});

test("one body has room alone, whatever its size", () => {
  const small = new BodyRoom(10);
  small.take(11);
  expect(() => small.take(1)).toThrow("unavailable");
  small.give(11);
  small.take(1);
});
