import type { AppId } from "../broker/broker.ts";
import type { Kind, Questions } from "./asking.ts";
import { channelsHere, countsHere } from "./channel.ts";
import { foundHere } from "./find.ts";
import type { Gateway } from "./gateway.ts";
import { endedHere, endHere } from "./revoke.ts";
import { streamPart } from "./streams.ts";

type Answering<K extends Kind> = (
  gateway: Gateway,
  app: AppId,
  question: Questions[K]["question"],
) => Promise<Questions[K]["answer"]> | Questions[K]["answer"];

const ANSWERING: { readonly [K in Kind]: Answering<K> } = {
  counts: countsHere,
  channels: channelsHere,
  streams: streamPart,
  stream: foundHere,
  end: endHere,
  ended: endedHere,
};

/**
 * Answers another node, of this node's streams of that app alone, in the app's turn among the reads. Rejects for what it
 * does not understand, as of a node of another version.
 */
export async function asked(gateway: Gateway, app: AppId, text: string): Promise<string> {
  const [kind, question] = JSON.parse(text) as [string, never];
  if (!Object.hasOwn(ANSWERING, kind)) throw new Error(`no node asks for ${kind}`);
  try {
    const answer = await gateway.reads.run(app, async () => ANSWERING[kind as Kind](gateway, app, question));
    return JSON.stringify(answer);
  } catch (error) {
    gateway.log("error", "another node could not be answered", { app, question: kind, error });
    throw error;
  }
}
