import { Database } from "bun:sqlite";
import { accessSync, constants, existsSync, mkdirSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import type { BrokerOptions } from "./broker.ts";

/** How often a start asks whether the process before it has let go. */
const ASK_MS = 100;

/**
 * Makes the file this process's own until what it resolves with is closed, by a lock that the system takes back however
 * the process ends. It is on a file beside the store, since the store itself is open twice in this process: commits and
 * checkpoints run beside each other.
 *
 * Waits, without a bound, while another process has it: in a rolling deploy that one is being drained. The store itself
 * is not touched meanwhile. Rejects with the signal's reason once that is aborted.
 */
export async function takeLock(
  path: string,
  { now, log }: Pick<BrokerOptions, "now" | "log">,
  pause: (ms: number) => Promise<unknown>,
  signal: AbortSignal | undefined,
): Promise<Database> {
  mkdirSync(dirname(path), { recursive: true });
  const from = now();
  for (let asked = 0; ; asked++) {
    signal?.throwIfAborted();
    const lock = ask(path);
    if (lock !== null) {
      if (asked > 0) log("info", "the other process has let go of the store", { path, waited_ms: now() - from });
      return lock;
    }
    if (asked === 0) log("info", "waiting for the store, which another process has in use", { path });
    await pause(ASK_MS);
  }
}

/** Null while another process has it. */
function ask(path: string): Database | null {
  const real = existsSync(path) ? realpathSync(path) : path; // one lock by whatever link the store is found
  accessSync(dirname(real), constants.W_OK); // for the lock, and for what SQLite puts beside the store
  const lock = new Database(`${real}.lock`, { create: true, readwrite: true });
  try {
    accessSync(`${real}.lock`, constants.W_OK); // of a file that it may only read SQLite takes no exclusive lock, silently
    lock.run("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    if ((error as { code?: unknown }).code === "SQLITE_BUSY") return null;
    throw error;
  }
}
