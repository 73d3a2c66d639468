import type { Selection } from "../core/channel.ts";
import type { Draft, Message } from "../core/message.ts";
import type { Position } from "../core/position.ts";

export type AppId = string;

/** What a broker tells the node that it serves. */
export interface Listener {
  /**
   * Messages in the app's order. Of a followed selection: every message after the position that `follow` gave, each
   * once. Messages that nobody followed may come as well.
   */
  deliver(app: AppId, messages: readonly Message[]): void;
  /** In band: everything of the followed selections up to here has been delivered. */
  mark(app: AppId, at: Position): void;
  /** What was followed is not followed any more, and what was read may be void: read and follow again. */
  broken(app: AppId): void;
}

/** Why a replay cannot be complete. */
export type GapReason =
  /** Messages of the selection after the position were dropped by retention. */
  | "trimmed"
  /** Idle channels were forgotten since; whether the selection lost a message cannot be proven. */
  | "unproven"
  /** The position is of another epoch: the store was lost, or came back older. */
  | "epoch"
  /** The position was never given out: it lies in the future, or is not one of ours. */
  | "unknown_position";

export interface Gap {
  readonly reason: GapReason;
  /** The oldest message of the selection that is kept, and the head; null when nothing is kept. */
  readonly oldest: Position | null;
  readonly newest: Position;
}

/** One atomic look at the store. */
export interface Page {
  readonly messages: readonly Message[];
  /** Where the look starts: what is told is complete from here. Differs from the position asked for only with a gap. */
  readonly from: Position;
  /** Complete up to here: the last message when the limit cut the page, else the head. */
  readonly through: Position;
  readonly gap: Gap | null;
}

/** Where a first connect begins. Both give at most the `count` newest messages of the selection. */
export type Start =
  | { readonly kind: "last"; readonly count: number }
  /** Messages whose time is `sinceMs` (milliseconds since 1970) or later; 0 is the earliest kept. */
  | { readonly kind: "since"; readonly sinceMs: number; readonly count: number };

/** Makes a publish happen once. */
export interface Once {
  readonly key: string;
  /** Kept with the receipt, so that a repeated request gives the first answer. */
  readonly subscribers: readonly number[];
}

export interface Receipt {
  readonly epoch: string;
  /** The position of the first draft; the others follow it without a hole. */
  readonly seq: number;
  /** Null for a publish that was stored now; the `subscribers` of the first request when the key was known. */
  readonly repeated: readonly number[] | null;
}

/** What was decided about an app's grants, which must outlive this process: a revocation, a renewal. */
export interface Note {
  /** At most 600 characters. A note takes the place of an earlier one of the same key. */
  readonly key: string;
  readonly value: string;
  /** When it may be forgotten, in milliseconds since 1970. */
  readonly until: number;
}

/** What the other nodes answered to a question. */
export interface Answers {
  /** One of each node that answered. */
  readonly texts: readonly string[];
  /** False when a node that the store knows of did not answer in time, or the question could not be asked. */
  readonly complete: boolean;
}

export interface ChannelSummary {
  readonly channel: string;
  /** The oldest and newest message that is kept; null when none is. */
  readonly oldest: Position | null;
  readonly newest: Position | null;
}

/** What is kept of one app's messages. Every limit: 0 means none. */
export interface Retention {
  /** Per channel. */
  readonly count: number;
  readonly ageMs: number;
  readonly bytes: number;
  /** Over all channels of the app. */
  readonly appBytes: number;
  readonly channels: number;
}

export interface StartOptions {
  /** Told of every note that is kept, before the start resolves, and of each new one. Never throws. */
  readonly noted?: (app: AppId, note: Note) => void;
  /**
   * Answers what another node asks about an app. May be called before the start resolves; a rejection tells the asker
   * that this node has no answer.
   */
  readonly asked?: (app: AppId, question: string) => Promise<string>;
  /** Ends the wait for another process: the start rejects with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Stores and carries messages. Storing, numbering and announcing are one step.
 *
 * A position (epoch, seq) that was given out names one message for ever: an epoch is never used for two histories.
 * Within an epoch `seq` has no holes. No position that a listener presents changes any state.
 */
export interface Broker {
  /**
   * Resolves once the store can be used, which may take until another process lets go of it. Called once, before anything
   * else.
   */
  start(listener: Listener, options?: StartOptions): Promise<void>;

