import type { AppId } from "../broker/broker.ts";
import type { Hub } from "../hub/hub.ts";
import type { OpenStream, OpenStreams } from "./open-streams.ts";

/** Streams that are looked at, and that are ended, in one turn of the event loop. */
const TURN_LOOKS = 1000;
const TURN_ENDS = 64;

/** How many revocations' counts are kept that nobody has asked for. */
const MAX_COUNTS = 1000;

/** Whether a stream that nothing grants any more ends because of this. */
type IsHit = (stream: OpenStream) => boolean;

interface Walk {
  /** What was revoked before it begins, by the key of its note. */
  readonly revoked: Map<string, IsHit>;
  readonly done: Promise<void>;
}

export interface SweepOptions {
  readonly hub: Pick<Hub, "close">;
  readonly streams: OpenStreams;
  /** Whether what granted the stream still does. */
  readonly stands: (stream: OpenStream) => boolean;
  /** Runs a function in a later turn of the event loop. */
  readonly schedule: (run: () => void) => void;
}

/**
 * Ends the streams that nothing grants any more, a slice in each turn of the event loop: 4,750 streams of one user that were
 * ended in one held it for 1.3 s. One walk over an app's streams serves all that was revoked before it began.
 */
export class Sweep {
  readonly #options: SweepOptions;
  readonly #walking = new Map<AppId, Walk>();
  /** Walks that begin when the one before them has ended. */
  readonly #waiting = new Map<AppId, Walk>();
  /** How many streams each revocation has ended, by app and key: until it is asked for, or too many others were. */
  readonly #counts = new Map<string, number>();

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  /**
   * To be called when something of the app was revoked, with the key of its note or another under which `ended` tells
   * how many streams it was. Resolves when they have ended.
   */
  start(app: AppId, key: string, isHit: IsHit): Promise<void> {
    let walk = this.#waiting.get(app);
    if (walk === undefined) {
      const revoked = new Map<string, IsHit>();
      this.#waiting.set(app, (walk = { revoked, done: this.#after(this.#walking.get(app), app) }));
    }
    walk.revoked.set(key, isHit);
    return walk.done;
  }

  /** How many streams these revocations have ended since it was asked last; resolves when they all have. */
  async ended(app: AppId, keys: readonly string[]): Promise<number> {
    await (this.#waiting.get(app) ?? this.#walking.get(app))?.done;
    let ended = 0;
    for (const key of keys) {
      ended += this.#counts.get(`${app} ${key}`) ?? 0;
      this.#counts.delete(`${app} ${key}`);
    }
    return ended;
  }

  async #after(before: Walk | undefined, app: AppId): Promise<void> {
    await before?.done.catch(() => undefined); // its failure is told by the one who started it
    const walk = this.#waiting.get(app)!;
    this.#waiting.delete(app);
    this.#walking.set(app, walk);
    try {
      await this.#walk(app, walk);
    } finally {
      if (this.#walking.get(app) === walk) this.#walking.delete(app);
    }
  }

  async #walk(app: AppId, { revoked }: Walk): Promise<void> {
    const { hub, streams, stands } = this.#options;
    let looks = 0;
    let ends = 0;
    for (const stream of streams.of(app)) {
      if (++looks % TURN_LOOKS === 0) await this.#turn();
      if (stream.subscriber === null || stands(stream)) continue;
      const isCounted = this.#count(app, stream, revoked);
      if (!isCounted) this.#count(app, stream, this.#waiting.get(app)?.revoked); // what was revoked since
      hub.close(stream.subscriber, "revoked", false);
      if (++ends % TURN_ENDS === 0) await this.#turn();
    }
  }

  /** For one revocation alone, so that those of one request can be added up. */
  #count(app: AppId, stream: OpenStream, revoked: Walk["revoked"] = new Map()): boolean {
    for (const [key, isHit] of revoked) {
      if (!isHit(stream)) continue;
      const of = `${app} ${key}`;
      const ended = (this.#counts.get(of) ?? 0) + 1;
      this.#counts.delete(of);
      this.#counts.set(of, ended);
      if (this.#counts.size > MAX_COUNTS) this.#counts.delete(this.#counts.keys().next().value!);
      return true;
    }
    return false;
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#options.schedule(resolve));
  }
}
