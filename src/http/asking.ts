import type { TokenGrant } from "../auth/token.ts";
import type { AppId } from "../broker/broker.ts";
import { ApiError } from "../core/errors.ts";
import type { Gateway } from "./gateway.ts";
import type { StreamPage, StreamQuery } from "./streams.ts";

/** How long other nodes are waited for: they answer within milliseconds, unless they are stopped or cut off. */
const ANSWER_MS = 300;

/** A token's facts, as one node tells them another; it cannot be presented. */
export type TokenFacts = Omit<TokenGrant, "app">;

/** What a node tells of a stream that it has. */
export interface FoundStream {
  /** The channels and patterns that it listens to. */
  readonly names: readonly string[];
  /** As those of its grant. */
  readonly tokens: readonly TokenFacts[];
}

/** What nodes ask each other about one app, and what each answers of its own streams alone. */
export interface Questions {
  /** How many streams each of the channels reaches. */
  readonly counts: { readonly question: { readonly channels: readonly string[] }; readonly answer: readonly number[] };
  /** Channels that streams name, as `GET /channels` lists them. */
  readonly channels: {
    readonly question: { readonly prefix: string; readonly after: string; readonly limit: number };
    readonly answer: readonly string[];
  };
  readonly streams: { readonly question: StreamQuery; readonly answer: StreamPage };
  /** Null where there is no such stream. */
  readonly stream: { readonly question: { readonly id: string }; readonly answer: FoundStream | null };
  /** Ends a stream that has no token; answers whether it was there. */
  readonly end: { readonly question: { readonly id: string }; readonly answer: boolean };
  /** How many streams these revocations ended, once they have. */
  readonly ended: { readonly question: { readonly keys: readonly string[] }; readonly answer: number };
}

export type Kind = keyof Questions;

export interface OthersAnswers<K extends Kind> {
  readonly answers: readonly Questions[K]["answer"][];
  /** Whether every other node has answered. */
  readonly complete: boolean;
}

/** Asks all other nodes; resolves with what came in time. */
export async function askOthers<K extends Kind>(
  { broker }: Pick<Gateway, "broker">,
  app: AppId,
  kind: K,
  question: Questions[K]["question"],
  withinMs = ANSWER_MS,
): Promise<OthersAnswers<K>> {
  const { texts, complete } = await broker.ask(app, JSON.stringify([kind, question]), withinMs);
  return { answers: texts.map((text) => JSON.parse(text) as Questions[K]["answer"]), complete };
}

/** The refusal where a node that is silent may have what was looked for. */
export function silentNode(): ApiError {
  return new ApiError("unavailable", "A node does not answer, which may have the stream; ask again.");
}