  /**
   * Keeps all of the drafts or none, with consecutive positions. Resolves once they are kept, in the sense of the
   * driver's durability, and after that delivers them. The same key again resolves with the first receipt and keeps
   * nothing; of two in flight the second waits for the first.
   *
   * Rejects with ApiError `idempotency_conflict` (same key, other drafts; alone, never those stored beside it) or
   * `unavailable` (nothing was kept; a key is not remembered). An empty list of drafts must not be given.
   */
  publish(app: AppId, drafts: readonly Draft[], once?: Once): Promise<Receipt>;

  /**
   * Messages of the selection after a position, oldest first, at most `limit` and about 128 KiB of data, but always at
   * least one where there is one. Rejects with ApiError `unavailable` when the store cannot be read, which the driver
   * has told the log.
   */
  read(app: AppId, selection: Selection, after: Position, limit: number): Promise<Page>;

  /**
   * The position from which a read gives what a first connect asks for; the head when that is nothing. Of a selection
   * whose channels were trimmed at different places it may lie before something that was dropped: that read tells it.
   */
  seek(app: AppId, selection: Selection, start: Start): Promise<Position>;

  /** From the position that it resolves with, every later message of the selection is delivered. Counted: as many
   *  `unfollow` as `follow`. Waits through an outage. */
  follow(app: AppId, selection: Selection): Promise<Position>;
  unfollow(app: AppId, selection: Selection): Promise<void>;

  /** Keeps a note as it keeps messages. Resolves once it is kept and this node was told. Rejects with `unavailable`. */
  note(app: AppId, note: Note): Promise<void>;

  /**
   * Asks all other nodes, and resolves with what they answered within `withinMs`; never rejects. A node answers when it
   * was told of every note that was acknowledged before the question. A question and an answer have at most 256 Ki
   * characters: a longer one counts as none. Equal questions that are asked in one go are sent once.
   */
  ask(app: AppId, question: string, withinMs: number): Promise<Answers>;

  /** Null for a channel that holds no history. */
  channel(app: AppId, name: string): Promise<ChannelSummary | null>;
  /** Channels that hold history, whose name starts with `prefix` and sorts after `after`, in name order (code units). */
  channels(app: AppId, prefix: string, after: string, limit: number): Promise<ChannelSummary[]>;

  /** One bounded step of retention work for all apps, off the publish path; the owner calls it about once a second, by
   *  which a driver also sees that an outage is over. Resolves true when there is more to do at once. */
  trim(): Promise<boolean>;

  /** Rejects when the store cannot take a publish now. */
  check(): Promise<void>;
  close(): Promise<void>;
}

export interface BrokerOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** The same for how old messages and keys are, where it must not follow each jump of the clock. Default: `now`. */
  readonly ageNow?: () => number;
  /** Also asked for apps that the store holds and the settings name no more. */
  readonly retention: (app: AppId) => Retention;
  /** How long a key is remembered; 0 means for ever. */
  readonly idempotencyTtlMs: number;
  /** Apps whose notes this node is told of, whether anything else is asked of them or not. Default: those that are used. */
  readonly apps?: () => readonly AppId[];
  /** Makes the name of a new epoch: 1 to 32 characters of 0-9a-z that no earlier epoch had. Default: ten random ones. */
  readonly newEpoch?: () => string;
  /** Told when the store can be used again after it could not; of Redis when a lost connection was made again. */
  readonly reconnected?: () => void;
  readonly log: (level: "info" | "warn" | "error", message: string, fields?: Record<string, unknown>) => void;
}
