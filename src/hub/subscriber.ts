import type { CloseReason } from "../core/frame.ts";
import type { Position } from "../core/position.ts";
import type { Feed, FramedPage } from "./feed.ts";

/** Where the bytes of one stream go. Nothing in it may throw. */
export interface Sink {
  /**
   * Takes the bytes. False when that filled it: they are taken all the same, but nothing more may be written until the
   * owner says `hub.drained(subscriber)`.
   */
  write(bytes: Uint8Array): boolean;
  /** Ends the stream after what was written. */
  end(): void;
  /** Ends the stream at once and frees what is still unsent. */
  abort(): void;
}

/** Where a stream begins. */
export type Beginning =
  /** With what is published from now on. */
  | { readonly kind: "now" }
  /** After a position that the listener names; what it missed and cannot get is told as a gap. */
  | { readonly kind: "resume"; readonly after: Position; readonly asked: string }
  /** After a position that the store was asked for on a first connect, which cannot have missed anything. */
  | { readonly kind: "first"; readonly after: Position };

/** When a stream's grant ends. Times are of the hub's own clock, in milliseconds. */
export interface Expiry {
  /** The stream is ended. */
  readonly atMs: number;
  /** The listener is told that the end is near. */
  readonly noticeAtMs: number;
  /** RFC 3339; what listeners are told. */
  readonly told: string;
}

/** What a stream is opened with. Times are of the hub's own clock, in milliseconds. */
export interface StreamOptions {
  readonly id: string;
  readonly beginning: Beginning;
  /** When the stream is asked to reconnect, because it is old; Infinity for never. */
  readonly ageAtMs: number;
  /** Null for a grant that does not end. */
  readonly expiry: Expiry | null;
  /** The reconnection time that the listener is given, in milliseconds. */
  readonly retryMs: number;
  readonly onClose: (reason: CloseReason, subscriber: Subscriber) => void;
}

/**
 * One open stream. It owns a position and no queue: everything up to `seq` was written to its sink, or was told by a
 * gap; what comes after is read when it is its turn.
 */
export class Subscriber {
  readonly feed: Feed;
  readonly sink: Sink;
  readonly options: StreamOptions;
  epoch: string;
  seq: number;
  /** Something was written, so that the listener has the answer's headers. */
  greeted = false;
  /** The last id that was written. It lies before `seq` where a replay ended with what is not of the selection. */
  written = 0;
  /** `socket:open` was written. */
  opened = false;
  /** `socket:live` was written. */
  told = false;
  /** Is sent to by the feed's flush. Otherwise it is behind, and catches up. */
  live = false;
  /** The sink takes nothing until it drains. */
  full = false;
  closed = false;
  /** Waits for its turn to catch up. */
  queued = false;
  /** A page that was read for it and is not written yet. */
  page: FramedPage | null = null;
  reading = false;
  replayed = 0;
  /** Messages that it was sent, replayed ones included, and all bytes. */
  messages = 0;
  bytes = 0;
  /** When its grant ends; a renewal puts another in its place. */
  expiry: Expiry | null;
  /** It was told that the end of its grant is near. */
  noticed = false;
  /** When it is looked at next, when its next heartbeat is due, and since when the sink is full. */
  dueSlot = -1;
  nextBeatMs = 0;
  fullSinceMs = 0;

  constructor(feed: Feed, sink: Sink, options: StreamOptions) {
    this.feed = feed;
    this.sink = sink;
    this.options = options;
    const { beginning, expiry } = options;
    this.expiry = expiry;
    this.epoch = beginning.kind === "now" ? "" : beginning.after.epoch;
    this.seq = beginning.kind === "now" ? 0 : beginning.after.seq;
  }

  /** Everything up to here was written, and the id of it. */
  wrote(seq: number): void {
    this.seq = seq;
    this.written = seq;
  }

  get position(): Position {
    return { epoch: this.epoch, seq: this.seq };
  }
}
