import type { Selection } from "../core/channel.ts";
import { ApiError } from "../core/errors.ts";
import { sizeOf, type Draft } from "../core/message.ts";
import type { Position } from "../core/position.ts";
import type {
  Answers,
  AppId,
  Broker,
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
import { Fault, oneLine, unavailable } from "./fault.ts";
import { closeStore, type OpeningOptions, openStore, type OpenStore, type StoreFile } from "./opening.ts";
import { PublishQueue } from "./publish-queue.ts";
import { summaryOf } from "./reading.ts";
import type { Commit, Waiting } from "./store.ts";

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

export interface SqliteOptions extends OpeningOptions {
  /** Calls back in a later turn of the event loop. Default: `setImmediate`. */
  readonly schedule?: (flush: () => void) => void;
}

interface Queued extends Waiting {
  readonly bytes: number;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

interface Opened extends OpenStore {
  readonly checkpoints: Checkpoints;
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
  readonly #file: StoreFile;
  readonly #options: SqliteOptions;
  readonly #schedule: (flush: () => void) => void;
  readonly #flush = (): void => this.#turn();
  readonly #queue = new PublishQueue<Queued>();
  #scheduled = false;
  #opened: Opened | null = null;
  readonly #reads: Fault;
  readonly #retention: Fault;
  /** Resolves at the next look. */
  #looked = Promise.withResolvers<void>();

  constructor(path: string, synchronous: "normal" | "full", options: SqliteOptions) {
    this.#file = { path, synchronous };
    this.#options = options;
    this.#schedule = options.schedule ?? setImmediate;
    this.#reads = new Fault(READS, options);
    this.#retention = new Fault(RETENTION, options);
  }

  async start(listener: Listener, options: StartOptions = {}): Promise<void> {
    const open = await openStore(this.#file, this.#options, options);
    const { noted = () => undefined } = options;
    const checkpoints = new Checkpoints(this.#file.path, open.db, this.#options, () => this.#arm());
    this.#opened = { ...open, checkpoints, listener, noted };
  }

  publish(app: AppId, drafts: readonly Draft[], once?: Once): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      if (this.#opened === null) throw closed();
      if (this.#opened.writes.refusing) throw unavailable();
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
    const { notes, checkpoints, noted, writes } = this.#opened;
    if (writes.refusing) throw unavailable();
    try {
      notes.keep(app, note);
    } catch (error) {
      this.#refuse([], error);
      throw unavailable();
    }
    checkpoints.wrote(0, 0, 3); // in three indexes
    noted(app, note);
  }

  /** There is no other node. */
  async ask(): Promise<Answers> {
    return { texts: [], complete: true };
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
    const { trimming, checkpoints, writes } = this.#opened;
    writes.look();
    this.#reads.look();
    this.#looked.resolve();
    this.#looked = Promise.withResolvers();
    if (writes.refusing) return false;
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
    if (this.#opened === null) throw closed();
    this.#opened.writes.check();
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
    closeStore(opened, this.#options.log);
  }

  /** All that wait, not one batch after the other: after each failure what is held of the apps is read anew. */
  #refuse(batch: readonly Queued[], error: unknown): void {
    const { writes } = this.#opened!;
    writes.failed(error);
    for (const { reject } of batch) reject(unavailable());
    if (writes.refusing) for (const { reject } of this.#queue.takeAll()) reject(unavailable());
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
      opened.writes.kept();
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

function closed(): ApiError {
  return new ApiError("unavailable", "The store is closed.");
}
