/** How much a bucket holds: what its rate gives in this time. */
const BURST_MS = 1000;

/** A wait as short as this comes of adding parts of milliseconds. */
const ROUNDING_MS = 0.001;

/** How many keys are looked after together. */
const GENERATION = 1000;
const MAX_GENERATION = 50_000;

/**
 * Token buckets by key, each with what its rate gives in a second. What is kept of one is the time at which it will be
 * full again (GCRA; ATM Forum TM 4.0, 4.4.2), so nothing has to be done while time passes.
 *
 * Keys are kept in two generations, of which the older is dropped once all of its buckets are full: in one map that drops
 * its oldest key at each call, a call took 100 µs. At most 100,000 keys are kept, about 10 MB; of more the ones that were
 * quiet longest begin with a full bucket.
 */
export class Buckets {
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #youngFullAtMs = 0;
  #oldFullAtMs = 0;

  /**
   * How long to wait until so many can be taken; 0 when they can be now. More than a bucket holds can be taken when it is
   * full. `rate` is a second's.
   */
  waitMs(key: string, rate: number, count: number, nowMs: number): number {
    const heldMs = BURST_MS - Math.max(0, this.#fullAtMs(key) - nowMs);
    const waitMs = Math.min((count / rate) * 1000, BURST_MS) - heldMs;
    return waitMs < ROUNDING_MS ? 0 : waitMs;
  }

  /** Takes so many, also more than there are: the bucket owes the rest. */
  take(key: string, rate: number, count: number, nowMs: number): void {
    const fullAtMs = Math.max(this.#fullAtMs(key), nowMs) + (count / rate) * 1000;
    this.#young.set(key, fullAtMs);
    this.#youngFullAtMs = Math.max(this.#youngFullAtMs, fullAtMs);
    if (this.#young.size >= MAX_GENERATION || (this.#young.size >= GENERATION && this.#oldFullAtMs <= nowMs))
      this.#age();
  }

  /** Keys that are kept. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  #fullAtMs(key: string): number {
    return this.#young.get(key) ?? this.#old.get(key) ?? 0;
  }

  #age(): void {
    this.#old = this.#young;
    this.#oldFullAtMs = this.#youngFullAtMs;
    this.#young = new Map();
    this.#youngFullAtMs = 0;
  }
}
