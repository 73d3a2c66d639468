import type { AppId, Page } from "../broker/broker.ts";
import type { Selection } from "../core/channel.ts";
import { type Format, type Frame, frameOf, join } from "../core/frame.ts";
import type { Message } from "../core/message.ts";
import type { Position } from "../core/position.ts";
import { Sent } from "./meter.ts";
import type { Subscriber } from "./subscriber.ts";

/** What a feed keeps of what it has sent: enough for a listener that was away for a moment. */
const LOG_MESSAGES = 128;
const LOG_BYTES = 64 * 1024;
/** The most that one flush, or one step of a catch-up, takes at a time. */
const CHUNK_BYTES = 128 * 1024;

/** What all feeds of a node keep together; when it is full, each keeps only what is still to be sent. */
export class LogBudget {
  readonly limitBytes: number;
  readonly chunkBytes: number;
  usedBytes = 0;

  constructor(limitBytes: number, chunkBytes = CHUNK_BYTES) {
    this.limitBytes = limitBytes;
    this.chunkBytes = chunkBytes;
  }
}

/** A page of history with its frames, shared by all subscribers that wait at the same position. */
export class FramedPage {
  readonly from: Position;
  readonly through: Position;
  readonly gap: Page["gap"];
  readonly count: number;
  /** The last id that the page writes: of its last message, or where it starts. */
  readonly last: number;
  readonly #messages: readonly Message[];
  readonly #format: Format;
  #bytes: Uint8Array | null = null;

  constructor(page: Page, format: Format) {
    this.from = page.from;
    this.through = page.through;
    this.gap = page.gap;
    this.count = page.messages.length;
    this.last = page.messages.at(-1)?.seq ?? page.from.seq;
    this.#messages = page.messages;
    this.#format = format;
  }

  get bytes(): Uint8Array {
    return (this.#bytes ??= join(this.#messages.map((message) => frameOf(message, this.#format))));
  }
}

interface Batch {
  readonly frames: readonly Frame[];
  readonly bytes: Uint8Array;
  readonly first: number;
  readonly last: number;
  /** When the first of its messages, or one that was pending with it, was delivered. */
  readonly deliveredAtMs: number;
  /** Goes on over the slices. A Set's iterator stands deletions and additions: who joins late is behind, and passed. */
  readonly rest: Iterator<Subscriber>;
}

/** A batch that went round all subscribers. */
export interface Flushed {
  readonly messages: number;
  readonly deliveredAtMs: number;
}

/**
 * One selection in one format, with all its subscribers on this node: they share its frames and its buffers.
 *
 * `log` holds every message of the selection after `floor`, in order; the first `sent` of them have been flushed.
 * While `floor` is null the broker does not follow the selection yet (or not any more), and nobody is live.
 */
export class Feed {
  readonly app: AppId;
  readonly selection: Selection;
  readonly format: Format;
  readonly subscribers = new Set<Subscriber>();
  floor: Position | null = null;
  /** The feed is complete up to here, in the epoch of `floor`. */
  through = 0;
  /** Counts the breaks: what was begun under an older number is void. */
  generation = 0;
  /** Waits for its turn to flush. */
  queued = false;
  /** What its app's streams were sent. */
  readonly sent: Sent;
  readonly #budget: LogBudget;
  #log: Frame[] = [];
  #logBytes = 0;
  #sent = 0;
  #deliveredAtMs = 0;
  #batch: Batch | null = null;
  #reads: Map<string, Promise<FramedPage>> | null = null;

  constructor(app: AppId, selection: Selection, format: Format, budget: LogBudget, sent = new Sent()) {
    this.app = app;
    this.selection = selection;
    this.format = format;
    this.#budget = budget;
    this.sent = sent;
  }

