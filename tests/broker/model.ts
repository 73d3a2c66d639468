import type { Page, Receipt, Retention, Start } from "../../src/broker/broker.ts";
import { selects, type Selection } from "../../src/core/channel.ts";
import { sizeOf, type Draft, type Message } from "../../src/core/message.ts";
import type { Position } from "../../src/core/position.ts";

interface Channel {
  last: number;
  trimmed: number;
}

/**
 * One app's history as the contract words it: every question is answered by looking at everything. Shares nothing with
 * the drivers but the words of the core.
 */
export class Model {
  epoch: string;
  head = 0;
  kept: Message[] = [];
  #start = 0;
  #preceding: { epoch: string; end: number } | null = null;
  #floor = 0;
  #time = 0;
  readonly #channels = new Map<string, Channel>();
  readonly #keys = new Map<string, { content: string; seq: number; epoch: string; time: number }>();
  readonly #ttlMs: number;

  constructor(epoch: string, ttlMs: number) {
    this.epoch = epoch;
    this.#ttlMs = ttlMs;
  }

  /** Null for a conflict. */
  publish(drafts: readonly Draft[], key: string | null, now: number): Receipt | null {
    const content = JSON.stringify(drafts);
    if (key !== null) {
      const known = this.#keys.get(key);
      if (known !== undefined && known.time + this.#ttlMs >= now) {
        return known.content === content ? { epoch: known.epoch, seq: known.seq, repeated: [] } : null;
      }
    }
    const first = this.head + 1;
    this.#time = Math.max(this.#time, now);
    for (const draft of drafts) {
      this.head++;
      this.kept.push({ ...draft, epoch: this.epoch, seq: this.head, time: this.#time });
      const channel = this.#channels.get(draft.channel) ?? { last: 0, trimmed: 0 };
      this.#channels.set(draft.channel, channel);
      channel.last = this.head;
    }
    if (key !== null) this.#keys.set(key, { content, seq: first, epoch: this.epoch, time: this.#time });
    return { epoch: this.epoch, seq: first, repeated: null };
  }

  trim({ count, ageMs, bytes, appBytes, channels }: Retention, now: number): void {
    const mostChannels = channels > 0 ? channels : Infinity;
    for (const name of this.#channels.keys()) {
      for (;;) {
        const own = this.kept.filter(({ channel }) => channel === name);
        if (own.length === 0) break;
        if (!(count > 0 && own.length > count) && !(bytes > 0 && total(own) > bytes)) break;
        this.#drop(own[0]!);
      }
    }
    while (this.kept.length > 0) {
      const isOld = ageMs > 0 && now - this.kept[0]!.time > ageMs;
      if (!isOld && !(appBytes > 0 && total(this.kept) > appBytes)) break;
      this.#drop(this.kept[0]!);
    }
    while (this.#channels.size > mostChannels) {
      const [name, { last }] = [...this.#channels].sort((a, b) => a[1].last - b[1].last)[0]!;
      this.kept = this.kept.filter(({ channel }) => channel !== name);
      this.#channels.delete(name);
      this.#floor = Math.max(this.#floor, last);
    }
    for (const [key, { time }] of this.#keys) if (time + this.#ttlMs < now) this.#keys.delete(key);
  }

  /** The store came back, perhaps older. */
  renew(epoch: string): void {
    this.#preceding = { epoch: this.epoch, end: this.head };
    this.#start = this.head;
    this.epoch = epoch;
    this.kept = this.kept.map((message) => Object.assign({}, message, { epoch }));
  }

  read(selection: Selection, after: Position, limit: number): Page {
    let from = after.seq;
    let reason: NonNullable<Page["gap"]>["reason"] | null = null;
    if (after.epoch === "") {
      from = 0;
      reason = "unknown_position";
    } else if (after.epoch !== this.epoch) {
      const isPreceding = this.#preceding !== null && after.epoch === this.#preceding.epoch;
      from = isPreceding ? Math.min(after.seq, this.#preceding!.end) : this.#start;
      reason = "epoch";
    } else if (after.seq > this.head) {
      from = this.head;
      reason = "unknown_position";
    } else {
      for (const [name, { trimmed }] of this.#channels) {
        if (selects(selection, name) && trimmed > from) reason = "trimmed";
      }
      if (reason === null && from < this.#floor) reason = "unproven";
    }
    const own = this.kept.filter(({ channel }) => selects(selection, channel));
    const wanted = own.filter(({ seq }) => seq > from);
    let bytes = 0;
    const end = wanted.findIndex((message, i) => (bytes += sizeOf(message)) > 131_072 && i > 0);
    const messages = wanted.slice(0, end === -1 ? limit : Math.min(limit, end));
    const through = wanted.length > messages.length ? messages.at(-1)!.seq : this.head;
    const oldest = own[0] === undefined ? null : this.#at(own[0].seq);
    return {
      messages,
      from: this.#at(from),
      through: this.#at(through),
      gap: reason === null ? null : { reason, oldest, newest: this.#at(this.head) },
    };
  }

  seek(selection: Selection, start: Start): Position {
    const since = start.kind === "since" ? start.sinceMs : -Infinity;
    const own = this.kept.filter(({ channel, time }) => selects(selection, channel) && time >= since);
    const newest = start.count === 0 ? [] : own.slice(-start.count);
    return this.#at(newest[0] === undefined ? this.head : newest[0].seq - 1);
  }

  channels(prefix: string, after: string, limit: number): { channel: string; oldest: Position; newest: Position }[] {
    const names = [...new Set(this.kept.map(({ channel }) => channel))].sort();
    const wanted = names.filter((name) => name.startsWith(prefix) && name > after).slice(0, limit);
    return wanted.map((name) => {
      const own = this.kept.filter(({ channel }) => channel === name);
      return { channel: name, oldest: this.#at(own[0]!.seq), newest: this.#at(own.at(-1)!.seq) };
    });
  }

  #at(seq: number): Position {
    return { epoch: this.epoch, seq };
  }

  #drop(message: Message): void {
    this.kept.splice(this.kept.indexOf(message), 1);
    this.#channels.get(message.channel)!.trimmed = message.seq;
  }
}

function total(messages: readonly Message[]): number {
  return messages.reduce((sum, message) => sum + sizeOf(message), 0);
}
