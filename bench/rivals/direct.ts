/**
 * The least that this platform can do of the same work: `Bun.serve`, a direct stream a listener, and one row of SQLite a
 * message, stored in one transaction a turn of the event loop. No routes, no checks, no replay, no slow readers.
 */
import { Database, type Statement } from "bun:sqlite";
import { join } from "node:path";

interface Published {
  readonly channel: string;
  readonly event: string;
  readonly data: string;
}

/** What Bun gives to the `pull` of a direct stream. */
interface Stream {
  write(bytes: Uint8Array): void;
}

const encoder = new TextEncoder();
const GREETING = encoder.encode(": hi\n\n");
const STREAM_HEADERS = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-store, no-transform",
  "X-Accel-Buffering": "no",
  "Access-Control-Allow-Origin": "*",
  Connection: "close",
};

const channels = new Map<string, Set<Stream>>();
let waiting: { readonly message: Published; readonly kept: (seq: number) => void }[] = [];
let seq = 0;

const db = new Database(join(process.env["DATA"]!, "messages.db"));
db.run("PRAGMA journal_mode = WAL");
db.run("PRAGMA synchronous = NORMAL");
db.run("CREATE TABLE messages (seq INTEGER PRIMARY KEY, channel TEXT, event TEXT, data TEXT) STRICT");
const [begin, insert, commit] = [
  "BEGIN IMMEDIATE",
  "INSERT INTO messages (seq, channel, event, data) VALUES (?, ?, ?, ?)",
  "COMMIT",
].map((sql) => db.prepare(sql)) as [Statement, Statement, Statement];

function channelOf(name: string): Set<Stream> {
  let streams = channels.get(name);
  if (streams === undefined) channels.set(name, (streams = new Set()));
  return streams;
}

function turn(): void {
  const batch = waiting;
  waiting = [];
  const first = seq + 1;
  begin.run();
  for (const { message } of batch) insert.run(++seq, message.channel, message.event, message.data);
  commit.run();
  for (const [i, { message, kept }] of batch.entries()) {
    kept(first + i);
    const frame = encoder.encode(`id: bench-${first + i}\nevent: ${message.event}\ndata: ${message.data}\n\n`);
    for (const stream of channelOf(message.channel)) stream.write(frame);
  }
}

async function publish(request: Request): Promise<Response> {
  const message = (await request.json()) as Published;
  const at = await new Promise<number>((kept) => {
    if (waiting.push({ message, kept }) === 1) setImmediate(turn);
  });
  const data = { id: `bench-${at}`, channel: message.channel };
  return Response.json({ code: 0, data, message: "Success", Error: null });
}

function open(channel: string): Response {
  const streams = channelOf(channel);
  let end: (() => void) | undefined;
  const source = {
    type: "direct",
    pull(stream: Stream) {
      streams.add(stream);
      stream.write(GREETING);
      return new Promise<void>((resolve) => {
        end = () => {
          streams.delete(stream);
          resolve();
        };
      });
    },
    cancel: () => end?.(),
  };
  return new Response(new ReadableStream(source as unknown as UnderlyingDefaultSource), { headers: STREAM_HEADERS });
}

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env["PORT"]),
  idleTimeout: 0,
  fetch(request) {
    if (request.method === "POST") return publish(request);
    const channel = /\/channel\/([^/]+)\/stream$/.exec(request.url)?.[1];
    return channel === undefined ? new Response(null, { status: 404 }) : open(channel);
  },
});
