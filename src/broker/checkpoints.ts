import type { Database } from "bun:sqlite";
import { Worker } from "node:worker_threads";
import type { BrokerOptions } from "./broker.ts";

/** How much the log grows before it is moved into the file: about 16 MiB of pages. */
const MAX_PAGES = 4000;

/** What the columns of a message beside its data take at most, as a rule. */
const MESSAGE_BYTES = 200;

/** The pages of the index that one commit writes at most: those of a bucket. */
const INDEX_PAGES = 32;

/** A row that lies anywhere writes a page of its table, and often one of an index. */
const PAGES_PER_ROW = 1.5;

/**
 * Keeps the write-ahead log short without making the event loop wait for the disk.
 *
 * A checkpoint in another thread never holds up a commit, but the log begins anew only when all of it was moved, which
 * never happens while commits go on. So a second checkpoint takes the little that came during the first, and for its
 * few milliseconds commits are held; what is published meanwhile waits in the queue.
 */
export class Checkpoints {
  readonly #path: string;
  readonly #db: Database;
  readonly #log: BrokerOptions["log"];
  readonly #resume: () => void;
  #thread: Worker | null = null;
  #phase: "idle" | "first" | "second" | "none" = "idle";
  #pages = 0;

  /** `resume` is called when commits need not be held any more. */
  constructor(path: string, db: Database, log: BrokerOptions["log"], resume: () => void) {
    this.#path = path;
    this.#db = db;
    this.#log = log;
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
    if (thread === null || this.#phase === "none") return;
    this.#phase = "none";
    thread.ref();
    const ended = new Promise((resolve) => thread.once("exit", resolve));
    thread.postMessage(null, []);
    await ended;
  }

  #start(): Worker {
    const thread = new Worker(new URL("checkpoint-thread.ts", import.meta.url));
    thread.on("message", () => this.#attempt(() => this.#done()));
    thread.on("error", (error) => this.#fail(error));
    thread.on("exit", () => this.#fail("it ended"));
    return thread;
  }

  #done(): void {
    if (this.#phase === "first") {
      this.#phase = "second";
      this.#thread?.postMessage(this.#path, []);
    } else if (this.#phase === "second") {
      this.#phase = "idle";
      this.#pages = 0;
      this.#thread?.unref(); // an idle thread keeps no process alive
      this.#resume();
    }
  }

  /** Without the thread, commits do it themselves, as SQLite does by default. */
  #fail(error: unknown): void {
    if (this.#phase === "none") return;
    this.#log("warn", "checkpoints run on the event loop: their thread failed", { error: String(error) });
    this.#phase = "none";
    try {
      this.#db.run("PRAGMA wal_autocheckpoint = 1000");
    } catch (again) {
      this.#log("error", "the log of the store is not moved into its file any more", { error: String(again) });
    }
    this.#resume();
  }

  /** What is thrown here ends neither a commit that was made nor the process, whose events some of it are. */
  #attempt(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#fail(error);
    }
  }
}
