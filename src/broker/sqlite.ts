import type { Database } from "bun:sqlite";
import { readFileSync } from "node:fs";
import type { Selection } from "../core/channel.ts";
import { ApiError } from "../core/errors.ts";
import { sizeOf, type Draft } from "../core/message.ts";
import type { Position } from "../core/position.ts";
import type {
  AppId,
  Broker,
  BrokerOptions,
  ChannelSummary,
  Listener,
  Note,
  Once,
  Page,
  Receipt,
  Start,
  StartOptions,
} from "./broker.ts";
import { Checkpoints } from "./checkpoints.ts";
import { randomEpoch } from "./history.ts";
import { Notes } from "./notes.ts";
import { Places } from "./places.ts";
import { Reading, summaryOf } from "./reading.ts";
import { takeLock } from "./lock.ts";
import { closeDatabase, explain, openDatabase } from "./schema.ts";
import { Statements } from "./statements.ts";
import { Store, type Commit, type Waiting } from "./store.ts";
import { Trimming } from "./trimming.ts";

/** What one transaction holds at most, so that no turn of the loop is long; one larger publish goes alone. */
const TURN_MESSAGES = 500;
const TURN_BYTES = 1024 * 1024;

export interface SqliteOptions extends BrokerOptions {
  /** Calls back in a later turn of the event loop. Default: `setImmediate`. */
  readonly schedule?: (flush: () => void) => void;
  /** Resolves after so many milliseconds. Default: by `setTimeout`. */
  readonly pause?: (ms: number) => Promise<unknown>;
  /** Names this run of the kernel, or null where there is no telling. Default: Linux's boot id. */
  readonly bootId?: () => string | null;
}

interface Queued extends Waiting {
  readonly bytes: number;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

interface Opened {
  readonly db: Database;
  /** Held as long as the file is ours. */
  readonly lock: Database;
  readonly checkpoints: Checkpoints;
  readonly statements: Statements;
  readonly store: Store;
  readonly reading: Reading;
  readonly trimming: Trimming;
  readonly notes: Notes;
  readonly listener: Listener;
  readonly noted: (app: AppId, note: Note) => void;
}

/**
 * Keeps messages in one file, which belongs to this process alone while it runs.
 *
 * What is published in one turn of the event loop is stored by one transaction in the next, and acknowledged and
 * delivered after it. With `synchronous` normal that survives the end of the process however it comes; a loss of power
 * may take back what came last, and then every app begins a new epoch, so that the loss is told. With full it survives
 * the loss of power too.
 */
export class SqliteBroker implements Broker {
  readonly #path: string;
  readonly #synchronous: "normal" | "full";
  readonly #options: SqliteOptions;
  readonly #schedule: (flush: () => void) => void;
  readonly #flush = (): void => this.#turn();
  #queue: Queued[] = [];
  #scheduled = false;
  #opened: Opened | null = null;

  constructor(path: string, synchronous: "normal" | "full", options: SqliteOptions) {
    this.#path = path;
    this.#synchronous = synchronous;
    this.#options = options;
    this.#schedule = options.schedule ?? setImmediate;
  }

  async start(listener: Listener, { noted = () => undefined, signal }: StartOptions = {}): Promise<void> {
    let lock: Database | undefined;
    let db: Database | undefined;
    let statements: Statements | undefined;
    try {
      lock = await takeLock(this.#path, this.#options, this.#options.pause ?? pause, signal);
      db = openDatabase(this.#path, {
        synchronous: this.#synchronous,
        boot: (this.#options.bootId ?? linuxBootId)(),
        newEpoch: this.#options.newEpoch ?? randomEpoch,
        renewed: () => {
          this.#options.log("warn", "the machine stopped without a clean close: what came last may be lost, new epoch");
        },
      });
      statements = new Statements(db);
      const places = new Places(statements);
      const store = new Store(db, places, statements, this.#options);
      const reading = new Reading(places, statements);
      const notes = new Notes(store, statements);
      const trimming = new Trimming(store, places, notes, statements, this.#options);
      const checkpoints = new Checkpoints(this.#path, db, this.#options.log, () => this.#arm());
      for (const [app, note] of notes.all(this.#options.now())) noted(app, note);
      this.#opened = { db, lock, checkpoints, statements, store, reading, trimming, notes, listener, noted };
    } catch (error) {
      statements?.close();
      db?.close();
      lock?.close();
      throw signal?.aborted === true ? signal.reason : explain(error, this.#path);
    }
  }

  publish(app: AppId, drafts: readonly Draft[], once?: Once): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      if (this.#opened === null) throw closed();
      const sizes = drafts.map(sizeOf);
      const bytes = sizes.reduce((sum, size) => sum + size, 0);
      this.#queue.push({ app, drafts, sizes, bytes, once, resolve, reject });
      this.#arm();
    });
  }

  async read(app: AppId, selection: Selection, after: Position, limit: number): Promise<Page> {
    return this.#use(({ store, reading }) => reading.page(store.history(app), selection, after, limit));
  }

  async seek(app: AppId, selection: Selection, start: Start): Promise<Position> {
    return this.#use(({ store, reading }) => reading.seek(store.history(app), selection, start));
  }

  async follow(app: AppId, _selection: Selection): Promise<Position> {
    return this.#use(({ store }) => {
      const history = store.history(app);
      return history.position(history.head);
    });
  }

  async unfollow(_app: AppId, _selection: Selection): Promise<void> {
    // everything is delivered always
  }

  async note(app: AppId, note: Note): Promise<void> {
    this.#use(({ notes, checkpoints, noted }) => {
      notes.keep(app, note);
      checkpoints.wrote(0, 0, 3); // in three indexes
      noted(app, note);
    });
  }

  async channel(app: AppId, name: string): Promise<ChannelSummary | null> {
    return this.#use(({ store }) => {
      const history = store.history(app);
      const record = history.channels.get(name);
      return record === undefined || record.first === 0 ? null : summaryOf(history, record);
    });
  }

