import type { ChannelRecord } from "./channels.ts";
import type { Query, Statements } from "./statements.ts";

/** Seqs in a bucket: `seq >> 12`, with which the index `messages_by_channel` begins. */
const BUCKET = 4096;

/** Seqs in a span: `seq >> 16`, in the table `spans`. */
const SPAN = 65_536;

/**
 * What follows `WHERE` in a look for one channel's oldest rows: buckets, channel, after, limit. Ordered by the bucket too,
 * as the index is, it stops at the limit; ordered by seq alone it would fetch all of the buckets and sort them.
 */
export const IN_BUCKETS = `seq >> 12 IN (SELECT value FROM json_each(?)) AND channel = ? AND seq > ?
  ORDER BY seq >> 12, seq LIMIT ?`;

/** The buckets of a span, counted from its first. */
const OFFSETS = Array.from({ length: SPAN / BUCKET }, (_, i) => `SELECT ${i}${i === 0 ? " AS bucket" : ""}`).join(
  " UNION ALL ",
);

/** The newest message of the channel `c`, or null. */
export const NEWEST_SEQ = `SELECT max(n.seq) FROM (SELECT max(span) AS last FROM spans WHERE channel = c.id) s
  CROSS JOIN (${OFFSETS}) b CROSS JOIN messages n
  WHERE n.seq >> 12 = (s.last << 4) + b.bucket AND n.channel = c.id`;

/** The oldest seqs of many channels in a stretch of few buckets: channels, buckets, start, end, start, end, limit. */
export const IN_SHORT_STRETCH = `SELECT seq FROM messages INDEXED BY messages_by_channel
  WHERE channel IN (SELECT value FROM json_each(?)) AND seq >> 12 IN (SELECT value FROM json_each(?))
    AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?`;

/** The same where there are many buckets: of a channel that has nothing there it looks at the spans alone. */
export const IN_LONG_STRETCH = `SELECT m.seq FROM json_each(?) c CROSS JOIN spans s CROSS JOIN json_each(?) b
  CROSS JOIN messages m
  WHERE m.seq > ? AND m.seq <= ? AND s.channel = c.value AND s.span BETWEEN (? + 1) >> 16 AND ? >> 16
    AND b.value >> 4 = s.span AND m.seq >> 12 = b.value AND m.channel = s.channel ORDER BY m.seq LIMIT ?`;

/**
 * Where the messages of a channel are.
 *
 * An index by channel and seq is written at as many places as there are channels: a commit of 64 messages wrote some 60
 * pages, most of what a publish cost. So the index goes by bucket first, and all that is written lies in the few pages
 * of the newest one. The table `spans` tells in which stretches of the sequence a channel has messages, so that one
 * that is quiet for millions of positions is not looked for in each of their buckets.
 */
export class Places {
  readonly #enter: Query<[]>;
  readonly #leave: Query<[]>;
  readonly #next: Query<[number | null]>;
  readonly #previous: Query<[number | null]>;
  readonly #firsts: Query<[number, number | null]>;

  constructor(statements: Statements) {
    this.#enter = statements.prepare("INSERT OR IGNORE INTO spans (channel, span) VALUES (?, ?)");
    this.#leave = statements.prepare("DELETE FROM spans WHERE channel = ? AND span < ?");
    this.#next = statements.prepare("SELECT min(span) FROM spans WHERE channel = ? AND span >= ?");
    this.#previous = statements.prepare("SELECT max(span) FROM spans WHERE channel = ? AND span <= ?");
    this.#firsts = statements.prepare(`SELECT c.value, (SELECT min(m.seq)
          FROM (SELECT min(span) AS first FROM spans WHERE channel = c.value AND span >= ?) s
          CROSS JOIN (${OFFSETS}) b CROSS JOIN messages m
          WHERE m.seq >> 12 = (s.first << 4) + b.bucket AND m.channel = c.value AND m.seq > ?)
        FROM json_each(?) c`);
  }

  /** Notes where a channel's next message will be; called before the record counts it. Whether that took a row. */
  enter({ id, first, last }: ChannelRecord, seq: number): boolean {
    const span = spanOf(seq);
    if (first > 0 && spanOf(last) === span) return false;
    this.#enter.run(id, span);
    return true;
  }

  /** Notes that a channel's oldest messages were dropped; `oldest` was the first of them. */
  leave({ id, first, last }: ChannelRecord, oldest: number): void {
    const end = first === 0 ? spanOf(last) + 1 : spanOf(first);
    if (spanOf(oldest) < end) this.#leave.run(id, end);
  }

  /** A channel's oldest rows after a seq, at most `limit`, by a query that ends with `IN_BUCKETS`. */
  rows<Row extends readonly (string | number | null)[]>(
    query: Query<Row>,
    { id, first, last }: ChannelRecord,
    after: number,
    limit: number,
  ): Row[] {
    let found: Row[] = [];
    let start = Math.max(first - 1, after);
    while (start < last) {
      const end = Math.min(last, endOf(spanOf(start + 1)));
      const rows = query.rows(listOf(start, end), id, after, limit - found.length);
      found = found.length === 0 ? rows : found.concat(rows);
      if (found.length >= limit || end === last) break;
      const span = this.#next.row(id, spanOf(end + 1))![0];
      if (span === null) break;
      start = span * SPAN - 1;
    }
    return found;
  }

  /** The oldest message after a seq of each of these channels that has one, by its id. */
  firsts(records: Iterable<ChannelRecord>, after: number): Map<number, number> {
    const found = new Map<number, number>();
    let start = after;
    const isLeft = ({ id, last }: ChannelRecord): boolean => last > start && !found.has(id);
    for (let left = [...records].filter(isLeft); left.length > 0; left = left.filter(isLeft)) {
      const ids = JSON.stringify(left.map(({ id }) => id));
      for (const [id, first] of this.#firsts.rows(spanOf(start + 1), start, ids)) {
        if (first !== null) found.set(id, first);
      }
      start = endOf(spanOf(start + 1)); // for those that had nothing in the rest of this span
    }
    return found;
  }

  /** No message of these channels lies between `after` and the seq that this gives. */
  next(records: readonly ChannelRecord[], after: number): number {
    let next = Infinity;
    for (const { id, first, last } of records) {
      if (last <= after) continue;
      const from = Math.max(first, after + 1);
      const span = this.#next.row(id, spanOf(from))![0];
      if (span !== null) next = Math.min(next, Math.max(from, span * SPAN));
    }
    return next;
  }

  /** No message of these channels lies after the seq that this gives, up to `before`. */
  previous(records: readonly ChannelRecord[], before: number): number {
    let previous = 0;
    for (const { id, first, last } of records) {
      if (first === 0 || first > before) continue;
      const to = Math.min(last, before);
      const span = this.#previous.row(id, spanOf(to))![0];
      if (span !== null) previous = Math.max(previous, Math.min(to, endOf(span)));
    }
    return previous;
  }
}

/** The buckets of the seqs after `start`, up to `end`. */
export function bucketsOf(start: number, end: number): number[] {
  const buckets: number[] = [];
  for (let bucket = bucketOf(start + 1); bucket <= bucketOf(end); bucket++) buckets.push(bucket);
  return buckets;
}

function listOf(start: number, end: number): string {
  return `[${bucketsOf(start, end).join(",")}]`;
}

function bucketOf(seq: number): number {
  return Math.floor(seq / BUCKET);
}

function spanOf(seq: number): number {
  return Math.floor(seq / SPAN);
}

/** The last seq of a span. */
function endOf(span: number): number {
  return (span + 1) * SPAN - 1;
}
