import type { Selection } from "../core/channel.ts";
import { sizeOf, type Message } from "../core/message.ts";
import type { Position } from "../core/position.ts";
import type { ChannelSummary, Page, Start } from "./broker.ts";
import { matcher, type ChannelRecord } from "./channels.ts";
import { PAGE_BYTES } from "./history.ts";
import { IN_BUCKETS, IN_LONG_STRETCH, IN_SHORT_STRETCH, bucketsOf, type Places } from "./places.ts";
import type { Query, Statements } from "./statements.ts";
import type { StoredHistory } from "./store.ts";

/** Rows that are fetched at once: a page of large messages is cut long before all of them would be in memory. */
const CHUNK = 64;

/** A row passed over in the app's order costs about an eighth of a look for one channel's messages in a window. */
const ROWS_PER_LOOK = 8;

/** The widest stretch of the sequence that one query passes over: about 4 ms. */
const MAX_WINDOW = 50_000;

/** Of so few buckets, a look in every one costs less than one at the spans before it. */
const FEW_BUCKETS = 4;

/** Of more channels than these a stretch that holds nothing is rare, and finding where to go on is not cheap. */
const MAX_SKIPPING = 500;

type MessageRow = [number, number, string | null, string, number, number];

const COLUMNS = "seq, channel, event, data, json, time";

/** Reads of the file: each a few indexed looks, whatever the file holds beside. */
export class Reading {
  readonly #places: Places;
  readonly #ofChannel: Query<MessageRow>;
  readonly #ofSeqs: Query<MessageRow>;
  readonly #short: Query<[number]>;
  readonly #long: Query<[number]>;
  readonly #scan: Query<[number, number]>;
  readonly #timeFrom: Query<[number, number]>;
  readonly #names: Query<[string]>;