  async channels(app: AppId, prefix: string, after: string, limit: number): Promise<ChannelSummary[]> {
    return this.#use(({ store, reading }) => reading.channels(store.history(app), prefix, after, limit));
  }

  async trim(): Promise<boolean> {
    return this.#use(({ trimming, checkpoints }) => {
      const { dropped, more } = trimming.step();
      checkpoints.wrote(0, 0, dropped);
      return more;
    });
  }

  async check(): Promise<void> {
    // only a write shows that the disk takes one
    this.#use(({ db }) => db.run("UPDATE node SET checked = checked + 1"));
  }

  /** Stores and acknowledges what was published before, then lets go of the file. */
  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === null) return;
    await opened.checkpoints.close();
    if (this.#opened === null) return; // closed twice
    while (this.#queue.length > 0) this.#turn();
    this.#opened = null;
    opened.statements.close();
    try {
      closeDatabase(opened.db);
    } finally {
      opened.lock.close();
    }
  }

  #arm(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(this.#flush);
  }

  #turn(): void {
    this.#scheduled = false;
    const opened = this.#opened;
    if (opened === null || opened.checkpoints.held) return; // which ends with a turn
    const batch = this.#take();
    if (batch.length === 0) return;
    if (this.#queue.length > 0) this.#arm();
    let commit: Commit;
    try {
      commit = opened.store.commit(batch);
    } catch (error) {
      this.#options.log("error", "publishes were not stored", { publishes: batch.length, error: oneLine(error) });
      for (const { reject } of batch) reject(unavailable());
      return;
    }
    opened.checkpoints.wrote(
      batch.reduce((sum, { drafts }) => sum + drafts.length, 0),
      batch.reduce((sum, { bytes }) => sum + bytes, 0),
      commit.rows,
    );
    for (const [i, outcome] of commit.outcomes.entries()) {
      if (outcome instanceof ApiError) batch[i]!.reject(outcome);
      else batch[i]!.resolve(outcome);
    }
    for (const [history, { app, messages }] of commit.accepted) {
      try {
        opened.listener.deliver(app, messages);
        opened.listener.mark(app, history.position(messages.at(-1)!.seq));
      } catch (error) {
        this.#options.log("error", "a delivery failed", { app, error: oneLine(error) });
        opened.listener.broken(app); // what it missed is read from the store
      }
    }
  }

  #take(): Queued[] {
    let messages = 0;
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      messages += waiting.drafts.length;
      bytes += waiting.bytes;
      if (count > 0 && (messages > TURN_MESSAGES || bytes > TURN_BYTES)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  #use<T>(work: (opened: Opened) => T): T {
    if (this.#opened === null) throw closed();
    try {
      return work(this.#opened);
    } catch (error) {
      this.#options.log("error", "the store failed", { error: oneLine(error) });
      throw unavailable();
    }
  }
}

function pause(ms: number): Promise<unknown> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function closed(): ApiError {
  return new ApiError("unavailable", "The store is closed.");
}

function unavailable(): ApiError {
  return new ApiError("unavailable", "The store cannot be read or written now.");
}

function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ");
}

function linuxBootId(): string | null {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return null; // not Linux
  }
}
