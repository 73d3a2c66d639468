import { Listener } from "./listener.ts";
import type { Port } from "./port.ts";
import type { Random } from "./random.ts";
import type { Claim, Report } from "./report.ts";
import { pathOf, selects } from "./selection.ts";

/** Connects that wait for their answer at one time, so that no accept queue overflows. */
const CONNECTING = 200;
/** How long a stream that was cut is away. */
const AWAY_MS = 20;
/** How often some of them are cut. */
const CUT_EVERY_MS = 100;

/**
 * The text of the n-th message of a series, counted from 1, filled up to so many characters. A series is a channel, or
 * the channel and after a slash who of several publishes to it.
 */
export function numbered(series: string, n: number, length = 0): string {
  return `${series} ${n} `.padEnd(length, "x");
}

export interface CrowdOptions {
  /** Whose channels they are, where there are several apps. */
  readonly app?: string | null;
  /** Nothing was published before they listen: a series begins with 1, and what an id names is compared among them. */
  readonly fromFirst?: boolean;
}

/** What one listener heard of one series. */
interface Last {
  readonly n: number;
  /** Of the listener's gaps, how many were told before. */
  readonly gaps: number;
}

interface Heard {
  readonly selected: (channel: string) => boolean;
  readonly last: ReadonlyMap<string, Last>;
}

/**
 * Thousands of listeners that keep of each series only the number of the last message: what comes next must be the next
 * one, also after the stream was cut and resumed, unless a gap was told.
 */
export class Crowd {
  readonly #listeners: Listener[];
  readonly #heard: Heard[] = [];
  readonly #fromFirst: boolean;
  readonly #app: string | null;
  readonly #next: Claim;
  readonly #right: Claim;
  readonly #report: Report;
  readonly #named = new Map<string, string>();
  gaps = 0;
  /** Messages that were not heard, behind gaps that were told. */
  missed = 0;

  constructor(
    report: Report,
    port: Port,
    selections: readonly (readonly string[])[],
    { app = null, fromFirst = false }: CrowdOptions = {},
  ) {
    this.#report = report;
    this.#fromFirst = fromFirst;
    this.#app = app;
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

  /** Streams that ended, and connects that failed, by the server's doing. */
  get ended(): number {
    return this.#listeners.reduce((sum, { ended }) => sum + ended, 0);
  }

  /** Resolves when all are open, and have an id to come back with. */
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

  /** How many have not heard the newest message of a series that they listen to. */
  behind(newest: ReadonlyMap<string, number>): number {
    const series = [...newest].map(([name, n]) => ({ name, n, channel: channelOf(name) }));
    return this.#heard.filter(({ selected, last }) =>
      series.some(({ name, n, channel }) => last.get(name)?.n !== n && selected(channel)),
    ).length;
  }

  #listener(port: Port, selection: readonly string[]): Listener {
    const last = new Map<string, Last>();
    this.#heard.push({ selected: selects(selection), last });
    let gaps = 0;
    const path = pathOf(selection, this.#app);
    return new Listener({
      port,
      path,
      ears: {
        message: ({ id, data }) => {
          const [series = "", number] = data.split(" ", 2);
          const n = Number(number);
          const before = last.get(series) ?? { n: 0, gaps: this.#fromFirst ? 0 : -1 };
          this.#compare(before.gaps < gaps, before.n, n, () => `${path}: ${id} is ${n} after ${before.n}`);
          if (this.#fromFirst) this.#agree(path, id, data);
          last.set(series, { n, gaps });
        },
        told: (event) => {
          this.#right.check(true, () => "");
          if (event !== "socket:gap") return;
          this.gaps += 1;
          gaps += 1;
        },
        fault: (why) => this.#right.check(false, () => `${path}: ${why}`),
      },
    });
  }

  #compare(afterGap: boolean, before: number, n: number, detail: () => string): void {
    if (!afterGap) return this.#next.check(n === before + 1, detail);
    // One whose acknowledgement went with the store is published once more.
    const again = this.#report.claim("after a gap no message comes again, but one whose acknowledgement was lost");
    again.check(n >= before, detail);
    this.missed += Math.max(0, n - before - 1);
  }

  #agree(path: string, id: string, data: string): void {
    const named = this.#named.get(id);
    if (named === undefined) this.#named.set(id, data);
    else {
      const claim = this.#report.claim("an id names the same message for every listener");
      claim.check(named === data, () => `${path}: ${id} is ${data}, and ${named} for others`);
    }
  }
}

function channelOf(series: string): string {
  return series.split("/", 1)[0]!;
}

async function settled(listeners: readonly Listener[]): Promise<void> {
  while (!listeners.every(({ isOpen, lastId }) => isOpen && lastId !== null)) await Bun.sleep(5);
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const other = random.between(0, i);
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  return order;
}
