import type { Selection } from "../../core/channel.ts";
import type { Position } from "../../core/position.ts";
import type { RedisApp } from "./app.ts";
import type { Heard, Link } from "./link.ts";
import { SCRIPTS } from "./scripts.ts";
import type { Timers } from "./timers.ts";

/** Channels that one command subscribes to: some tens of KiB. */
const CHANNELS_AT_ONCE = 1000;

/** After which time the head is read again that is of another epoch than what is heard. */
const AGREES_MS = 5;

export interface FollowingOptions {
  readonly timers: Timers;
  readonly heard: Heard;
  /** Whether a head is of the epoch that is heard of. */
  readonly agrees: (epoch: string) => boolean;
  /** Told when all that is followed is listened to, with null, and when that failed. */
  readonly settled: (error: unknown) => void;
}

/**
 * What a node listens to of one app's announcements: single channels, or the one for all as soon as a pattern is
 * followed. A follow is answered with the head that is read after the listening began.
 */
export class Following {
  readonly #app: RedisApp;
  readonly #options: FollowingOptions;
  /** How many follow each channel, and how many all. */
  readonly #followed = new Map<string, number>();
  #patterns = 0;
  /** What this node listens to. */
  readonly #have = new Set<string>();
  /** What is to be listened to, and what may not have to be any more. */
  readonly #missing = new Set<string>();
  #surplus = new Set<string>();
  #waiting: ((at: Position) => void)[] = [];
  #running = false;

  constructor(app: RedisApp, options: FollowingOptions) {
    this.#app = app;
    this.#options = options;
  }

  /** Something is followed. */
  get isActive(): boolean {
    return this.#patterns > 0 || this.#followed.size > 0;
  }

  follow({ channels, patterns }: Selection): Promise<Position> {
    for (const channel of channels) {
      const count = this.#followed.get(channel) ?? 0;
      this.#followed.set(channel, count + 1);
      if (count === 0 && this.#patterns === 0) this.#miss(this.#app.keys.channel(channel));
    }
    if (patterns.length > 0 && this.#patterns++ === 0) {
      this.#missing.clear();
      this.#miss(this.#app.keys.all);
      this.#surplus = new Set(this.#have);
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.settle();
    });
  }

  unfollow({ channels, patterns }: Selection): void {
    for (const channel of channels) {
      const count = this.#followed.get(channel);
      if (count === undefined) continue; // from before a break
      if (count > 1) this.#followed.set(channel, count - 1);
      else {
        this.#followed.delete(channel);
        this.#missing.delete(this.#app.keys.channel(channel));
        this.#surplus.add(this.#app.keys.channel(channel));
      }
    }
    if (patterns.length > 0 && this.#patterns > 0 && --this.#patterns === 0) {
      this.#missing.delete(this.#app.keys.all);
      this.#surplus.add(this.#app.keys.all);
      for (const channel of this.#followed.keys()) this.#miss(this.#app.keys.channel(channel));
    }
    this.settle();
  }

  /** Nothing is followed any more; what waits for its answer is asked for again by those who need it. */
  void(): void {
    this.#followed.clear();
    this.#patterns = 0;
    this.#missing.clear();
    this.#waiting = [];
    this.#surplus = new Set(this.#have);
  }

  /** The connection is gone, and with it all that was listened to. */
  lost(): void {
    this.#have.clear();
    this.void();
  }

  /** Brings what is listened to in step with what is followed. */
  settle(): void {
    if (this.#running || this.#app.link === null) return;
    this.#running = true;
    void this.#steps();
  }

  async #steps(): Promise<void> {
    let failed: unknown = null;
    try {
      await Promise.resolve(); // what is followed in one go, is listened to by one command
      for (let { link } = this.#app; link !== null && this.#isBehind; { link } = this.#app) {
        if (this.#missing.size > 0 || this.#waiting.length > 0) await this.#listen(link);
        else await this.#unlisten(link);
      }
    } catch (error) {
      failed = error;
    }
    this.#running = false;
    if (this.#app.link !== null) this.#options.settled(failed);
  }

  get #isBehind(): boolean {
    return this.#missing.size > 0 || this.#waiting.length > 0 || this.#surplus.size > 0;
  }

  async #listen(link: Link): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    const missing = [...this.#missing];
    this.#missing.clear();
    for (const channels of inParts(missing)) {
      await link.subscribe(channels, this.#options.heard);
      if (this.#app.link !== link) return;
      for (const channel of channels) {
        this.#have.add(channel);
        if (!this.#isWanted(channel)) this.#surplus.add(channel);
      }
    }
    if (waiting.length === 0) return;
    for (;;) {
      const [epoch, seq] = (await this.#app.run(SCRIPTS.head, [])) as [string, string];
      if (this.#app.link !== link) return; // what was listened to before is told to be broken
      if (this.#options.agrees(epoch)) {
        for (const answer of waiting) answer({ epoch, seq: Number(seq) });
        return;
      }
      await new Promise<void>((resolve) => this.#options.timers.after(AGREES_MS, resolve));
    }
  }

  async #unlisten(link: Link): Promise<void> {
    const surplus = [...this.#surplus].filter((channel) => !this.#isWanted(channel) && this.#have.has(channel));
    this.#surplus.clear();
    // Noted first: what is followed again meanwhile is to be listened to anew.
    for (const channel of surplus) this.#have.delete(channel);
    for (const channels of inParts(surplus)) await link.unsubscribe(channels);
  }

  #isWanted(channel: string): boolean {
    const { keys } = this.#app;
    if (channel === keys.all) return this.#patterns > 0;
    return this.#patterns === 0 && this.#followed.has(channel.slice(keys.channel("").length));
  }

  #miss(channel: string): void {
    if (!this.#have.has(channel)) this.#missing.add(channel);
  }
}

function inParts<T>(items: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < items.length; at += CHANNELS_AT_ONCE) parts.push(items.slice(at, at + CHANNELS_AT_ONCE));
  return parts;
}
