import type { BrokerOptions, Retention } from "./broker.ts";
import type { ChannelRecord } from "./channels.ts";
import { TRIM_STEP, ageNow, exceeds } from "./history.ts";
import type { Notes } from "./notes.ts";
import { IN_BUCKETS, type Places } from "./places.ts";
import type { Query, Statements } from "./statements.ts";
import type { Store, StoredHistory } from "./store.ts";

/** Forgetting one channel takes about as long as dropping so many messages. */
const FORGET_COST = 5;

/** Retention in steps that each drop at most `TRIM_STEP` messages, channels, keys and notes, in one transaction. */
export class Trimming {
  readonly #store: Store;
  readonly #places: Places;
  readonly #notes: Notes;
  readonly #options: BrokerOptions;
  /** So that each step begins with another app. */
  #turn = 0;
  readonly #ofChannel: Query<[number, number, number]>;
  readonly #ofApp: Query<[number, number, number, number]>;
  readonly #drop: Query<[]>;
  readonly #dropOfApp: Query<[]>;
  readonly #updateChannel: Query<[]>;
  readonly #dropChannel: Query<[]>;
  readonly #oldKeys: Query<[number]>;
  readonly #dropKey: Query<[]>;

  constructor(store: Store, places: Places, notes: Notes, statements: Statements, options: BrokerOptions) {
    this.#store = store;
    this.#places = places;
    this.#notes = notes;
    this.#options = options;
    this.#ofChannel = statements.prepare(`SELECT seq, ordinal, volume FROM messages WHERE ${IN_BUCKETS}`);
    this.#ofApp = statements.prepare(
      "SELECT seq, channel, volume, time FROM messages WHERE app = ? ORDER BY seq LIMIT ?",
    );
    this.#drop = statements.prepare("DELETE FROM messages WHERE app = ? AND seq IN (SELECT value FROM json_each(?))");
    this.#dropOfApp = statements.prepare("DELETE FROM messages WHERE app = ? AND seq <= ?");
    this.#updateChannel = statements.prepare(
      "UPDATE channels SET first = ?, trimmed = ?, dropped = ?, dropped_bytes = ?, last = ? WHERE id = ?",
    );
    this.#dropChannel = statements.prepare("DELETE FROM channels WHERE id = ?");
    this.#oldKeys = statements.prepare("SELECT id FROM keys WHERE time < ? ORDER BY time LIMIT ?");
    this.#dropKey = statements.prepare("DELETE FROM keys WHERE id = ?");
  }

  /** One step: how much it dropped, and whether there is more to do. */
  step(): { dropped: number; more: boolean } {
    const apps = this.#store.all();
    const turn = this.#turn++;
    return this.#store.transaction(() => {
      let left = TRIM_STEP;
      for (let i = 0; i < apps.length && left > 0; i++) {
        const [app, history] = apps[(turn + i) % apps.length]!;
        const done = this.#app(history, this.#options.retention(app), left);
        if (done > 0) this.#store.save(history);
        left -= done;
      }
      if (left > 0) left -= this.#keys(left);
      if (left > 0) left -= this.#notes.trim(ageNow(this.#options), left);
      return { dropped: TRIM_STEP - left, more: left <= 0 };
    });
  }

  #app(history: StoredHistory, retention: Retention, limit: number): number {
    let done = 0;
    history.judge(retention);
    for (const record of history.over) {
      done += this.#channel(history, record, limit - done, () => exceeds(record, retention));
      if (done >= limit) return done;
      history.over.delete(record);
    }
    done += this.#oldest(history, retention, limit - done);
    while (done < limit && retention.channels > 0 && history.channels.size > retention.channels) {
      const record = history.channels.oldest!;
      if (record.first > 0) {
        done += this.#channel(history, record, limit - done, () => true);
      } else {
        this.#dropChannel.run(record.id);
        history.forget(record);
        done += FORGET_COST;
      }
    }
    return done;
  }

  /** Drops a channel's oldest messages while `more`, at most `limit`. */
  #channel(history: StoredHistory, record: ChannelRecord, limit: number, more: () => boolean): number {
    const oldest = record.first;
    const rows = this.#places.rows(this.#ofChannel, record, oldest - 1, limit + 1);
    let done = 0;
    for (const [seq, ordinal, volume] of rows) {
      if (done >= limit || !more()) break;
      const first = rows[++done]?.[0] ?? 0;
      history.drop(record, ordinal - record.dropped, volume - record.droppedBytes, seq, first);
    }
    if (done > 0) {
      this.#drop.run(history.id, JSON.stringify(rows.slice(0, done).map(([seq]) => seq)));
      this.#places.leave(record, oldest);
      this.#update(record);
    }
    return done;
  }

  /** Drops the app's oldest messages while they are too old or the app keeps too much. */
  #oldest(history: StoredHistory, { ageMs, appBytes }: Retention, limit: number): number {
    if (ageMs === 0 && (appBytes === 0 || history.bytes <= appBytes)) return 0;
    const since = ageMs > 0 ? ageNow(this.#options) - ageMs : -Infinity;
    const isDue = (time: number): boolean => time < since || (appBytes > 0 && history.bytes > appBytes);
    const oldest = this.#ofApp.row(history.id, 1);
    if (oldest === undefined || !isDue(oldest[3])) return 0;
    const touched = new Map<ChannelRecord, number>(); // to the oldest message that it had
    let last = 0;
    let done = 0;
    for (const [seq, channel, volume, time] of this.#ofApp.rows(history.id, limit)) {
      if (!isDue(time)) break;
      const record = history.byId.get(channel)!;
      if (!touched.has(record)) touched.set(record, record.first);
      history.drop(record, 1, volume - record.droppedBytes, seq, 0);
      last = seq;
      done++;
    }
    this.#dropOfApp.run(history.id, last);
    const firsts = this.#places.firsts(touched.keys(), last);
    for (const [record, before] of touched) {
      record.first = firsts.get(record.id) ?? 0;
      this.#places.leave(record, before);
      this.#update(record);
    }
    return done;
  }

  #update({ id, first, trimmed, dropped, droppedBytes, last }: ChannelRecord): void {
    this.#updateChannel.run(first, trimmed, dropped, droppedBytes, last, id);
  }

  #keys(limit: number): number {
    const { idempotencyTtlMs } = this.#options;
    if (idempotencyTtlMs === 0) return 0;
    const rows = this.#oldKeys.rows(ageNow(this.#options) - idempotencyTtlMs, limit);
    for (const [id] of rows) this.#dropKey.run(id);
    return rows.length;
  }
}
