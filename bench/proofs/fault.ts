import { readFileSync } from "node:fs";
import { type Report, whole } from "./report.ts";
import type { Traffic } from "./traffic.ts";

/** From the end of the cause on, a node has so long until all is as before. */
const RECOVERS_MS = 5000;
/** A node that is silent for so long, though it had a core, stays so; and one that is silent for so long in any case. */
const DEAF_MS = 20_000;
const SILENT_MS = 120_000;
const REST_MS = 500;

export interface Fault {
  readonly name: string;
  /** Whether a gap may be told: only where a store came back that may be older. */
  readonly gaps: boolean;
  /** How many acknowledged messages may be lost at most, because the store is not set to keep them. */
  readonly losses: number;
  /** Resolves when the cause is over. */
  bring(): Promise<void>;
}

/** A moment, and how long each process had waited for a core by then. */
interface Moment {
  readonly atMs: number;
  readonly waited: ReadonlyMap<number, number>;
}

/** Brings one fault after the other over what goes on, and tells what came of each. */
export class Faults {
  readonly #report: Report;
  readonly #pids: () => readonly number[];
  readonly #lostBefore = new Map<Traffic, number>();

  /** `pids` are the processes without which nothing is heard. */
  constructor(report: Report, pids: () => readonly number[]) {
    this.#report = report;
    this.#pids = pids;
  }

  /** On `beside` the fault must have no effect at all. */
  async suffer(fault: Fault, traffic: Traffic, beside: readonly Traffic[] = []): Promise<void> {
    const { name } = fault;
    const report = this.#report;
    await Bun.sleep(REST_MS);
    const before = { gaps: traffic.gaps, missed: traffic.missed, again: traffic.triedAgain };
    const gapsBeside = beside.map(({ gaps }) => gaps);
    const began = this.#now();
    const bringing = fault.bring();
    const undisturbed = await Promise.all(beside.map((one) => this.#recovers(one, began)));
    if (beside.length > 0)
      this.#atMost(`${name}: other apps publish and hear within`, this.#held(began, Math.max(...undisturbed)));
    await bringing;
    const over = this.#now();
    const tookMs = await this.#recovers(traffic, over);
    const heldMs = this.#held(over, tookMs);
    await Bun.sleep(REST_MS);

    report.claim("no node stays deaf").check(tookMs !== Infinity, () => `${name}: a node hears nothing`);
    this.#atMost(`${name}: all nodes publish and hear again after`, heldMs);
    const gaps = traffic.gaps - before.gaps;
    const again = traffic.triedAgain - before.again;
    if (fault.gaps) report.figure(`${name}: gaps told`, whole(gaps));
    else report.exactly(`${name}: gaps told`, gaps, 0);
    if (beside.length > 0)
      report.exactly(`${name}: gaps told in other apps`, beside.reduce((sum, one, i) => sum + one.gaps - gapsBeside[i]!, 0), 0); // prettier-ignore
    const missed = traffic.missed - before.missed;
    if (fault.losses > 0) report.figure(`${name}: not heard behind a gap`, whole(missed));
    else report.exactly(`${name}: not heard, behind a gap or not`, missed, 0);
    const lost = await this.#lost(traffic);
    if (fault.losses === Infinity) report.figure(`${name}: acknowledged and lost`, whole(lost));
    else report.atMost(`${name}: acknowledged and lost`, lost, fault.losses);
    report.say(
      `${name}: ${whole(tookMs)} ms, ${whole(heldMs)} of them not for want of a core; ${whole(gaps)} gaps, ${whole(again)} publishes tried again`,
    );
  }

  async #recovers(traffic: Traffic, from: Moment): Promise<number> {
    return await traffic.recovers(
      from.atMs,
      (tookMs) => tookMs > SILENT_MS || (tookMs > DEAF_MS && this.#held(from, tookMs) > DEAF_MS),
    );
  }

  async #lost(traffic: Traffic): Promise<number> {
    const all = await traffic.lost();
    const lost = all - (this.#lostBefore.get(traffic) ?? 0);
    this.#lostBefore.set(traffic, all);
    return lost;
  }

  #atMost(what: string, ms: number): void {
    this.#report.atMost(what, ms / 1000, RECOVERS_MS / 1000, "s");
  }

  #now(): Moment {
    const pids = [...this.#pids(), process.pid];
    return { atMs: performance.now(), waited: new Map(pids.map((pid) => [pid, waitedMs(pid)])) };
  }

  /** Of the time since then, what is left without the time for which the machine had no core for the one that waited longest. */
  #held({ waited }: Moment, tookMs: number): number {
    const waits = [...waited].map(([pid, before]) => waitedMs(pid) - before);
    return Math.max(0, tookMs - Math.max(...waits));
  }
}

/** How long the main thread has waited for a core (Documentation/scheduler/sched-stats.rst); 0 where it is gone. */
function waitedMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ")[1]) / 1e6;
  } catch {
    return 0;
  }
}
