import type { Clock, Log } from "./http/gateway.ts";

/** A step back of more than this is told. */
const BACK_MS = 1000;
/** A step forward of more than this is a jump. */
const FORWARD_MS = 60_000;
/** How long a jump has lasted when it is believed. */
const BELIEVED_MS = 600_000;

/**
 * The time by which ages are judged: the wall clock, but for a jump forward, which counts only once it has lasted for ten
 * minutes. A clock that was set wrongly is set right again, and what retention dropped for it would not come back.
 * Against a clock that never goes back each jump is seen as it is asked, and told, once.
 */
export class AgeClock {
  readonly #clock: Pick<Clock, "now" | "elapsed">;
  readonly #log: Log;
  #nowMs: number;
  #elapsedMs: number;
  /** What is not believed yet. */
  #aheadMs = 0;
  #believedAtMs = 0;

  constructor(clock: Pick<Clock, "now" | "elapsed">, log: Log) {
    this.#clock = clock;
    this.#log = log;
    this.#nowMs = clock.now();
    this.#elapsedMs = clock.elapsed();
  }

  readonly now = (): number => {
    const now = this.#clock.now();
    const elapsed = this.#clock.elapsed();
    const stepMs = now - this.#nowMs - (elapsed - this.#elapsedMs);
    this.#nowMs = now;
    this.#elapsedMs = elapsed;
    if (stepMs > FORWARD_MS) {
      this.#aheadMs += stepMs;
      this.#believedAtMs = elapsed + BELIEVED_MS;
      this.#log("warn", "the clock went forward: for ten minutes nothing is dropped for the age that gives it", {
        by_ms: Math.round(stepMs),
      });
    } else if (stepMs < -BACK_MS) {
      this.#aheadMs = Math.max(0, this.#aheadMs + stepMs);
      this.#log("warn", "the clock went back: messages are given the time of the newest until it has caught up", {
        by_ms: Math.round(-stepMs),
      });
    }
    if (elapsed >= this.#believedAtMs) this.#aheadMs = 0;
    return now - this.#aheadMs;
  };
}