  constructor(places: Places, statements: Statements) {
    this.#places = places;
    this.#ofChannel = statements.prepare(`SELECT ${COLUMNS} FROM messages WHERE ${IN_BUCKETS}`);
    this.#ofSeqs = statements.prepare(
      `SELECT ${COLUMNS} FROM messages WHERE app = ? AND seq IN (SELECT value FROM json_each(?)) ORDER BY seq`,
    );
    this.#short = statements.prepare(IN_SHORT_STRETCH);
    this.#long = statements.prepare(IN_LONG_STRETCH);
    this.#scan = statements.prepare(
      "SELECT seq, channel FROM messages WHERE app = ? AND seq > ? AND seq <= ? ORDER BY seq",
    );
    this.#timeFrom = statements.prepare(
      "SELECT seq, time FROM messages WHERE app = ? AND seq >= ? ORDER BY seq LIMIT 1",
    );
    this.#names = statements.prepare(`SELECT name FROM channels c WHERE app = ? AND name > ? AND name >= ? AND name < ?
          AND EXISTS (SELECT 1 FROM spans WHERE channel = c.id) ORDER BY name LIMIT ?`);
  }

  page(history: StoredHistory, selection: Selection, after: Position, limit: number): Page {
    return history.page(selection, after, (active, from) => {
      if (active.length === 1) {
        const record = active[0]!;
        return collect(history, limit, (last, count) =>
          this.#places.rows(this.#ofChannel, record, Math.max(from, last), count),
        );
      }
      const seqs = this.#merge(history, selection, active, from, limit);
      let taken = 0;
      return collect(history, seqs.length, (_last, count) => {
        const chunk = seqs.slice(taken, (taken += count));
        return this.#ofSeqs.rows(history.id, JSON.stringify(chunk));
      });
    });
  }

  seek(history: StoredHistory, selection: Selection, start: Start): Position {
    const { count } = start;
    const lowest = start.kind === "since" ? this.#before(history, start.sinceMs) : 0;
    let total = 0;
    let oldest: number[] = []; // of what was found, the part that was found last
    let end = history.head;
    let all: ChannelRecord[] | null = null;
    // from the newest end, so that a pattern looks only at the channels that were active in what is looked at
    for (let width = 2 * count; total < count && end > lowest; width *= 4) {
      const from = Math.max(lowest, end - Math.min(width, MAX_WINDOW));
      const active = history.channels.activeAfter(selection, from);
      const seqs = active.length === 0 ? [] : this.#stretch(history, selection, active, from, end, Infinity);
      if (seqs.length > 0) oldest = seqs;
      total += seqs.length;
      end = from;
      if (seqs.length === 0 && end > lowest) {
        all ??= history.channels.activeAfter(selection, lowest);
        if (all.length <= MAX_SKIPPING) end = this.#places.previous(all, end);
      }
    }
    const first = oldest[Math.max(0, total - count)];
    return history.position(first === undefined ? history.head : first - 1);
  }

  channels(history: StoredHistory, prefix: string, after: string, limit: number): ChannelSummary[] {
    // "\x7f" sorts after every character that a name may hold
    const rows = this.#names.rows(history.id, after, prefix, `${prefix}\x7f`, limit);
    return rows.map(([name]) => summaryOf(history, history.channels.get(name)!));
  }

  /** The seq before the first message of a time or later. */
  #before(history: StoredHistory, sinceMs: number): number {
    let low = 0; // every message up to here is older
    let high = history.head;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const row = this.#timeFrom.row(history.id, middle + 1);
      if (row === undefined || row[1] >= sinceMs) high = middle;
      else low = row[0];
    }
    return low;
  }

  /**
   * The oldest `limit` seqs of many channels after a position. Looks at one stretch of the sequence after the other,
   * each as wide as should hold enough.
   */
  #merge(
    history: StoredHistory,
    selection: Selection,
    active: readonly ChannelRecord[],
    from: number,
    limit: number,
  ): number[] {
    const { head } = history;
    let density = 0;
    let start = head;
    for (const { published, dropped, first } of active) {
      density += (published - dropped) / (head - first + 1);
      start = Math.min(start, first - 1);
    }
    start = Math.max(start, from);
    const found: number[] = [];
    for (let width = Math.ceil((1.5 * limit) / density); found.length < limit && start < head; width *= 4) {
      const end = Math.min(head, start + Math.min(width, MAX_WINDOW));
      const seqs = this.#stretch(history, selection, active, start, end, limit - found.length);
      found.push(...seqs);
      start = end;
      if (seqs.length === 0 && active.length <= MAX_SKIPPING) start = this.#places.next(active, end) - 1;
    }
    return found;
  }

  /** The oldest `limit` seqs of a stretch: by the channels' index where they are few, else in the app's order. */
  #stretch(
    history: StoredHistory,
    selection: Selection,
    active: readonly ChannelRecord[],
    start: number,
    end: number,
    limit: number,
  ): number[] {
    const buckets = bucketsOf(start, end);
    if (active.length * buckets.length * ROWS_PER_LOOK <= end - start) {
      const ids = JSON.stringify(active.map(({ id }) => id));
      const list = JSON.stringify(buckets);
      const count = Math.min(limit, end - start);
      return (
        buckets.length <= FEW_BUCKETS
          ? this.#short.rows(ids, list, start, end, count)
          : this.#long.rows(ids, list, start, end, start, end, count)
      ).map(([seq]) => seq);
    }
    const found: number[] = [];
    const matches = matcher(selection);
    for (const [seq, id] of this.#scan.rows(history.id, start, end)) {
      if (matches(history.byId.get(id)!.name) && found.push(seq) >= limit) break;
    }
    return found;
  }
}

export function summaryOf(history: StoredHistory, record: ChannelRecord): ChannelSummary {
  return { channel: record.name, oldest: history.position(record.first), newest: history.position(record.last) };
}

/** At most `limit` messages and a page of data, from rows that come in chunks after the last one that was taken. */
function collect(
  history: StoredHistory,
  limit: number,
  next: (last: number, count: number) => MessageRow[],
): Message[] {
  const messages: Message[] = [];
  const { epoch, byId } = history;
  let bytes = 0;
  while (messages.length < limit) {
    const count = Math.min(CHUNK, limit - messages.length);
    const rows = next(messages.at(-1)?.seq ?? 0, count);
    for (const [seq, channel, event, data, json, time] of rows) {
      const message = { channel: byId.get(channel)!.name, event, data, json: json === 1, epoch, seq, time };
      bytes += sizeOf(message);
      if (bytes > PAGE_BYTES && messages.length > 0) return messages;
      messages.push(message);
    }
    if (rows.length < count) break;
  }
  return messages;
}
