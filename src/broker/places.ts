import type { ChannelRecord } from "./channels.ts";
import type { Query, Statements } from "./statements.ts";

/** Seqs in a bucket: `seq >> 12`, with which the index `messages_by_channel` begins. */
const BUCKET = 4096;

/** Seqs in a span: `seq >> 16`, in the table `spans`. */
const SPAN = 65_536;
const BUCKETS_PER_SPAN = SPAN / BUCKET;

/** What follows `WHERE` in a look for one channel's messages in one bucket: bucket, channel, after, limit. */
export const IN_BUCKET = "seq >> 12 = ? AND channel = ? AND seq > ? ORDER BY seq LIMIT ?";

/** The seqs of many channels in a stretch: channels, start, end, buckets of the stretch, start, end, limit. */
export const IN_STRETCH = `SELECT m.seq FROM json_each(?) c CROSS JOIN spans s CROSS JOIN json_each(?) b CROSS JOIN messages m
  WHERE s.channel = c.value AND s.span BETWEEN (? + 1) >> 16 AND ? >> 16 AND b.value >> 4 = s.span
    AND m.seq >> 12 = b.value AND m.channel = s.channel AND m.seq > ? AND m.seq <= ? ORDER BY m.seq LIMIT ?`;

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
  readonly #seq: Query<[number]>;
  readonly #newest: Query<[number | null]>;

  constructor(statements: Statements) {
    this.#enter = statements.prepare("INSERT OR IGNORE INTO spans (channel, span) VALUES (?, ?)");
    this.#leave = statements.prepare("DELETE FROM spans WHERE channel = ? AND span < ?");
    this.#next = statements.prepare("SELECT min(span) FROM spans WHERE channel = ? AND span >= ?");
    this.#previous = statements.prepare("SELECT max(span) FROM spans WHERE channel = ? AND span <= ?");
    this.#seq = statements.prepare(`SELECT seq FROM messages WHERE ${IN_BUCKET}`);
    this.#newest = statements.prepare("SELECT max(seq) FROM messages WHERE seq >> 12 = ? AND channel = ?");
  }

  /** Notes where a channel's next message will be; called before the record counts it. */
  enter({ id, first, last }: ChannelRecord, seq: number): void {
    const span = spanOf(seq);
    if (first === 0 || spanOf(last) !== span) this.#enter.run(id, span);
  }

  /** Notes that a channel's oldest messages were dropped; `oldest` was the first of them. */
  leave({ id, first, last }: ChannelRecord, oldest: number): void {
    const end = first === 0 ? spanOf(last) + 1 : spanOf(first);
    if (spanOf(oldest) < end) this.#leave.run(id, end);
  }

  /** A channel's oldest rows after a seq, at most `limit`, by a query that ends with `IN_BUCKET`. */
  rows<Row extends readonly (string | number | null)[]>(
    query: Query<Row>,
    { id, first, last }: Pick<ChannelRecord, "id" | "first" | "last">,
    after: number,
    limit: number,
  ): Row[] {
    let found: Row[] = [];
    let span = -1; // one that has messages of the channel
    const end = bucketOf(last);
    for (let bucket = bucketOf(Math.max(first, after + 1)); bucket <= end; bucket++) {
      const rows = query.rows(bucket, id, after, limit - found.length);
      found = found.length === 0 ? rows : found.concat(rows);
      if (found.length >= limit) break;
      const following = Math.floor((bucket + 1) / BUCKETS_PER_SPAN);
      if (rows.length === 0 && bucket < end && following > span) {
        span = this.#next.row(id, following)![0] ?? Infinity;
        bucket = Math.max(bucket, span * BUCKETS_PER_SPAN - 1);
      }
    }
    return found;
  }

  /** A channel's oldest message after a seq; 0 when there is none. */
  first(record: ChannelRecord, after: number): number {
    return this.rows(this.#seq, record, after, 1)[0]?.[0] ?? 0;
  }

  /** The oldest and the newest message of a channel of which nothing is known yet; null when it has none. */
  ends(id: number): { first: number; last: number } | null {
    const oldest = this.#next.row(id, 0)![0];
    const newest = this.#previous.row(id, Number.MAX_SAFE_INTEGER)![0];
    if (oldest === null || newest === null) return null;
    let last: number | null = null;
    for (let bucket = (newest + 1) * BUCKETS_PER_SPAN - 1; last === null; bucket--) {
      last = this.#newest.row(bucket, id)![0];
    }
    const [first] = this.rows(this.#seq, { id, first: oldest * SPAN, last }, 0, 1)[0]!;
    return { first, last };
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
      if (span !== null) previous = Math.max(previous, Math.min(to, (span + 1) * SPAN - 1));
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

function bucketOf(seq: number): number {
  return Math.floor(seq / BUCKET);
}

function spanOf(seq: number): number {
  return Math.floor(seq / SPAN);
}
