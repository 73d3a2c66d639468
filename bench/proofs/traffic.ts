import { Crowd } from "./crowd.ts";
import type { Fleet } from "./fleet.ts";
import { Ledger, readHistory } from "./ledger.ts";
import type { Random } from "./random.ts";
import { Recovery } from "./recovery.ts";
import { type Report, whole } from "./report.ts";
import { hasPattern } from "./selection.ts";
import { newestOf, Source } from "./source.ts";

/** Only the first node has streams with patterns: the others hear of each channel alone. */
const WITH_PATTERNS = 1;
const CHANNELS = Array.from({ length: 12 }, (_, i) => `room.${i}`);
const SOURCES_PER_NODE = 2;
const PAUSE_MS = 50;
/** Between two tries of a publish that was not acknowledged. */
const AGAIN_MS = 100;
const LAST_WITHIN_MS = 30_000;

export interface TrafficOptions {
  readonly listeners: number;
  /** Percent of the listeners that move to another node in a second. */
  readonly moving: number;
  readonly random: Random;
  /** Where there are several. */
  readonly app?: { readonly id: string; readonly secret: string };
}

/**
 * What goes on in one app while something fails: listeners that move between the nodes with their last id, publishers at
 * every node, and one listener at each node that stays, by which is seen when that node hears again.
 */
export class Traffic {
  readonly app: string;
  readonly #report: Report;
  readonly #fleet: Fleet;
  readonly #options: TrafficOptions;
  readonly #ledger: Ledger;
  readonly #crowds: readonly Crowd[];
  readonly #sources: readonly Source[];
  readonly #recovery: Recovery;
  readonly #stopping = { now: false };
  #running: Promise<unknown> = Promise.resolve();

  constructor(report: Report, fleet: Fleet, options: TrafficOptions) {
    const { listeners, random, app } = options;
    this.app = app?.id ?? "default";
    this.#report = report;
    this.#fleet = fleet;
    this.#options = options;
    const ledger = (this.#ledger = new Ledger(report, AGAIN_MS));
    const all = Array.from({ length: listeners }, (_, i) => selectionOf(i));
    const crowd = (among: number, some: readonly (readonly string[])[]) =>
      new Crowd(report, () => fleet.pick(random, among), some, { fromFirst: true, app: app?.id ?? null });
    this.#crowds = [
      crowd(
        fleet.nodes.length,
        all.filter((one) => !hasPattern(one)),
      ),
      crowd(WITH_PATTERNS, all.filter(hasPattern)),
    ];
    const names = Array.from({ length: fleet.nodes.length * SOURCES_PER_NODE }, (_, i) => `source-${i}`);
    this.#sources = names.map((name, i) => {
      const { port } = fleet.nodes[i % fleet.nodes.length]!;
      const channels = CHANNELS.filter((_, nth) => nth % 2 === i % 2);
      return new Source({ port, ledger, name, channels, pauseMs: PAUSE_MS, ...(app && { secret: app.secret }) });
    });
    const places = fleet.nodes.map(({ port }, nth) => ({
      port,
      selection: nth < WITH_PATTERNS ? ["room.*"] : CHANNELS,
    }));
    this.#recovery = new Recovery(report, places, names, app?.id ?? null);
  }

  /** Each has one message under way at a time. */
  get publishers(): number {
    return this.#sources.length;
  }

  get gaps(): number {
    return this.#crowds.reduce((sum, { gaps }) => sum + gaps, 0);
  }

  /** Messages that listeners did not hear, behind gaps that were told. */
  get missed(): number {
    return this.#crowds.reduce((sum, { missed }) => sum + missed, 0);
  }

  get triedAgain(): number {
    return this.#ledger.unanswered;
  }

  /** Resolves once all listen and are published to. */
  async begin(): Promise<void> {
    await Promise.all(this.#crowds.map((crowd) => crowd.openAll()));
    this.#recovery.open();
    const publishing = this.#sources.map((source) => source.publishUntil(this.#stopping));
    const { moving, random } = this.#options;
    const churning = this.#crowds.map(async (crowd) => {
      while (!this.#stopping.now) await crowd.churn(moving / 100, 500, random);
    });
    this.#running = Promise.all([...publishing, ...churning]);
    this.#running.catch((error: unknown) => this.#report.fail(String(error)));
  }

  /** See `Recovery`. */
  recovers(sinceMs: number, isGivenUp: (tookMs: number) => boolean): Promise<number> {
    return this.#recovery.since(sinceMs, isGivenUp);
  }

  /** How many of all messages that are acknowledged by now are not kept. */
  async lost(): Promise<number> {
    const acknowledged = this.#ledger.acknowledgedData;
    const { secret } = this.#options.app ?? {};
    const kept = await readHistory(this.#fleet.nodes[0]!.port, CHANNELS, secret);
    const there = new Set(kept.map(({ data }) => data));
    return acknowledged.filter((data) => !there.has(data)).length;
  }

  /** Resolves once all have heard the end, or do not hear it any more. */
  async end(): Promise<void> {
    this.#stopping.now = true;
    await this.#running;
    await Promise.all(this.#sources.map((source) => source.end()));
    await allHear(this.#report, this.#crowds, this.#sources);
    for (const crowd of this.#crowds) crowd.closeAll();
    this.#recovery.close();
    const opened = this.#crowds.reduce((sum, crowd) => sum + crowd.opened, 0);
    const { app } = this.#options;
    const of = app === undefined ? "" : `${app.id}: `;
    this.#report.figure(`${of}messages acknowledged, all with keys`, whole(this.#ledger.acknowledged));
    this.#report.figure(`${of}streams opened`, whole(opened));
  }
}

/** Waits until all have heard the last message of each series. */
export async function allHear(report: Report, crowds: readonly Crowd[], sources: readonly Source[]): Promise<void> {
  const newest = newestOf(sources);
  const untilMs = performance.now() + LAST_WITHIN_MS;
  const behind = () => crowds.reduce((sum, crowd) => sum + crowd.behind(newest), 0);
  while (behind() > 0 && performance.now() < untilMs) await Bun.sleep(100);
  const count = behind();
  const all = report.claim("every listener hears the last message of all that it listens to");
  all.check(count === 0, () => `${count} do not`);
}

/** Of ten listeners seven have one channel, two three, one all. */
function selectionOf(i: number): readonly string[] {
  if (i % 10 < 7) return [channel(i)];
  return i % 10 < 9 ? [channel(i), channel(i + 5), channel(i + 7)] : ["room.*"];
}

function channel(nth: number): string {
  return CHANNELS[nth % CHANNELS.length]!;
}
