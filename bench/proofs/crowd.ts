import { Listener } from "./listener.ts";
import type { Random } from "./random.ts";
import type { Claim, Report } from "./report.ts";
import { pathOf } from "./selection.ts";

/** Connects that wait for their answer at one time, so that no accept queue overflows. */
const CONNECTING = 200;
/** How long a stream that was cut is away. */
const AWAY_MS = 20;
/** How often some of them are cut. */
const CUT_EVERY_MS = 100;

/** The text of the n-th message of a channel, counted from 1, filled up to so many characters. */
export function numbered(channel: string, n: number, length = 0): string {
  return `${channel} ${n} `.padEnd(length, "x");
}

/**
 * Thousands of listeners that keep of each channel only the number of the last message: what comes next must be the next
 * one, also after the stream was cut and resumed, unless a gap was told.
 */
export class Crowd {
  readonly #listeners: Listener[];
  readonly #next: Claim;
  readonly #right: Claim;
  gaps = 0;

  constructor(report: Report, port: number, selections: readonly (readonly string[])[]) {
    this.#next = report.claim("a listener hears the next message of each channel, or is told a gap");
    this.#right = report.claim("streams are answered, and say what they may say");
    this.#listeners = selections.map((selection) => this.#listener(port, selection));
  }

  get size(): number {
    return this.#listeners.length;
  }

  get open(): number {
    return this.#listeners.reduce((sum, { isOpen }) => sum + (isOpen ? 1 : 0), 0);
  }

  /** How many streams were opened in all. */
  get opened(): number {
    return this.#listeners.reduce((sum, { opened }) => sum + opened, 0);
  }

  /** Resolves when all are open. */
  async openAll(): Promise<void> {
    for (let from = 0; from < this.size; from += CONNECTING) {
      const some = this.#listeners.slice(from, from + CONNECTING);
      for (const listener of some) listener.open();
      await settled(some);
    }
  }

  /** Cuts that share of them every second, each as often as any other; resolves after so long, with all of them open. */
  async churn(share: number, ms: number, random: Random): Promise<void> {
    const began = performance.now();
    const order = shuffled(this.#listeners, random);
    for (let cut = 0; performance.now() - began < ms;) {
      const due = ((performance.now() - began) / 1000) * share * this.size;
      for (; cut < due; cut++) order[cut % this.size]!.reset(AWAY_MS);
      await Bun.sleep(CUT_EVERY_MS);
    }
    await settled(this.#listeners);
  }

  /** Takes nothing from their connections until `resumeAll`. */
  pauseAll(): void {
    for (const listener of this.#listeners) listener.pause();
  }

  resumeAll(): void {
    for (const listener of this.#listeners) listener.resume();
  }

  /** Cuts all of them, for good. */
  closeAll(): void {
    for (const listener of this.#listeners) listener.close();
  }

  #listener(port: number, selection: readonly string[]): Listener {
    const last = new Map<string, number>();
    const path = pathOf(selection);
    return new Listener({
      port,
      path,
      ears: {
        message: ({ id, data }) => {
          const [channel = "", number] = data.split(" ", 2);
          const n = Number(number);
          const before = last.get(channel);
          last.set(channel, n);
          this.#next.check(before === undefined || n === before + 1, () => `${path}: ${id} is ${n} after ${before}`);
        },
        told: (event) => {
          this.#right.check(true, () => "");
          if (event !== "socket:gap") return;
          this.gaps += 1;
          last.clear();
        },
        fault: (why) => this.#right.check(false, () => `${path}: ${why}`),
      },
    });
  }
}

async function settled(listeners: readonly Listener[]): Promise<void> {
  while (!listeners.every(({ isOpen }) => isOpen)) await Bun.sleep(5);
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const other = random.between(0, i);
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  return order;
}
