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
import { Fault, oneLine } from "./fault.ts";
import { randomEpoch } from "./history.ts";
import { Notes } from "./notes.ts";
import { Places } from "./places.ts";
import { PublishQueue } from "./publish-queue.ts";
import { Reading, summaryOf } from "./reading.ts";
import { takeLock } from "./lock.ts";
import { closeDatabase, explain, openDatabase } from "./schema.ts";
import { Statements } from "./statements.ts";
import { Store, type Commit, type Waiting } from "./store.ts";
import { Trimming } from "./trimming.ts";

/** After how many looks publishes are tried again that a damaged page kept from being stored. */
const DAMAGED_LOOKS = 30;

const PUBLISHING = {
  begins: "the store does not take messages: publishes are refused until it does",
  over: "the store takes messages again",
  quietLooks: 2,
};
const READS = {
  begins: "the store cannot be read: what needs it is refused",
  over: "the store could be read for a minute",
  quietLooks: 60,
};
const RETENTION = {
  begins: "retention cannot drop what is due",
  over: "retention works again",
  quietLooks: 1,
};

export interface SqliteOptions extends BrokerOptions {
  /** Calls back in a later turn of the event loop. Default: `setImmediate`. */
  readonly schedule?: (flush: () => void) => void;
  /** Resolves after so many milliseconds. Default: by `setTimeout`. */
  readonly pause?: (ms: number) => Promise<unknown>;
  /** Names this run of the kernel, or null where there is no telling. Default: Linux's boot id. */
  readonly bootId?: () => string | null;
  /** Given the file as it was opened, so that a test can make it fail. */
  readonly opened?: (db: Database) => void;
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
  readonly #queue = new PublishQueue<Queued>();
  #scheduled = false;
  #opened: Opened | null = null;
  readonly #publishing: Fault;
  readonly #reads: Fault;
  readonly #retention: Fault;
  /** The file did not take what was published. Nothing is tried until a look, once a second, finds that it takes writes. */
  #refusing = false;
  /** A page that a publish needed is damaged: only one that is kept shows that it is not any more. */
  #damaged = false;
  #looks = 0;
  /** Resolves at the next look. */
  #looked = Promise.withResolvers<void>();

  constructor(path: string, synchronous: "normal" | "full", options: SqliteOptions) {
    this.#path = path;
    this.#synchronous = synchronous;
    this.#options = options;
    this.#schedule = options.schedule ?? setImmediate;
    this.#publishing = new Fault(PUBLISHING, options);
    this.#reads = new Fault(READS, options);
    this.#retention = new Fault(RETENTION, options);
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
      const checkpoints = new Checkpoints(this.#path, db, this.#options, () => this.#arm());
      for (const [app, note] of notes.all(this.#options.now())) noted(app, note);
      this.#warnOfClock(store);
      this.#options.opened?.(db);
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
      if (this.#refusing) throw unavailable();
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
    for (;;) {
      const { promise } = this.#looked;
      try {
        return this.#use(({ store }) => {
          const history = store.history(app);
          return history.position(history.head);
        });
      } catch (error) {
        if (this.#opened === null) throw error;
        await promise;
      }
    }
  }

  async unfollow(_app: AppId, _selection: Selection): Promise<void> {
    // everything is delivered always
  }

  async note(app: AppId, note: Note): Promise<void> {
    if (this.#opened === null) throw closed();
    if (this.#refusing) throw unavailable();
    const { notes, checkpoints, noted } = this.#opened;
    try {
      notes.keep(app, note);
    } catch (error) {
      this.#refuse([], error);
      throw unavailable();
    }
    checkpoints.wrote(0, 0, 3); // in three indexes
    noted(app, note);
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
    if (this.#opened === null) return false;
    const { trimming, checkpoints } = this.#opened;
    this.#look();
    if (this.#refusing) return false;
    try {
      const { dropped, more } = trimming.step();
      checkpoints.wrote(0, 0, dropped);
      this.#retention.look();
      return more;
    } catch (error) {
      this.#retention.failed(error);
      return false;
    }
  }

  async check(): Promise<void> {
    if (!this.#damaged) this.#probe();
    if (this.#refusing || this.#damaged) throw unavailable();
  }

  /** Stores and acknowledges what was published before, then lets go of the file. */
  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === null) return;
    await opened.checkpoints.close();
    if (this.#opened === null) return; // closed twice
    while (this.#queue.length > 0) this.#turn();
    this.#opened = null;
    this.#looked.resolve();
    opened.statements.close();
    try {
      closeDatabase(opened.db);
    } catch (error) {
      this.#options.log("warn", "the store could not note that it was closed", { error: oneLine(error) });
    } finally {
      opened.lock.close();
    }
  }

  #warnOfClock(store: Store): void {
    const aheadMs = Math.max(...store.all().map(([, { time }]) => time)) - this.#options.now();
    if (aheadMs > 1000) {
      this.#options.log(
        "warn",
        "the clock is behind the newest message, whose time is given to others until it has caught up",
        {
          by_ms: aheadMs,
        },
      );
    }
  }

  /** Once a second: whether what failed is over. */
  #look(): void {
    if (this.#refusing && (!this.#damaged || ++this.#looks % DAMAGED_LOOKS === 0)) this.#probe();
    if (!this.#refusing && !this.#damaged) this.#publishing.look();
    this.#reads.look();
    this.#looked.resolve();
    this.#looked = Promise.withResolvers();
  }

  /** Whether the file takes writes: only a write shows it. */
  #probe(): void {
    if (this.#opened === null) throw closed();
    try {
      this.#opened.db.run("UPDATE node SET checked = checked + 1");
      this.#refusing = false;
    } catch (error) {
      this.#refuse([], error);
    }
  }

  /** All that wait, not one batch after the other: after each failure what is held of the apps is read anew. */
  #refuse(batch: readonly Queued[], error: unknown): void {
    const code = String((error as { code?: unknown }).code);
    this.#refusing = code.startsWith("SQLITE_");
    if (code.startsWith("SQLITE_CORRUPT")) this.#damaged = true;
    this.#publishing.failed(error);
    for (const { reject } of batch) reject(unavailable());
    if (this.#refusing) for (const { reject } of this.#queue.takeAll()) reject(unavailable());
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
    const batch = this.#queue.take();
    if (batch.length === 0) return;
    if (this.#queue.length > 0) this.#arm();
    let commit: Commit;
    try {
      commit = opened.store.commit(batch);
      this.#damaged = false;
    } catch (error) {
      return this.#refuse(batch, error);
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

  #use<T>(work: (opened: Opened) => T): T {
    if (this.#opened === null) throw closed();
    try {
      return work(this.#opened);
    } catch (error) {
      this.#reads.failed(error);
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

function linuxBootId(): string | null {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return null; // not Linux
  }
}
