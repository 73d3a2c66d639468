import type { Database } from "bun:sqlite";
import { ApiError } from "../core/errors.ts";
import type { Draft, Message } from "../core/message.ts";
import type { AppId, BrokerOptions, Once, Receipt, Retention } from "./broker.ts";
import { newChannel, type ChannelRecord } from "./channels.ts";
import { History, ageNow, digestOf, exceeds, randomEpoch } from "./history.ts";
import { NEWEST_SEQ, type Places } from "./places.ts";
import type { Query, Statements } from "./statements.ts";

/** One app of the file, as it stands after the last transaction. */
export class StoredHistory extends History {
  /** The app's number in the file. */
  readonly id: number;
  readonly byId = new Map<number, ChannelRecord>();

  constructor(id: number, kept: ConstructorParameters<typeof History>[0]) {
    super(kept);
    this.id = id;
  }

  include(record: ChannelRecord): void {
    this.channels.add(record);
    this.byId.set(record.id, record);
  }

  override forget(record: ChannelRecord): void {
    super.forget(record);
    this.byId.delete(record.id);
  }
}

/** A publish that waits for its transaction. */
export interface Waiting {
  readonly app: AppId;
  readonly drafts: readonly Draft[];
  /** The size of each draft. */
  readonly sizes: readonly number[];
  readonly once: Once | undefined;
}

export interface Commit {
  /** Of each publish in turn: what it resolves with, or is refused with alone. */
  readonly outcomes: readonly (Receipt | ApiError)[];
  /** What was accepted, by app, in order. */
  readonly accepted: ReadonlyMap<StoredHistory, { readonly app: AppId; readonly messages: readonly Message[] }>;
  /** Rows that were written beside the messages. */
  readonly rows: number;
}

type AppRow = [number, string, number, string | null, number | null, number, number, number, number];
type ChannelRow = [number, string, number, number, number, number, number, number, number];

/** The file's rows and what is held of them in memory, always in step. */
export class Store {
  readonly db: Database;
  readonly #places: Places;
  readonly #options: BrokerOptions;
  readonly #histories = new Map<AppId, StoredHistory>();
  #complete = false;
  /** Of the transaction that runs: rows that were written beside the messages. */
  #rows = 0;
  readonly #open: Query<[]>;
  readonly #commit: Query<[]>;
  readonly #app: Query<AppRow>;
  readonly #apps: Query<[string]>;
  readonly #insertApp: Query<[]>;
  readonly #updateApp: Query<[]>;
  readonly #channels: Query<ChannelRow>;
  readonly #insertChannel: Query<[number]>;
  readonly #begin: Query<[]>;
  readonly #insertMessage: Query<[]>;
  readonly #key: Query<[string, string, number, string, number]>;
  readonly #insertKey: Query<[]>;

