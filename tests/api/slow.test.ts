import { connect, type Socket } from "node:net";
import { expect, test } from "bun:test";
import { createParser } from "eventsource-parser";
import { HandClock, publish, SECRET, serve, type Server, subscribers } from "./fixture.ts";
import { listen } from "./listening.ts";

const settings = { SOCKET_STALL: "10s", SOCKET_HISTORY_BYTES: "0", SOCKET_HEARTBEAT: "0" };
/** More than the buffers of both ends of a connection hold. */
const MESSAGES = 200;
const DATA = "x".repeat(60_000);

/** A listener that can stop reading, as one does whose link is slow. */
class Reader {
  /** Whole messages, as far as they were read. */
  readonly ids: string[] = [];
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  #changed = Promise.withResolvers<void>();

  constructor(server: Server, channel: string) {
    const parser = createParser({ onEvent: ({ event, id }) => event === undefined && this.ids.push(id!) });
    this.#socket = connect(server.port, "127.0.0.1").setEncoding("latin1");
    // HTTP/1.0: the body is not in chunks
    this.#socket.write(`GET /channel/${channel}/stream HTTP/1.0\r\nAuthorization: key=${SECRET}\r\n\r\n`);
    this.#socket.on("data", (text: unknown) => {
      parser.feed(text as string);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
    this.#socket.on("error", () => undefined); // the reset of a stream that is cut
    this.closed = new Promise((resolve) => this.#socket.on("close", () => resolve()));
  }

  async read(count: number): Promise<void> {
    while (this.ids.length < count) await this.#changed.promise;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }
}

async function publishMany(server: Server): Promise<string[]> {
  const sent = await Promise.all(Array.from({ length: MESSAGES }, () => publish(server, "news", DATA)));
  return sent.map(({ id }) => id).sort((a, b) => Number(a.split("-")[1]) - Number(b.split("-")[1]));
}

test("a listener that stops reading delays no other, is cut when it stays so, and resumes with nothing lost", async () => {
  const clock = new HandClock();
  await using server = await serve({ clock, settings });
  await using other = await (await listen(`${server.url}/channel/news/stream`)).live();
  const slow = new Reader(server, "news");
  const first = await publishWhen(server, 2);
  await slow.read(1);
  slow.pause();
  const ids = await publishMany(server);
  expect((await other.messages(MESSAGES + 1)).map(({ id }) => id)).toEqual([first, ...ids]);
  expect(await subscribers(server, "news")).toBe(2);
  clock.ms += 10_000;
  while ((await subscribers(server, "news")) > 1); // cut in a tick

  slow.resume();
  await slow.closed;
  expect(slow.ids.length).toBeLessThan(MESSAGES);
  await using resumed = await listen(`${server.url}/channel/news/stream`, { lastEventId: slow.ids.at(-1)! });
  expect(await resumed.told("open")).toMatchObject({ recovered: true });
  const rest = await resumed.messages(MESSAGES + 1 - slow.ids.length);
  expect([...slow.ids, ...rest.map(({ id }) => id!)]).toEqual([first, ...ids]);
});

test("a listener that reads again in time goes on where it was, on the same stream", async () => {
  await using server = await serve({ clock: new HandClock(), settings });
  const slow = new Reader(server, "news");
  const first = await publishWhen(server, 1);
  await slow.read(1);
  slow.pause();
  const ids = await publishMany(server);
  slow.resume();
  await slow.read(MESSAGES + 1);
  expect(slow.ids).toEqual([first, ...ids]);
  slow.close();
});

/** Publishes to as many streams as are expected, once they listen. */
async function publishWhen(server: Server, streams: number): Promise<string> {
  while ((await subscribers(server, "news")) < streams);
  return (await publish(server, "news", "first")).id;
}
