import type { Database } from "bun:sqlite";
import { Worker } from "node:worker_threads";
import type { BrokerOptions } from "./broker.ts";
import { Fault } from "./fault.ts";

/** How much the log grows before it is moved into the file: about 16 MiB of pages. */
const MAX_PAGES = 4000;

/** What the columns of a message beside its data take at most, as a rule. */
const MESSAGE_BYTES = 200;

/** The pages of the index that one commit writes at most: those of a bucket. */
const INDEX_PAGES = 32;

/** A row that lies anywhere writes a page of its table, and often one of an index. */
const PAGES_PER_ROW = 1.5;

/** In a single-file build (`scripts/build.ts`) all modules are one at its root, and this one is beside it. */
const THREAD = new URL(
  import.meta.path.startsWith("/$bunfs/") ? "broker/checkpoint-thread.js" : "checkpoint-thread.ts",
  import.meta.url,
);

const FAULT = {
  begins: "the store's log is not moved into its file, and grows",
  over: "the store's log is moved into its file again",
  quietLooks: 1,
};

/**
 * Keeps the write-ahead log short without making the event loop wait for the disk.
 *
 * A checkpoint in another thread never holds up a commit, but the log begins anew only when all of it was moved, which
 * never happens while commits go on. So a second checkpoint takes the little that came during the first, and for its
 * few milliseconds commits are held; what is published meanwhile waits in the queue. One that fails is tried again when
 * the log has grown as much once more. Nothing is lost by it: a log is read as the file is.
 */
export class Checkpoints {
  readonly #path: string;
  readonly #db: Database;
  readonly #fault: Fault;
  readonly #resume: () => void;
  #thread: Worker | null = null;
  #phase: "idle" | "first" | "second" | "closed" = "idle";
  #pages = 0;

  /** `resume` is called when commits need not be held any more. */
  constructor(path: string, db: Database, options: Pick<BrokerOptions, "log" | "now">, resume: () => void) {
    this.#path = path;
    this.#db = db;
    this.#fault = new Fault(FAULT, options);
    this.#resume = resume;
    db.run("PRAGMA wal_autocheckpoint = 0");
  }

  /** Commits are to be held. */
  get held(): boolean {
    return this.#phase === "second";
  }

  /** Notes what a transaction wrote: messages and their data at the end of the file, and rows that lie anywhere. */
  wrote(messages: number, bytes: number, rows: number): void {
    this.#pages +=
      3 + Math.min(messages, INDEX_PAGES) + (bytes + messages * MESSAGE_BYTES) / 4096 + rows * PAGES_PER_ROW;
    if (this.#phase !== "idle" || this.#pages < MAX_PAGES) return;
    this.#phase = "first";
    this.#pages = 0;
    this.#attempt(() => {
      this.#thread ??= this.#start();
      this.#thread.ref();
      this.#thread.postMessage(this.#path, []);
    });
  }

  /** Resolves once the thread has let go of the file. */
  async close(): Promise<void> {
    const thread = this.#thread;
    this.#phase = "closed";
    if (thread === null) return;
    this.#thread = null;
    thread.ref();
    const ended = new Promise((resolve) => thread.once("exit", resolve));
    thread.postMessage(null, []);
    await ended;
  }

  #start(): Worker {
    const thread = new Worker(THREAD);
    thread.on("message", (failed: string | null) => this.#attempt(() => this.#done(failed)));
    thread.on("error", (error) => this.#lost(thread, error));
    thread.on("exit", () => this.#lost(thread, "its thread ended"));
    return thread;
  }

  #done(failed: string | null): void {
    if (this.#phase === "closed") return;
    if (this.#phase === "first" && failed === null) {
      this.#phase = "second";
      this.#thread?.postMessage(this.#path, []);
      return;
    }
    if (failed === null) {
      this.#fault.look();
      this.#db.run("PRAGMA wal_autocheckpoint = 0");
    } else this.#fault.failed(failed);
    this.#idle();
  }

  /** Until another thread has made one, commits make checkpoints themselves, as SQLite does by default. */
  #lost(thread: Worker | null, error: unknown): void {
    if (this.#phase === "closed" || thread !== this.#thread) return; // told already, by its error
    this.#fault.failed(error);
    this.#thread = null;
    try {
      this.#db.run("PRAGMA wal_autocheckpoint = 1000");
    } catch {
      // the log grows, as was told
    }
    this.#idle();
  }

  /** What is thrown here ends neither a commit that was made nor the process, whose events some of it are. */
  #attempt(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#lost(this.#thread, error);
    }
  }

  #idle(): void {
    this.#phase = "idle";
    this.#pages = 0;
    this.#thread?.unref(); // an idle thread keeps no process alive
    this.#resume();
  }
}
