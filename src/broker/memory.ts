import type { Selection } from "../core/channel.ts";
import { ApiError } from "../core/errors.ts";
import { sizeOf, type Draft, type Message } from "../core/message.ts";
import type { Position } from "../core/position.ts";
import type {
  Answers,
  AppId,
  Broker,
  BrokerOptions,
  ChannelSummary,
  Listener,
  Note,
  Once,
  Page,
  Receipt,
  Retention,
  Start,
  StartOptions,
} from "./broker.ts";
import { matcher, newChannel, type ChannelRecord } from "./channels.ts";
import { PAGE_BYTES, TRIM_STEP, History, ageNow, digestOf, exceeds, randomEpoch } from "./history.ts";

interface Kept {
  readonly digest: string;
  readonly receipt: Receipt;
  readonly subscribers: readonly number[];
  readonly time: number;
}

class MemoryHistory extends History {
  /** By channel, oldest first. */
  readonly messages = new Map<ChannelRecord, Message[]>();
  /** Every message in order, with some that were dropped since. */
  order: Message[] = [];
  readonly keys = new Map<string, Kept>();
  kept = 0;
  lastId = 0;
}

/** Keeps everything in this process: gone with it. The reference for the other drivers. */
export class MemoryBroker implements Broker {
  readonly #options: BrokerOptions;
  readonly #apps = new Map<AppId, MemoryHistory>();
  /** Accepted but not delivered: not empty only while a delivery runs. */
  readonly #pending: { app: AppId; messages: readonly Message[] }[] = [];
  #delivering = false;
  #listener: Listener | null = null;
  #noted: (app: AppId, note: Note) => void = () => undefined;
  /** So that each step of retention begins with another app. */
  #turn = 0;

  constructor(options: BrokerOptions) {
    this.#options = options;
  }

  async start(listener: Listener, { noted = () => undefined }: StartOptions = {}): Promise<void> {
    this.#listener = listener;
    this.#noted = noted;
  }

