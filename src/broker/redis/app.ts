import type { AppId } from "../broker.ts";
import { Away } from "./errors.ts";
import { Keys } from "./keys.ts";
import type { Link } from "./link.ts";
import { type Script, SCRIPTS } from "./scripts.ts";
import type { Timers } from "./timers.ts";

/** How long a caller waits at most, a new connection and a second try included. */
export const PATIENCE_MS = 1900;

export interface AppOptions {
  readonly timers: Timers;
  readonly database: number;
  readonly newEpoch: () => string;
}

/** One app in Redis: its keys, its server while there is one, and scripts that run there. */
export class RedisApp {
  readonly id: AppId;
  readonly keys: Keys;
  readonly #options: AppOptions;
  #link: Link | null = null;
  #downSinceMs: number;
  readonly #waiting = new Set<() => void>();
  #renewing: Promise<unknown> | null = null;

  constructor(id: AppId, options: AppOptions) {
    this.id = id;
    this.keys = new Keys(id, options.database);
    this.#options = options;
    this.#downSinceMs = options.timers.elapsed();
  }

  get link(): Link | null {
    return this.#link;
  }

  /** Until when what is asked for now waits. */
  get until(): number {
    return this.#options.timers.elapsed() + PATIENCE_MS;
  }

  /** There is no server, and has not been for so long that nobody need wait for it. */
  get isAway(): boolean {
    return this.#link === null && this.#options.timers.elapsed() - this.#downSinceMs > PATIENCE_MS;
  }

  up(link: Link): void {
    this.#link = link;
    for (const go of this.#waiting) go();
    this.#waiting.clear();
  }

  down(): void {
    this.#link = null;
    this.#downSinceMs = this.#options.timers.elapsed();
  }

  /**
   * Runs a script that may run twice for once. Waits for a server, and asks the next one where one was lost, until the
   * time that is given. Rejects with `Away` when that is over, else with what Redis answered.
   */
  async run(script: Script, args: readonly string[], until = this.until): Promise<unknown> {
    let wasSent = false;
    for (;;) {
      const link = this.#link ?? (await this.#next(until, wasSent));
      try {
        const reply = await link.run(script, this.keys.app, args);
        if (reply !== "renew") return reply;
        await this.#renew(link);
      } catch (error) {
        if (!(error instanceof Away)) throw error;
        wasSent ||= error.sent;
        if (this.#options.timers.elapsed() >= until) throw new Away(wasSent, error);
      }
    }
  }

  async #renew(link: Link): Promise<void> {
    const { app, word } = this.keys;
    this.#renewing ??= link
      .run(SCRIPTS.renew, app, [this.#options.newEpoch(), word])
      .finally(() => (this.#renewing = null));
    await this.#renewing;
  }

  async #next(until: number, wasSent: boolean): Promise<Link> {
    const leftMs = until - this.#options.timers.elapsed();
    if (leftMs <= 0) throw new Away(wasSent);
    const { promise, resolve } = Promise.withResolvers<void>();
    const callOff = this.#options.timers.after(leftMs, resolve);
    this.#waiting.add(resolve);
    await promise;
    callOff();
    this.#waiting.delete(resolve);
    if (this.#link === null) throw new Away(wasSent);
    return this.#link;
  }
}
