import { expect, test } from "bun:test";
import { listen } from "../api/listening.ts";
import { type Backend, startBackend } from "../setup/backend.ts";
import { type Gateway, startGateway } from "../setup/gateway.ts";

const TIMEOUT_MS = 30_000;

/** As its users run it, in Node where that is. */
function startExpress(gateway: Gateway): Promise<Backend> {
  return startBackend("express/server.mjs", gateway, { runtime: Bun.which("node") ?? process.execPath });
}

function post(backend: Backend, path: string, body: object = {}): Promise<Response> {
  const headers = { "Content-Type": "application/json" };
  return fetch(new URL(path, backend.url), { method: "POST", headers, body: JSON.stringify(body) });
}

async function addressOf(backend: Backend, room: string): Promise<string> {
  return ((await (await post(backend, `/rooms/${room}/address`)).json()) as { url: string }).url;
}

test(
  "the Express backend gives a page its stream, on which what users say comes, also over a restart of the gateway",
  async () => {
    await using gateway = await startGateway();
    await using backend = await startExpress(gateway);
    const url = await addressOf(backend, "blue");
    await using stream = await listen(url, { authorization: null });
    const { id: begin } = await stream.told("open");
    await stream.told("live");

    const said = await post(backend, "/rooms/blue/messages", { text: "hello" });
    expect(said.status).toBe(201);
    const { id } = (await said.json()) as { id: string };
    expect(await stream.next()).toEqual({ event: "said", id, data: '{"user":"ann","text":"hello"}' });

    await gateway.kill();
    const late = post(backend, "/rooms/blue/messages", { text: "while it was away" });
    await gateway.start();
    expect((await late).status).toBe(201);
    await using again = await listen(url, { authorization: null, lastEventId: begin! });
    await again.told("open");
    const messages = await again.messages(2);
    expect(messages.map(({ data }) => (JSON.parse(data) as { text: string }).text)).toEqual([
      "hello",
      "while it was away",
    ]);
  },
  TIMEOUT_MS,
);

test(
  "a room that is named like a pattern gets no address of everyone's rooms",
  async () => {
    await using gateway = await startGateway();
    await using backend = await startExpress(gateway);
    for (const room of ["*", "**", "%2A", "a.b", "a b"]) {
      expect((await post(backend, `/rooms/${room}/address`)).status).toBe(404);
    }
    expect((await fetch((await addressOf(backend, "blue")).replace("room.blue", "room.red"))).status).toBe(403);
  },
  TIMEOUT_MS,
);

test(
  "what the gateway refuses is told to the log and not to the page",
  async () => {
    await using gateway = await startGateway({ settings: { SOCKET_MAX_DATA_BYTES: "10" } });
    await using backend = await startExpress(gateway);
    const refused = await post(backend, "/rooms/blue/messages", { text: "too much" });
    expect([refused.status, await refused.text()]).toEqual([502, "Bad Gateway"]);
    await backend.wrote("payload_too_large");
  },
  TIMEOUT_MS,
);
