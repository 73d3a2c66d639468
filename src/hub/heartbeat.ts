import { COMMENT_FRAME, type CloseReason, expiryFrame, positionFrame } from "../core/frame.ts";
import type { Feed } from "./feed.ts";
import { Schedule } from "./schedule.ts";
import type { Subscriber } from "./subscriber.ts";

/** Streams looked at in one turn: to reset one that has stalled frees a megabyte or more of the kernel's memory. */
const TURN_STREAMS = 64;
/** How long to wait after a read that failed. */
const READ_AGAIN_MS = 1000;

export interface HeartbeatOptions {
  /** Runs a function in a later turn of the event loop. */
  readonly schedule: (run: () => void) => void;
  /** A clock in milliseconds that never goes back. */
  readonly elapsed: () => number;
  /** A number from 0 to below 1. */
  readonly random: () => number;
  /** 0: no heartbeats. */
  readonly heartbeatMs: number;
  /** How long a full sink may stay full; 0: for ever. */
  readonly stallMs: number;
  /** Up to where nothing of the feed's selection is missing, in the epoch of its floor. */
  readonly through: (feed: Feed) => number;
  readonly send: (subscriber: Subscriber, bytes: Uint8Array) => void;
  readonly close: (subscriber: Subscriber, reason: CloseReason, reconnect: boolean) => void;
  /** Has a subscriber that is not live catch up. */
  readonly again: (subscriber: Subscriber) => void;
  /** Told of a subscriber that could not be looked at. */
  readonly failed: (subscriber: Subscriber, error: unknown) => void;
}

/** What time does to streams: heartbeats, the notice of a grant's end, their ends, and the end of those that stalled. */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #schedule = new Schedule();
  /** A further turn is to come. */
  #goesOn = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** The first beat comes at random, so that streams which were opened together do not beat together. */
  add(subscriber: Subscriber): void {
    const { heartbeatMs, elapsed, random } = this.#options;
    subscriber.nextBeatMs = heartbeatMs === 0 ? Infinity : elapsed() + heartbeatMs * random();
    this.update(subscriber);
  }

  /** To be called when the subscriber's sink has become full or has drained, and when its expiry was changed. */
  update(subscriber: Subscriber): void {
    this.#plan(subscriber, 0);
  }

  #plan(subscriber: Subscriber, notBeforeMs: number): void {
    const { stallMs } = this.#options;
    const stalled = subscriber.full && stallMs > 0 ? subscriber.fullSinceMs + stallMs : Infinity;
    const ends = Math.min(subscriber.options.ageAtMs, subscriber.expiry?.atMs ?? Infinity);
    const due = Math.min(subscriber.nextBeatMs, ends, noticeAtMs(subscriber), stalled);
    if (due === Infinity) this.#schedule.delete(subscriber);
    else this.#schedule.set(subscriber, Math.max(due, notBeforeMs));
  }

  /** Looks at the subscriber again soon, because a read for it failed. */
  soon(subscriber: Subscriber): void {
    this.#schedule.set(subscriber, this.#options.elapsed() + READ_AGAIN_MS);
  }

  delete(subscriber: Subscriber): void {
    this.#schedule.delete(subscriber);
  }

  /** Looks at those that are due: at the first of them now, at the others in the turns that follow. */
  tick(): void {
    if (!this.#goesOn) this.#turn();
  }

  #turn(): void {
    const now = this.#options.elapsed();
    const due = this.#schedule.take(now, TURN_STREAMS);
    this.#goesOn = due.length === TURN_STREAMS;
    if (this.#goesOn) this.#options.schedule(() => this.#turn());
    for (const subscriber of due) {
      try {
        this.#look(subscriber, now);
      } catch (error) {
        this.#options.failed(subscriber, error);
      }
    }
  }

  #look(subscriber: Subscriber, now: number): void {
    const { heartbeatMs, stallMs, close, again } = this.#options;
    if (subscriber.full && stallMs > 0 && now >= subscriber.fullSinceMs + stallMs) {
      return close(subscriber, "slow", true);
    }
    if (subscriber.expiry !== null && now >= subscriber.expiry.atMs) return close(subscriber, "expired", false);
    if (now >= subscriber.options.ageAtMs) return close(subscriber, "max_age", true);
    if (now >= noticeAtMs(subscriber) && subscriber.opened) {
      subscriber.noticed = true;
      this.#options.send(subscriber, expiryFrame(subscriber.options.id, subscriber.expiry!.told));
    }
    if (now >= subscriber.nextBeatMs) {
      this.#beat(subscriber);
      subscriber.nextBeatMs = now + heartbeatMs;
    }
    if (!subscriber.live) again(subscriber);
    this.#plan(subscriber, now + 1); // one whose notice has to wait would be looked at in every turn
  }

  #beat(subscriber: Subscriber): void {
    const { feed } = subscriber;
    if (subscriber.full) return;
    const through = this.#options.through(feed);
    const level = subscriber.live && !feed.pending && !feed.hasAfter(subscriber.seq);
    const position = Math.max(through, subscriber.seq);
    if (level && position > subscriber.written) {
      subscriber.wrote(position);
      this.#options.send(subscriber, positionFrame(subscriber.position));
    } else this.#options.send(subscriber, COMMENT_FRAME);
  }
}

/** When the subscriber is to be told that its grant ends; not while it takes no data. */
function noticeAtMs({ expiry, noticed, full }: Subscriber): number {
  return expiry === null || noticed || full ? Infinity : expiry.noticeAtMs;
}