  /** Reads under way, by position: who stands at the same place shares one. Most feeds never read. */
  get reads(): Map<string, Promise<FramedPage>> {
    return (this.#reads ??= new Map());
  }

  /** From `at` on everything is delivered. What came before the answer is in the log already. */
  ready(at: Position, marked: number): void {
    this.#keep(this.#log.filter((frame) => frame.epoch === at.epoch && frame.seq > at.seq));
    this.#sent = this.#log.length; // nobody is live: catch-up gives the log to each
    this.floor = at;
    this.through = Math.max(at.seq, marked, this.#log.at(-1)?.seq ?? 0);
  }

  broken(): void {
    this.generation += 1;
    this.floor = null;
    this.#batch = null;
    this.#sent = 0;
    this.#keep([]);
    this.#reads = null;
    for (const subscriber of this.subscribers) {
      subscriber.live = false;
      subscriber.page = null;
    }
  }

  /** False when the message is known already. `nowMs`, of a clock that never goes back, is told when it was flushed. */
  append(frame: Frame, nowMs = 0): boolean {
    if (this.floor === null) {
      const last = this.#log.at(-1); // a selection that matches twice delivers twice
      if (last !== undefined && last.epoch === frame.epoch && last.seq >= frame.seq) return false;
    } else if (frame.epoch !== this.floor.epoch || frame.seq <= this.through) return false;
    else this.through = frame.seq;
    if (this.#sent === this.#log.length) this.#deliveredAtMs = nowMs;
    this.#log.push(frame);
    this.#count(frame.bytes.length);
    if (this.#log.length >= 2 * LOG_MESSAGES || this.#logBytes > LOG_BYTES || this.#overBudget) this.#trim();
    return this.floor !== null;
  }

  /** What of the log comes after a position of this epoch: at most a chunk, oldest first. */
  after(seq: number): readonly Frame[] {
    let low = 0;
    let high = this.#log.length;
    if (high === 0 || this.#log[high - 1]!.seq <= seq) return [];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#log[middle]!.seq <= seq) low = middle + 1;
      else high = middle;
    }
    return this.#chunk(low);
  }

  /** Whether the log reaches back to a position, so that the broker need not be asked. */
  reaches(position: Position): boolean {
    return this.floor !== null && this.floor.epoch === position.epoch && position.seq >= this.floor.seq;
  }

  hasAfter(seq: number): boolean {
    const last = this.#log.at(-1);
    return last !== undefined && last.seq > seq;
  }

  /** Something waits to be flushed. */
  get pending(): boolean {
    return this.#batch !== null || (this.floor !== null && this.#sent < this.#log.length);
  }

  /**
   * Hands what is pending to the next subscribers, for as long as `visit` answers that there is room for more; null for
   * one that needs nothing. A batch that is not through goes on with the next call; what is published meanwhile goes into
   * the next batch. Gives the batch that is through now, if one is.
   */
  flush(visit: (subscriber: Subscriber, bytes: Uint8Array | null) => boolean): Flushed | null {
    const batch = (this.#batch ??= this.#cut());
    if (batch === null) return null;
    const { frames, rest } = batch;
    let whole = 0; // counted for all at once: one subscriber is some microseconds' work
    let isThrough = true;
    for (let next = rest.next(); next.done !== true; next = rest.next()) {
      const bytes = this.#take(batch, next.value);
      if (bytes === batch.bytes) {
        whole += 1;
        next.value.messages += frames.length;
      }
      isThrough = visit(next.value, bytes);
      if (!isThrough) break;
    }
    this.sent.messages += whole * frames.length;
    this.sent.bytes += whole * batch.bytes.length;
    if (!isThrough) return null;
    this.#batch = null;
    return { messages: frames.length, deliveredAtMs: batch.deliveredAtMs };
  }

  /** What of a batch a subscriber is to be sent; its position moves. */
  #take(batch: Batch, subscriber: Subscriber): Uint8Array | null {
    if (!subscriber.live || subscriber.seq >= batch.last) return null;
    const { seq } = subscriber;
    subscriber.wrote(batch.last);
    if (seq < batch.first) return batch.bytes;
    // A subscriber can be ahead of its feed: what it read from the store may not have been announced yet.
    const frames = batch.frames.filter((frame) => frame.seq > seq);
    const bytes = join(frames);
    subscriber.messages += frames.length;
    this.sent.messages += frames.length;
    this.sent.bytes += bytes.length;
    return bytes;
  }

  /** Gives back what it keeps; it is used no more. */
  close(): void {
    this.generation += 1;
    this.floor = null; // it may still wait for a turn: there is nothing to flush any more
    this.#batch = null;
    this.#sent = 0;
    this.#keep([]);
  }

  #cut(): Batch | null {
    if (this.floor === null || this.#sent === this.#log.length) return null;
    const frames = this.#chunk(this.#sent);
    this.#sent += frames.length;
    return {
      frames,
      bytes: join(frames),
      first: frames[0]!.seq,
      last: frames.at(-1)!.seq,
      deliveredAtMs: this.#deliveredAtMs,
      rest: this.subscribers.values(),
    };
  }

  #chunk(start: number): readonly Frame[] {
    let end = start;
    let bytes = 0;
    while (end < this.#log.length) {
      bytes += this.#log[end]!.bytes.length;
      if (bytes > this.#budget.chunkBytes && end > start) break;
      end += 1;
    }
    return this.#log.slice(start, end);
  }

  get #overBudget(): boolean {
    return this.#budget.usedBytes > this.#budget.limitBytes;
  }

  /** Drops the oldest of what was sent; nothing that is still to be flushed. */
  #trim(): void {
    if (this.floor === null) return;
    const keepMessages = this.#overBudget ? 0 : LOG_MESSAGES;
    const keepBytes = this.#overBudget ? 0 : LOG_BYTES / 2;
    let drop = 0;
    let bytes = this.#logBytes;
    while (drop < this.#sent && (this.#log.length - drop > keepMessages || bytes > keepBytes)) {
      bytes -= this.#log[drop]!.bytes.length;
      drop += 1;
    }
    if (drop === 0) return;
    this.floor = { epoch: this.floor.epoch, seq: this.#log[drop - 1]!.seq };
    this.#log.splice(0, drop);
    this.#sent -= drop;
    this.#count(bytes - this.#logBytes);
  }

  #keep(log: Frame[]): void {
    this.#log = log;
    this.#count(log.reduce((bytes, frame) => bytes + frame.bytes.length, -this.#logBytes));
  }

  #count(bytes: number): void {
    this.#logBytes += bytes;
    this.#budget.usedBytes += bytes;
  }
}
