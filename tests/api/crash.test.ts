import { expect, test } from "bun:test";
import { type Gateway, startGateway } from "../setup/gateway.ts";
import { listen } from "./listening.ts";

const ROUNDS = 6;
const PUBLISHERS = 16;
/** Acknowledgements after which the process is killed, with more publishes under way. */
const ACKNOWLEDGED = 150;

test("kill -9 while publishing and listening loses no acknowledged message, and a listener hears each once", async () => {
  await using gateway = await startGateway({ settings: { SOCKET_HISTORY_COUNT: "0", SOCKET_HISTORY_BYTES: "0" } });
  const acknowledged = new Map<string, string>(); // id to data
  const heard: { id: string; data: string }[] = [];
  let position: string | undefined;

  for (let round = 0; round < ROUNDS; round++) {
    await using stream = await listen(`${gateway.url}/stream?channel=a.*`, withKey(gateway, position));
    await stream.told("open");
    await publishUntilKilled(gateway, round, acknowledged);
    await stream.end();
    for (const { event, id, data } of stream.frames) {
      if (event === undefined) heard.push({ id: id!, data });
      else expect(["socket:open", "socket:live"]).toContain(event); // no gap
    }
    position = stream.ids.at(-1)!;
    await gateway.start();
  }

  const last = await send(gateway, "a.1", "the end");
  await using rest = await listen(`${gateway.url}/stream?channel=a.*`, withKey(gateway, position));
  expect(await rest.told("open")).toMatchObject({ recovered: true });
  while (heard.at(-1)?.data !== "the end") {
    const frame = await rest.next();
    if (frame.event === undefined) heard.push({ id: frame.id!, data: frame.data });
  }

  const seqs = heard.map(({ id }) => Number(id.split("-")[1]));
  expect(seqs).toEqual(seqs.map((_, i) => i + 1)); // in order, each once, no hole
  expect(new Set(heard.map(({ id }) => id.split("-")[0])).size).toBe(1); // of one epoch
  const byId = new Map(heard.map(({ id, data }) => [id, data]));
  for (const [id, data] of acknowledged) expect([id, byId.get(id)]).toEqual([id, data]);
  expect(acknowledged.size).toBeGreaterThanOrEqual(ROUNDS * ACKNOWLEDGED);

  await using again = await listen(`${gateway.url}/stream?channel=**`, withKey(gateway, last.replace(/-.*/, "-0")));
  expect(await again.told("open")).toMatchObject({ recovered: true });
  const kept = await again.messages(heard.length);
  expect(kept.map(({ id, data }) => ({ id: id!, data }))).toEqual(heard);
}, 20_000);

function withKey(gateway: Gateway, lastEventId: string | undefined) {
  return { authorization: `key=${gateway.secret}`, ...(lastEventId === undefined ? {} : { lastEventId }) };
}

/** Every third publish is a batch of two. The process is killed in the middle of it. */
async function publishUntilKilled(gateway: Gateway, round: number, acknowledged: Map<string, string>): Promise<void> {
  let count = 0;
  const kills: Promise<void>[] = [];
  const until = acknowledged.size + ACKNOWLEDGED;

  async function publishOn(publisher: number): Promise<void> {
    for (;;) {
      const data = `${round}.${count++}`;
      const messages = [{ channel: `a.${publisher}`, data }];
      if (count % 3 === 0) messages.push({ channel: "a.both", data });
      const ids = await sendAll(gateway, messages).catch(() => null);
      if (ids === null) return;
      for (const id of ids) acknowledged.set(id, data);
      if (acknowledged.size >= until && kills.length === 0) kills.push(gateway.kill());
    }
  }

  await Promise.all(Array.from({ length: PUBLISHERS }, (_, i) => publishOn(i)));
  await kills[0];
}

async function sendAll(gateway: Gateway, messages: readonly object[]): Promise<string[]> {
  const response = await fetch(`${gateway.url}/chat/send-multi`, {
    method: "POST",
    headers: { Authorization: `key=${gateway.secret}`, "Content-Type": "application/json" },
    body: JSON.stringify(messages),
  });
  const { data } = (await response.json()) as { data: { messages: { id: string }[] } };
  return data.messages.map(({ id }) => id);
}

async function send(gateway: Gateway, channel: string, data: string): Promise<string> {
  return (await sendAll(gateway, [{ channel, data }]))[0]!;
}