  async publish(app: AppId, drafts: readonly Draft[], once?: Once): Promise<Receipt> {
    if (this.#listener === null) throw new ApiError("unavailable", "The store is closed.");
    const history = this.#history(app);
    const now = this.#options.now();
    const digest = once === undefined ? "" : digestOf(drafts);
    if (once !== undefined) {
      const known = history.keys.get(once.key);
      if (known !== undefined && !this.#expired(known, ageNow(this.#options))) {
        if (known.digest === digest) return { ...known.receipt, repeated: known.subscribers };
        throw new ApiError("idempotency_conflict", "The key was first used with another channel, event or data.");
      }
    }
    const retention = this.#options.retention(app);
    const messages = drafts.map((draft) => this.#append(history, draft, now, retention));
    const receipt: Receipt = { epoch: history.epoch, seq: messages[0]!.seq, repeated: null };
    if (once !== undefined) {
      history.keys.delete(once.key); // an expired one: the map is in order of time
      history.keys.set(once.key, { digest, receipt, subscribers: [...once.subscribers], time: history.time });
    }
    this.#pending.push({ app, messages });
    this.#deliver();
    return receipt;
  }

  async read(app: AppId, selection: Selection, after: Position, limit: number): Promise<Page> {
    const history = this.#history(app);
    return history.page(selection, after, (active, from) => {
      const found = this.#after(history, selection, active, from, limit);
      let bytes = 0;
      const end = found.findIndex((message, i) => (bytes += sizeOf(message)) > PAGE_BYTES && i > 0);
      return end === -1 ? found : found.slice(0, end);
    });
  }

  async seek(app: AppId, selection: Selection, start: Start): Promise<Position> {
    const history = this.#history(app);
    const earliestMs = start.kind === "since" ? start.sinceMs : 0;
    const { count } = start;
    let found: number[] = [];
    let lowest = 0;
    let bound = count;
    for (const record of history.channels.newestFirst(selection)) {
      if (record.last <= lowest && selection.patterns.length > 0) break; // all that follow are older
      const messages = history.messages.get(record)!;
      const at = lowerBound(messages, (message) => message.time >= earliestMs && message.seq > lowest);
      for (const message of messages.slice(Math.max(at, messages.length - count))) found.push(message.seq);
      if (found.length < bound) continue;
      bound = 2 * count; // sorted now and then, not for every channel
      found = found.sort((a, b) => b - a).slice(0, count);
      lowest = found.at(-1) ?? history.head;
    }
    const oldest = found
      .sort((a, b) => b - a)
      .slice(0, count)
      .at(-1);
    return history.position(oldest === undefined ? history.head : oldest - 1);
  }

  async follow(app: AppId, _selection: Selection): Promise<Position> {
    const history = this.#history(app);
    return history.position(history.head);
  }

  async unfollow(_app: AppId, _selection: Selection): Promise<void> {
    // everything is delivered always
  }

  /** Nobody can ask for it again: it is gone with the process, as this is. */
  async note(app: AppId, note: Note): Promise<void> {
    this.#noted(app, note);
  }

  /** There is no other node. */
  async ask(): Promise<Answers> {
    return { texts: [], complete: true };
  }

  async channel(app: AppId, name: string): Promise<ChannelSummary | null> {
    const history = this.#history(app);
    const record = history.channels.get(name);
    return record === undefined || record.first === 0 ? null : summaryOf(history, record);
  }

  async channels(app: AppId, prefix: string, after: string, limit: number): Promise<ChannelSummary[]> {
    const history = this.#history(app);
    const found = [...history.channels.values()].filter(
      ({ name, first }) => first > 0 && name.startsWith(prefix) && name > after,
    );
    found.sort((a, b) => (a.name < b.name ? -1 : 1));
    return found.slice(0, limit).map((record) => summaryOf(history, record));
  }

  async trim(): Promise<boolean> {
    const apps = [...this.#apps];
    let left = TRIM_STEP;
    for (let i = 0; i < apps.length && left > 0; i++) {
      const [app, history] = apps[(this.#turn + i) % apps.length]!;
      left -= this.#trimApp(history, this.#options.retention(app), left);
    }
    this.#turn++;
    return left <= 0;
  }

  async check(): Promise<void> {
    if (this.#listener === null) throw new ApiError("unavailable", "The store is closed.");
  }

  async close(): Promise<void> {
    this.#listener = null;
  }

  #history(app: AppId): MemoryHistory {
    let history = this.#apps.get(app);
    if (history === undefined) {
      const epoch = (this.#options.newEpoch ?? randomEpoch)();
      history = new MemoryHistory({ epoch, start: 0, preceding: null, floor: 0, head: 0, time: 0, bytes: 0 });
      this.#apps.set(app, history);
    }
    return history;
  }

  /** The oldest `limit` messages of the active channels after a seq. */
  #after(
    history: MemoryHistory,
    selection: Selection,
    active: readonly ChannelRecord[],
    from: number,
    limit: number,
  ): Message[] {
    const { order } = history;
    const start = lowerBound(order, (message) => message.seq > from);
    if (active.length * 8 < order.length - start) {
      return merge(active, limit, (record) => {
        const messages = history.messages.get(record)!;
        const at = lowerBound(messages, (message) => message.seq > from);
        return messages.slice(at, at + limit);
      });
    }
    // so many channels that passing over all messages finds enough sooner
    const found: Message[] = [];
    const matches = matcher(selection);
    for (let i = start; i < order.length && found.length < limit; i++) {
      const message = order[i]!;
      if (!matches(message.channel)) continue;
      const first = history.channels.get(message.channel)?.first ?? 0;
      if (first > 0 && message.seq >= first) found.push(message);
    }
    return found;
  }

  #append(history: MemoryHistory, draft: Draft, now: number, retention: Retention): Message {
    let record = history.channels.get(draft.channel);
    if (record === undefined) {
      record = newChannel(++history.lastId, draft.channel);
      history.channels.add(record);
      history.messages.set(record, []);
    }
    const message = history.append(record, draft, sizeOf(draft), now, retention);
    history.messages.get(record)!.push(message);
    history.order.push(message);
    history.kept++;
    return message;
  }

  /** In order of publishing, also when a delivery publishes. */
  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
      try {
        this.#listener?.deliver(next.app, next.messages);
        const { epoch, seq } = next.messages.at(-1)!;
        this.#listener?.mark(next.app, { epoch, seq });
      } catch (error) {
        this.#options.log("error", "a delivery failed", { app: next.app, error });
        this.#listener?.broken(next.app); // what it missed is read from the store
      }
    }
    this.#delivering = false;
  }

  /** Drops at most `limit` messages, channels and keys, and says how many. */
  #trimApp(history: MemoryHistory, retention: Retention, limit: number): number {
    const now = ageNow(this.#options);
    let done = 0;
    history.judge(retention);
    for (const record of history.over) {
      while (done < limit && exceeds(record, retention)) done += this.#dropOldest(history, record);
      if (done >= limit) return done;
      history.over.delete(record);
    }
    let passed = 0;
    for (const message of history.order) {
      const record = history.channels.get(message.channel);
      if (record === undefined || record.first === 0 || message.seq < record.first) {
        passed++;
        continue;
      }
      const old = retention.ageMs > 0 && message.time < now - retention.ageMs;
      if (done >= limit || !(old || (retention.appBytes > 0 && history.bytes > retention.appBytes))) break;
      done += this.#dropOldest(history, record);
      passed++;
    }
    history.order.splice(0, passed);
    while (done < limit && retention.channels > 0 && history.channels.size > retention.channels) {
      const record = history.channels.oldest!;
      if (record.first > 0) {
        done += this.#dropOldest(history, record);
      } else {
        history.forget(record);
        history.messages.delete(record);
        done++;
      }
    }
    for (const [key, kept] of history.keys) {
      if (done >= limit || !this.#expired(kept, now)) break;
      history.keys.delete(key);
      done++;
    }
    this.#compact(history);
    return done;
  }

  #dropOldest(history: MemoryHistory, record: ChannelRecord): number {
    const messages = history.messages.get(record)!;
    const message = messages.shift()!;
    history.kept--;
    history.drop(record, 1, sizeOf(message), message.seq, messages[0]?.seq ?? 0);
    return 1;
  }

  /** A quiet channel's old message at the front must not hold all that was dropped behind it. */
  #compact(history: MemoryHistory): void {
    if (history.order.length <= 2 * history.kept + TRIM_STEP) return;
    history.order = history.order.filter(({ channel, seq }) => {
      const first = history.channels.get(channel)?.first ?? 0;
      return first > 0 && seq >= first;
    });
  }

  #expired(kept: Kept, now: number): boolean {
    return this.#options.idempotencyTtlMs > 0 && kept.time + this.#options.idempotencyTtlMs < now;
  }
}

function summaryOf(history: History, record: ChannelRecord): ChannelSummary {
  return { channel: record.name, oldest: history.position(record.first), newest: history.position(record.last) };
}

/** The `limit` oldest of what the channels give, in order. */
function merge(
  records: readonly ChannelRecord[],
  limit: number,
  give: (record: ChannelRecord) => Message[],
): Message[] {
  let found: Message[] = [];
  let before = Infinity;
  const cut = (): void => {
    found = found.sort((a, b) => a.seq - b.seq).slice(0, limit);
    if (found.length === limit) before = found.at(-1)!.seq;
  };
  for (const record of records) {
    for (const message of give(record)) if (message.seq < before) found.push(message);
    if (found.length > 4 * limit) cut();
  }
  cut();
  return found;
}

/** The index of the first item that passes, of items of which all that come after it pass as well. */
function lowerBound<T>(items: readonly T[], passes: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (passes(items[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
