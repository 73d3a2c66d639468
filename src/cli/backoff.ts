/** Waits between tries: from `leastMs` on twice as long each time, up to `mostMs`, and up to half as long again at random. */
export class Backoff {
  readonly #mostMs: number;
  #nextMs: number;
  #leastMs: number;

  constructor(leastMs: number, mostMs: number) {
    this.#leastMs = leastMs;
    this.#nextMs = leastMs;
    this.#mostMs = mostMs;
  }

  /** To be called when a try succeeded. `leastMs` is what the next failure begins with from now on. */
  reset(leastMs = this.#leastMs): void {
    this.#leastMs = leastMs;
    this.#nextMs = leastMs;
  }

  /** How long to wait now, at least as long as was asked for. */
  next(askedMs = 0): number {
    const waitMs = Math.max(askedMs, this.#nextMs * (1 + Math.random() / 2));
    this.#nextMs = Math.min(this.#mostMs, this.#nextMs * 2);
    return waitMs;
  }
}
