/**
 * The floor: plain TCP that answers HTTP by hand. No routing, no checks, no history, no batching: each publish is
 * encoded once and written to every socket of its channel at once. What a socket does not take is kept for it.
 */
import type { Socket } from "bun";

interface State {
  /** What came of a request that is not whole yet. */
  request: string;
  channel: Set<Socket<State>> | null;
  unsent: Uint8Array[];
}

const STREAM_HEAD =
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store, no-transform\r\n" +
  "X-Accel-Buffering: no\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n: hi\n\n";

const channels = new Map<string, Set<Socket<State>>>();
const encoder = new TextEncoder();
let seq = 0;

function channelOf(name: string): Set<Socket<State>> {
  let streams = channels.get(name);
  if (streams === undefined) channels.set(name, (streams = new Set()));
  return streams;
}

function write(socket: Socket<State>, bytes: Uint8Array): void {
  if (socket.data.unsent.length > 0) {
    socket.data.unsent.push(bytes);
    return;
  }
  const took = socket.write(bytes);
  if (took < bytes.length) socket.data.unsent.push(bytes.subarray(Math.max(took, 0)));
}

function publish(body: string): string {
  const { channel, event, data } = JSON.parse(body) as { channel: string; event: string; data: string };
  const frame = encoder.encode(`id: bench-${++seq}\nevent: ${event}\ndata: ${data}\n\n`);
  for (const socket of channels.get(channel) ?? []) write(socket, frame);
  const answer = JSON.stringify({ code: 0, data: { id: `bench-${seq}`, channel }, message: "Success", Error: null });
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`;
}

/** Answers one request; the bytes that it took of the text, 0 while the request is not whole. */
function take(socket: Socket<State>, text: string): number {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return 0;
  const bodyStart = headEnd + 4;
  if (text.startsWith("GET /channel/")) {
    socket.data.channel = channelOf(text.slice(13, text.indexOf("/stream", 13)));
    socket.data.channel.add(socket);
    socket.write(STREAM_HEAD);
    return bodyStart;
  }
  if (text.startsWith("GET ")) {
    socket.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    return bodyStart;
  }
  const length = Number(/\r\ncontent-length: *([0-9]+)/i.exec(text.slice(0, headEnd))?.[1] ?? 0);
  if (text.length < bodyStart + length) return 0;
  socket.write(publish(text.slice(bodyStart, bodyStart + length)));
  return bodyStart + length;
}

const server = Bun.listen<State>({
  hostname: "127.0.0.1",
  port: Number(process.env["PORT"]),
  socket: {
    open(socket) {
      socket.data = { request: "", channel: null, unsent: [] };
    },
    data(socket, bytes) {
      const state = socket.data;
      state.request += bytes.toString("latin1");
      for (let took; state.request !== "" && (took = take(socket, state.request)) > 0;)
        state.request = state.request.slice(took);
    },
    drain(socket) {
      const waiting = socket.data.unsent;
      socket.data.unsent = [];
      for (const bytes of waiting) write(socket, bytes);
    },
    close(socket) {
      socket.data.channel?.delete(socket);
    },
  },
});
console.log(`listening on ${server.port}`);
