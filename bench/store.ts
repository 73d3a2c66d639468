import type { Server } from "./servers.ts";
import { SECRET } from "./servers.ts";

/**
 * A store of so many messages: of every hundred, 60 go round 1,000 channels `c0` … `c999` and 40 go to the channel
 * `deep`. So each resume below misses exactly 50 messages, near to the head in `deep`, and spread over the last
 * 83,000 messages where it is one of the thousand.
 */
export interface Store {
  readonly messages: number;
  /** The position of the n-th message, counted from 0. */
  positionOf(nth: number): string;
}

const BATCH = 100;
const ROUND = 60;
export const CHANNELS = 1000;

function channelOf(nth: number): string {
  const inBatch = nth % BATCH;
  return inBatch < ROUND ? `c${(Math.floor(nth / BATCH) * ROUND + inBatch) % CHANNELS}` : "deep";
}

/** Publishes the store in batches; throws when one is refused. */
export async function fill(server: Server, messages: number): Promise<Store> {
  const filler = "x".repeat(91);
  let epoch = "";
  let first = 0;
  for (let nth = 0; nth < messages; nth += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, i) => ({
      channel: channelOf(nth + i),
      event: "m",
      data: `~${(nth + i).toString(16).padStart(8, "0")}${filler}`,
    }));
    const answer = await fetch(`http://127.0.0.1:${server.port}/chat/send-multi`, {
      method: "POST",
      headers: { Authorization: `key=${SECRET}`, "Content-Type": "application/json" },
      body: JSON.stringify(batch),
    });
    if (!answer.ok) throw new Error(`a batch was refused: ${answer.status} ${await answer.text()}`);
    const { data } = (await answer.json()) as { data: { messages: { id: string }[] } };
    if (nth > 0) continue;
    const id = data.messages[0]!.id;
    epoch = id.slice(0, id.lastIndexOf("-"));
    first = Number(id.slice(id.lastIndexOf("-") + 1));
  }
  return { messages, positionOf: (nth) => `${epoch}-${first + nth}` };
}

/** The message (counted from 0) after which exactly `missed` of every one of the thousand channels follow. */
export function beforeLastRounds(store: Store, missed: number): number {
  const rounds = (store.messages / BATCH) * ROUND - missed * CHANNELS;
  const inRound = rounds - 1;
  return Math.floor(inRound / ROUND) * BATCH + (inRound % ROUND);
}

/** The message (counted from 0) after which exactly `missed` (at most 40) of the channel `deep` follow. */
export function beforeLastDeep(store: Store, missed: number): number {
  const deep = (store.messages / BATCH) * (BATCH - ROUND) - missed - 1;
  return Math.floor(deep / (BATCH - ROUND)) * BATCH + ROUND + (deep % (BATCH - ROUND));
}
