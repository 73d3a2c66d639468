/** `better-sse` on `Bun.serve`, in the way of its documents: a channel that sessions register with. No history. */
import { type Channel, createChannel, createResponse } from "better-sse";

const channels = new Map<string, Channel>();
let seq = 0;

function channelOf(name: string): Channel {
  let channel = channels.get(name);
  if (channel === undefined) channels.set(name, (channel = createChannel()));
  return channel;
}

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env["PORT"]),
  idleTimeout: 0,
  routes: {
    "/channel/:channel/stream": (request) =>
      createResponse(request, (session) => {
        channelOf(request.params.channel).register(session);
      }),
    "/chat/send": {
      POST: async (request) => {
        const { channel, event, data } = (await request.json()) as { channel: string; event: string; data: string };
        seq += 1;
        channelOf(channel).broadcast(data, event, { eventId: `bench-${seq}` });
        return Response.json({ code: 0, data: { id: `bench-${seq}`, channel }, message: "Success", Error: null });
      },
    },
  },
});
