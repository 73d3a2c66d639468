import { connect, type Socket } from "node:net";
import { describe, expect, test } from "bun:test";
import { publish, SECRET, serve, type Server, subscribers } from "./fixture.ts";
import { listen } from "./listening.ts";

const STREAM = `GET /channel/news/stream HTTP/1.1\r\nHost: x\r\nAuthorization: key=${SECRET}\r\n\r\n`;
const REPLAY = STREAM.replace("/stream", "/stream?last=50");
const SEND = `POST /chat/send HTTP/1.1\r\nHost: x\r\nAuthorization: key=${SECRET}\r\nContent-Type: application/json\r\n`;
const DATA = "x".repeat(60_000);

/** How a listener goes: in order, or with a reset. */
const WAYS: readonly [string, (connection: Socket) => unknown][] = [
  ["with a FIN", (connection) => connection.destroy()],
  ["with a reset", (connection) => connection.resetAndDestroy()],
];

function open(server: Server): Socket {
  return connect(server.port, "127.0.0.1").on("error", () => undefined);
}

/** Resolves once at least so many bytes came; it reads no further. */
function read(connection: Socket, bytes: number): Promise<void> {
  let came = 0;
  return new Promise((resolve) => {
    connection.on("data", (chunk: Buffer) => {
      came += chunk.length;
      if (came < bytes) return;
      connection.pause();
      resolve();
    });
  });
}

const MOMENTS: readonly [string, (connection: Socket, server: Server) => unknown][] = [
  ["before its first byte", () => undefined],
  ["in the middle of its request", (connection) => connection.write(STREAM.slice(0, 40))],
  ["in the middle of a body", (connection) => connection.write(`${SEND}Content-Length: 100\r\n\r\n{"channel":`)],
  ["right after its request", (connection) => connection.write(STREAM)],
  ["right after a publish", (connection) => connection.write(`${SEND}Content-Length: 17\r\n\r\n{"channel":"other"}`)],
  ["while its beginning is looked for", (connection) => connection.write(REPLAY)],
  [
    "at the first byte of the answer",
    async (connection) => {
      connection.write(STREAM);
      await read(connection, 1);
    },
  ],
  [
    "in the middle of a replay that it does not read",
    async (connection) => {
      connection.write(REPLAY);
      await read(connection, 100_000);
    },
  ],
  [
    "while a message is being written to it",
    async (connection, server) => {
      connection.write(STREAM);
      await read(connection, 200);
      void publish(server, "news", DATA);
    },
  ],
];

describe("a listener that vanishes leaves nothing and disturbs nobody,", () => {
  for (const [way, vanish] of WAYS) {
    for (const [moment, act] of MOMENTS) {
      test(`${way} ${moment}`, async () => {
        await using server = await serve();
        for (let i = 0; i < 50; i++) await publish(server, "news", DATA);
        await using other = await (await listen(`${server.url}/channel/other/stream`)).live();
        for (let round = 0; round < 5; round++) {
          const connection = open(server);
          await act(connection, server);
          vanish(connection);
        }
        while ((await subscribers(server, "news")) > 0);
        await publish(server, "other", "still here");
        const heard: unknown[] = [];
        while (heard.at(-1) !== "still here") heard.push((await other.next()).data);
      });
    }
  }
});

test("listeners that vanish while the node is stopped do not keep it", async () => {
  const server = await serve({ settings: { SOCKET_DRAIN: "300ms" } });
  const connections = Array.from({ length: 20 }, () => open(server));
  for (const connection of connections) connection.write(STREAM);
  while ((await subscribers(server, "news")) < connections.length);
  const stopped = server.stop();
  for (const [i, connection] of connections.entries()) WAYS[i % 2]![1](connection);
  await stopped;
  expect(server.unexpected).toEqual([]);
});

test("a log that throws keeps no stream from ending, and no request from its answer", async () => {
  await using server = await serve({
    log: () => {
      throw new Error("no log");
    },
  });
  for (let i = 0; i < 5; i++) {
    await using stream = await (await listen(`${server.url}/channel/news/stream`)).live();
    await publish(server, "news", "x");
    await stream.messages(1);
  }
  while ((await subscribers(server, "news")) > 0);
});