  constructor(db: Database, places: Places, statements: Statements, options: BrokerOptions) {
    this.db = db;
    this.#places = places;
    this.#options = options;
    this.#open = statements.prepare("BEGIN IMMEDIATE");
    this.#commit = statements.prepare("COMMIT");
    this.#app = statements.prepare(
      `SELECT id, epoch, start, preceding_epoch, preceding_end, floor, head, time, bytes FROM apps WHERE name = ?`,
    );
    this.#apps = statements.prepare("SELECT name FROM apps ORDER BY id");
    this.#insertApp = statements.prepare(
      `INSERT INTO apps (name, epoch, start, floor, head, time, bytes) VALUES (?, ?, 0, 0, 0, 0, 0)`,
    );
    this.#updateApp = statements.prepare("UPDATE apps SET floor = ?, head = ?, time = ?, bytes = ? WHERE id = ?");
    this.#channels = statements.prepare(`SELECT c.id, c.name, c.first, c.trimmed, c.dropped, c.dropped_bytes,
              coalesce(m.seq, c.last), coalesce(m.ordinal, c.dropped), coalesce(m.volume, c.dropped_bytes)
         FROM channels c LEFT JOIN messages m ON m.app = c.app AND m.seq = (${NEWEST_SEQ})
        WHERE c.app = ? ORDER BY 7`);
    this.#insertChannel = statements.prepare("INSERT INTO channels (app, name, first) VALUES (?, ?, ?) RETURNING id");
    this.#begin = statements.prepare("UPDATE channels SET first = ? WHERE id = ?");
    this.#insertMessage = statements.prepare(
      `INSERT INTO messages (app, seq, channel, ordinal, volume, time, json, event, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#key = statements.prepare("SELECT digest, epoch, seq, subscribers, time FROM keys WHERE app = ? AND key = ?");
    this.#insertKey = statements.prepare(
      `INSERT OR REPLACE INTO keys (app, key, digest, epoch, seq, subscribers, time) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    );
    this.all();
  }

  /** Every app of the file. */
  all(): readonly (readonly [AppId, StoredHistory])[] {
    if (!this.#complete) {
      for (const [app] of this.#apps.rows()) this.history(app);
      this.#complete = true;
    }
    return [...this.#histories];
  }

  /** An app's history; one that is not known yet begins here. */
  history(app: AppId): StoredHistory {
    const known = this.#histories.get(app);
    if (known !== undefined) return known;
    let row = this.#app.row(app);
    if (row === undefined) {
      this.#insertApp.run(app, (this.#options.newEpoch ?? randomEpoch)());
      row = this.#app.row(app)!;
    }
    const history = this.#load(row, this.#options.retention(app));
    this.#histories.set(app, history);
    return history;
  }

  /** Runs `work` whole or not at all; when it throws, what is held in memory is read from the file again. */
  transaction<T>(work: () => T): T {
    try {
      this.#open.run();
      const result = work();
      this.#commit.run();
      return result;
    } catch (error) {
      this.#histories.clear();
      this.#complete = false;
      if (this.db.inTransaction) this.db.run("ROLLBACK");
      throw error;
    }
  }

  /** Notes what changed of an app; called once a transaction. */
  save({ id, floor, head, time, bytes }: StoredHistory): void {
    this.#updateApp.run(floor, head, time, bytes, id);
  }

  /** Keeps all of these publishes in one transaction, but for those that are refused alone. */
  commit(batch: readonly Waiting[]): Commit {
    return this.transaction(() => {
      const now = this.#options.now();
      this.#rows = 0;
      const accepted = new Map<StoredHistory, { app: AppId; messages: Message[] }>();
      const outcomes = batch.map((waiting) => {
        const history = this.history(waiting.app);
        let digest = "";
        if (waiting.once !== undefined) {
          digest = digestOf(waiting.drafts);
          const first = this.#repeated(history, waiting.once.key, digest, ageNow(this.#options));
          if (first !== null) return first;
        }
        let of = accepted.get(history);
        if (of === undefined) accepted.set(history, (of = { app: waiting.app, messages: [] }));
        const receipt: Receipt = { epoch: history.epoch, seq: history.head + 1, repeated: null };
        this.#append(history, waiting, now, of.messages);
        if (waiting.once !== undefined) this.#remember(history, waiting.once, digest, receipt);
        return receipt;
      });
      for (const history of accepted.keys()) this.save(history);
      return { outcomes, accepted, rows: this.#rows };
    });
  }

  #append(history: StoredHistory, { app, drafts, sizes }: Waiting, now: number, into: Message[]): void {
    const retention = this.#options.retention(app);
    for (const [i, draft] of drafts.entries()) {
      const record = history.channels.get(draft.channel) ?? this.#newChannel(history, draft.channel);
      if (this.#places.enter(record, history.head + 1)) this.#rows++;
      if (record.first === 0 && record.last > 0) this.#begin.run(history.head + 1, record.id);
      const message = history.append(record, draft, sizes[i]!, now, retention);
      this.#insertMessage.run(
        history.id,
        message.seq,
        record.id,
        record.published,
        record.publishedBytes,
        message.time,
        draft.json ? 1 : 0,
        draft.event,
        draft.data,
      );
      into.push(message);
    }
  }

  #newChannel(history: StoredHistory, name: string): ChannelRecord {
    const record = newChannel(this.#insertChannel.row(history.id, name, history.head + 1)![0], name);
    history.include(record);
    this.#rows++;
    return record;
  }

  #repeated(history: StoredHistory, key: string, digest: string, now: number): Receipt | ApiError | null {
    const row = this.#key.row(history.id, key);
    if (row === undefined) return null;
    const [known, epoch, seq, subscribers, time] = row;
    const ttlMs = this.#options.idempotencyTtlMs;
    if (ttlMs > 0 && time + ttlMs < now) return null;
    if (known !== digest) {
      return new ApiError("idempotency_conflict", "The key was first used with another channel, event or data.");
    }
    return { epoch, seq, repeated: JSON.parse(subscribers) as number[] };
  }

  #remember(history: StoredHistory, once: Once, digest: string, { epoch, seq }: Receipt): void {
    const subscribers = JSON.stringify(once.subscribers);
    this.#rows += 2; // each in two indexes
    this.#insertKey.run(history.id, once.key, digest, epoch, seq, subscribers, history.time);
  }

  #load(row: AppRow, retention: Retention): StoredHistory {
    const [id, epoch, start, precedingEpoch, precedingEnd, floor, head, time, bytes] = row;
    const preceding = precedingEpoch === null ? null : { epoch: precedingEpoch, end: precedingEnd ?? 0 };
    const history = new StoredHistory(id, { epoch, start, preceding, floor, head, time, bytes });
    for (const row of this.#channels.rows(id)) {
      const record = newChannel(row[0], row[1]);
      [, , record.first, record.trimmed, record.dropped, record.droppedBytes] = row;
      [, , , , , , record.last, record.published, record.publishedBytes] = row;
      history.include(record);
      if (exceeds(record, retention)) history.over.add(record);
    }
    return history;
  }
}
