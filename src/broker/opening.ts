import type { Database } from "bun:sqlite";
import { readFileSync } from "node:fs";
import type { BrokerOptions, StartOptions } from "./broker.ts";
import { oneLine } from "./fault.ts";
import { randomEpoch } from "./history.ts";
import { takeLock } from "./lock.ts";
import { Notes } from "./notes.ts";
import { Places } from "./places.ts";
import { Reading } from "./reading.ts";
import { closeDatabase, explain, openDatabase } from "./schema.ts";
import { Statements } from "./statements.ts";
import { Store } from "./store.ts";
import { Trimming } from "./trimming.ts";
import { Writes } from "./writes.ts";

export interface StoreFile {
  readonly path: string;
  readonly synchronous: "normal" | "full";
}

export interface OpeningOptions extends BrokerOptions {
  /** Resolves after so many milliseconds. Default: by `setTimeout`. */
  readonly pause?: (ms: number) => Promise<unknown>;
  /** Names this run of the kernel, or null where there is no telling. Default: Linux's boot id. */
  readonly bootId?: () => string | null;
  /** Given the file as it was opened, so that a test can make it fail. */
  readonly opened?: (db: Database) => void;
}

/** The open file, with all that works on it. */
export interface OpenStore {
  readonly db: Database;
  /** Held as long as the file is ours. */
  readonly lock: Database;
  readonly statements: Statements;
  readonly store: Store;
  readonly writes: Writes;
  readonly reading: Reading;
  readonly trimming: Trimming;
  readonly notes: Notes;
}

/**
 * Opens the file, once no other process has it, and tells the notes that it keeps. Rejects with the signal's reason when that is aborted meanwhile, else
 * with an Error whose message is one line.
 */
export async function openStore(
  { path, synchronous }: StoreFile,
  options: OpeningOptions,
  { noted, signal }: StartOptions,
): Promise<OpenStore> {
  const { log, now, newEpoch = randomEpoch, bootId = linuxBootId } = options;
  let lock: Database | undefined;
  let db: Database | undefined;
  let statements: Statements | undefined;
  try {
    lock = await takeLock(path, options, options.pause ?? pause, signal);
    db = openDatabase(path, {
      synchronous,
      boot: bootId(),
      newEpoch,
      renewed: () => log("warn", "the machine stopped without a clean close: what came last may be lost, new epoch"),
    });
    statements = new Statements(db);
    const places = new Places(statements);
    const store = new Store(db, places, statements, options);
    const notes = new Notes(store, statements);
    const reading = new Reading(places, statements);
    const trimming = new Trimming(store, places, notes, statements, options);
    warnOfClock(store, options);
    if (noted !== undefined) for (const [app, note] of notes.all(now())) noted(app, note);
    options.opened?.(db);
    return { db, lock, statements, store, writes: new Writes(db, options), reading, trimming, notes };
  } catch (error) {
    statements?.close();
    db?.close();
    lock?.close();
    throw signal?.aborted === true ? signal.reason : explain(error, path);
  }
}

/** Marks that nothing was lost, and lets go of the file. */
export function closeStore({ db, lock, statements }: OpenStore, log: BrokerOptions["log"]): void {
  statements.close();
  try {
    closeDatabase(db);
  } catch (error) {
    log("warn", "the store could not note that it was closed", { error: oneLine(error) });
  } finally {
    lock.close();
  }
}

function warnOfClock(store: Store, { now, log }: BrokerOptions): void {
  const aheadMs = Math.max(...store.all().map(([, { time }]) => time)) - now();
  if (aheadMs <= 1000) return;
  log("warn", "the clock is behind the newest message, whose time is given to others until it has caught up", {
    by_ms: aheadMs,
  });
}

function pause(ms: number): Promise<unknown> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function linuxBootId(): string | null {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return null; // not Linux
  }
}
