import { closeSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import type { Accepting } from "./accepting.ts";
import type { Log } from "./http/gateway.ts";

/** The descriptors of this process, or what a test puts in their place. */
export interface Descriptors {
  /** `ulimit -n`. */
  readonly limit: number;
  /** The least number that is free: so many are open at least. Infinity when none is free. Cheap. */
  lowestFree(): number;
  /** How many are open; Infinity when that cannot be told. Takes milliseconds where there are thousands, before Linux 6.2. */
  open(): number;
  /** Takes so many, as far as they are there, and gives what gives them back. */
  reserve(count: number): () => void;
}

/** From here on connections that are idle are ended: some 10 % are left. */
const CLOSE = 0.9;
/** From here on no connection is accepted. A flood passes both shares between two looks, so they need no distance. */
const FULL = 0.98;
/** For what the process itself opens while connections have taken the rest: the store's thread, files of a large sort. */
const RESERVE = 8;
const COUNT_MS = 1000;
/** By then Bun has ended those that did not send a first request (it gives them 10 to 12 s), so idle ones are in the way. */
const PATIENCE_MS = 15_000;

/**
 * Keeps connections below the descriptor limit. At the limit itself accepting fails, and the runtime tries again at
 * once, for ever, at the cost of a whole processor.
 *
 * Close to the limit it ends idle connections, which come back when they are needed. At the limit new ones wait in the
 * kernel's queue, while those that are open go on; they are accepted again once a tenth of the descriptors is free.
 */
export class DescriptorGuard {
  readonly #descriptors: Descriptors;
  readonly #accepting: Pick<Accepting, "pause" | "resume">;
  readonly #endIdle: () => void;
  readonly #log: Log;
  #release: () => void;
  #waiting = false;
  #countAtMs = 0;
  #endIdleAtMs = 0;

  constructor(descriptors: Descriptors, accepting: Pick<Accepting, "pause" | "resume">, endIdle: () => void, log: Log) {
    this.#descriptors = descriptors;
    this.#accepting = accepting;
    this.#endIdle = endIdle;
    this.#log = log;
    this.#release = descriptors.reserve(RESERVE);
  }

  /** To be called several times a second. */
  look(nowMs: number): void {
    if (!this.#waiting) this.#watch(nowMs);
    else if (nowMs >= this.#countAtMs) this.#count(nowMs);
  }

  /** Lets go of the reserve. Nothing may be called after it. */
  end(): void {
    this.#release();
  }

  #watch(nowMs: number): void {
    const { limit } = this.#descriptors;
    const used = this.#descriptors.lowestFree();
    if (used < limit * CLOSE) return;
    if (used < limit * FULL) return this.#endIdleAt(nowMs);
    this.#release();
    const waiting = this.#accepting.pause();
    this.#waiting = true;
    this.#countAtMs = nowMs + COUNT_MS;
    this.#endIdleAtMs = nowMs + PATIENCE_MS;
    this.#log("warn", "the descriptor limit is reached, new connections wait", { limit, waiting });
  }

  #count(nowMs: number): void {
    this.#countAtMs = nowMs + COUNT_MS;
    const { limit } = this.#descriptors;
    if (this.#descriptors.open() + RESERVE >= limit * CLOSE) return this.#endIdleAt(nowMs);
    this.#release = this.#descriptors.reserve(RESERVE);
    this.#accepting.resume();
    this.#waiting = false;
    this.#log("info", "new connections are accepted again", { limit });
  }

  #endIdleAt(nowMs: number): void {
    if (nowMs < this.#endIdleAtMs) return;
    this.#endIdleAtMs = nowMs + PATIENCE_MS;
    this.#endIdle();
  }
}

/** Null where the system does not tell its limit, as only Linux does. */
export function descriptorsOfProcess(): Descriptors | null {
  const limit = limitOfProcess();
  return limit === null ? null : { limit, lowestFree, open: countOpen, reserve };
}

/**
 * How many streams fit below the limit: 80 % of what the process leaves, so that publishes and refusals find room, and
 * connections that were kept open. 0 stands for no limit.
 */
export function streamsBelow(descriptors: Pick<Descriptors, "limit"> | null): number {
  return descriptors === null ? 0 : Math.max(1, Math.floor((descriptors.limit - OWN) * 0.8));
}

/** Files, threads and the reserve: about 30 when they were counted. */
const OWN = 32;

function limitOfProcess(): number | null {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === undefined ? null : Number(limit);
  } catch {
    return null;
  }
}

function lowestFree(): number {
  const fd = openNull();
  if (fd === null) return Infinity;
  closeSync(fd);
  return fd;
}

/** Since Linux 6.2 the folder's size is the number. */
function countOpen(): number {
  try {
    return statSync("/proc/self/fd").size || readdirSync("/proc/self/fd").length;
  } catch {
    return Infinity; // to read the folder takes a descriptor
  }
}

function reserve(count: number): () => void {
  const held = Array.from({ length: count }, openNull);
  return () => {
    for (const fd of held.splice(0)) if (fd !== null) closeSync(fd);
  };
}

function openNull(): number | null {
  try {
    return openSync("/dev/null", "r");
  } catch {
    return null; // EMFILE
  }
}
