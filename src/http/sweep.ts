import { isRevoked } from "../auth/grant.ts";
import type { Rulings } from "../auth/rulings.ts";
import type { AppId } from "../broker/broker.ts";
import type { Hub } from "../hub/hub.ts";
import type { OpenStream, OpenStreams } from "./open-streams.ts";

/** Streams that are looked at, and that are ended, in one turn of the event loop. */
const TURN_LOOKS = 1000;
const TURN_ENDS = 64;

interface Count {
  readonly isWanted: (stream: OpenStream) => boolean;
  ended: number;
}

export interface SweepOptions {
  readonly hub: Pick<Hub, "close">;
  readonly streams: OpenStreams;
  readonly rulings: Rulings;
  /** Runs a function in a later turn of the event loop. */
  readonly schedule: (run: () => void) => void;
}

/**
 * Ends the streams whose tokens were revoked, a slice in each turn of the event loop: 4,750 streams of one user that were
 * ended in one held it for 1.3 s. One walk over an app's streams serves all that was revoked before it began.
 */
export class Sweep {
  readonly #options: SweepOptions;
  readonly #walking = new Map<AppId, Promise<void>>();
  /** Walks that begin when the one before them has ended. */
  readonly #waiting = new Map<AppId, Promise<void>>();
  readonly #counts = new Set<Count>();

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  /** To be called when something of the app was revoked. Resolves when its streams have ended. */
  start(app: AppId): Promise<void> {
    let walk = this.#waiting.get(app);
    if (walk === undefined) {
      walk = this.#after(this.#walking.get(app), app);
      this.#waiting.set(app, walk);
    }
    return walk;
  }

  /** Runs `revoke`, which has the app's sweep started, and answers how many of the streams that this ended are wanted. */
  async counted(app: AppId, isWanted: Count["isWanted"], revoke: () => Promise<void>): Promise<number> {
    const count = { isWanted, ended: 0 };
    this.#counts.add(count);
    try {
      await revoke();
      await (this.#waiting.get(app) ?? this.#walking.get(app));
      return count.ended;
    } finally {
      this.#counts.delete(count);
    }
  }

  async #after(before: Promise<void> | undefined, app: AppId): Promise<void> {
    await before?.catch(() => undefined); // its failure is told by the one who started it
    const walk = this.#walk(app);
    this.#waiting.delete(app);
    this.#walking.set(app, walk);
    try {
      await walk;
    } finally {
      if (this.#walking.get(app) === walk) this.#walking.delete(app);
    }
  }

  async #walk(app: AppId): Promise<void> {
    const { hub, streams, rulings } = this.#options;
    let looks = 0;
    let ends = 0;
    for (const stream of streams.of(app)) {
      if (++looks % TURN_LOOKS === 0) await this.#turn();
      if (stream.subscriber === null || !isRevoked(stream.grant, rulings)) continue;
      for (const count of this.#counts) if (count.isWanted(stream)) count.ended += 1;
      hub.close(stream.subscriber, "revoked", false);
      if (++ends % TURN_ENDS === 0) await this.#turn();
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#options.schedule(resolve));
  }
}
