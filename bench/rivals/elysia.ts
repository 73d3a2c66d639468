/** A bare Elysia route with `sse()`: a generator a stream, woken for every message. No checks, no history. */
import { Elysia, sse } from "elysia";

interface Published {
  channel: string;
  event: string;
  data: string;
}

interface Stream {
  waiting: Published[];
  wake: () => void;
}

const channels = new Map<string, Set<Stream>>();
let seq = 0;

new Elysia({ serve: { idleTimeout: 0, reusePort: false } })
  .get("/channel/:channel/stream", async function* ({ params }) {
    const stream: Stream = { waiting: [], wake: () => {} };
    const streams = channels.get(params.channel) ?? new Set();
    channels.set(params.channel, streams.add(stream));
    try {
      yield sse({ event: "open", data: "hi" });
      while (true) {
        if (stream.waiting.length === 0) await new Promise<void>((resolve) => (stream.wake = resolve));
        const messages = stream.waiting;
        stream.waiting = [];
        for (const { event, data } of messages) yield sse({ id: `bench-${seq}`, event, data });
      }
    } finally {
      streams.delete(stream);
    }
  })
  .post("/chat/send", ({ body }) => {
    const message = body as Published;
    seq += 1;
    for (const stream of channels.get(message.channel) ?? []) {
      stream.waiting.push(message);
      stream.wake();
    }
    return { code: 0, data: { id: `bench-${seq}`, channel: message.channel }, message: "Success", Error: null };
  })
  .listen({ hostname: "127.0.0.1", port: Number(process.env["PORT"]) });
