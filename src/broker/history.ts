import { createHash } from "node:crypto";
import type { Selection } from "../core/channel.ts";
import type { Draft, Message } from "../core/message.ts";
import { FOREIGN, type Position } from "../core/position.ts";
import type { BrokerOptions, Gap, GapReason, Page, Retention } from "./broker.ts";
import { ChannelIndex, type ChannelRecord } from "./channels.ts";

/** About how much data one page holds: what a socket that fills up in the middle of one keeps beside the kernel. */
export const PAGE_BYTES = 128 * 1024;

/** How many messages one step of retention drops at most: some milliseconds' work on disk. */
export const TRIM_STEP = 500;

/** Where an app's one sequence stands: what decides whether a position can be resumed. */
export interface Sequence {
  readonly epoch: string;
  /** The epoch began after this seq. */
  readonly start: number;
  /** The epoch before it, and the last seq of it that was kept. */
  readonly preceding: { readonly epoch: string; readonly end: number } | null;
  /** Channels whose last seq was at most this were forgotten. */
  readonly floor: number;
  /** The newest seq; 0 before the first message. */
  readonly head: number;
}

/** Where a read after a position starts, and why that is another place where it is. */
export function beginning(sequence: Sequence, after: Position): { from: number; reason: GapReason | null } {
  if (after.epoch === FOREIGN.epoch) return { from: 0, reason: "unknown_position" };
  if (after.epoch !== sequence.epoch) {
    const { preceding } = sequence;
    const from = preceding?.epoch === after.epoch ? Math.min(after.seq, preceding.end) : sequence.start;
    return { from, reason: "epoch" };
  }
  if (after.seq > sequence.head) return { from: sequence.head, reason: "unknown_position" };
  return { from: after.seq, reason: null };
}

/** Why a read from `from` over these channels (at least those published to after it) cannot be complete, if it cannot. */
export function loss(sequence: Sequence, from: number, active: readonly ChannelRecord[]): GapReason | null {
  if (active.some((record) => record.trimmed > from)) return "trimmed";
  return from < sequence.floor ? "unproven" : null;
}

/** What a driver holds of one app in memory: its sequence and its channels, but not where the messages are. */
export class History implements Sequence {
  readonly epoch: string;
  readonly start: number;
  readonly preceding: Sequence["preceding"];
  floor: number;
  head: number;
  /** The time of the newest message. */
  time: number;
  /** Data that is kept, over all channels. */
  bytes: number;
  readonly channels = new ChannelIndex();
  /** Channels that hold more than their retention allows. */
  readonly over = new Set<ChannelRecord>();
  #judgedBy: Retention | null = null;

  constructor(kept: Sequence & { readonly time: number; readonly bytes: number }) {
    this.epoch = kept.epoch;
    this.start = kept.start;
    this.preceding = kept.preceding;
    this.floor = kept.floor;
    this.head = kept.head;
    this.time = kept.time;
    this.bytes = kept.bytes;
  }

  position(seq: number): Position {
    return { epoch: this.epoch, seq };
  }

  /** Looks at all channels once when what is to be kept has changed: some milliseconds for 100,000 of them. */
  judge(retention: Retention): void {
    if (this.#judgedBy === retention) return;
    this.#judgedBy = retention;
    for (const record of this.channels.values()) if (exceeds(record, retention)) this.over.add(record);
  }

  /** Gives a draft its place. Time never goes back, though the clock may. */
  append(record: ChannelRecord, draft: Draft, bytes: number, now: number, retention: Retention): Message {
    this.head++;
    if (now > this.time) this.time = now;
    this.bytes += bytes;
    record.last = this.head;
    if (record.first === 0) record.first = this.head;
    record.published++;
    record.publishedBytes += bytes;
    this.channels.touch(record);
    if (exceeds(record, retention)) this.over.add(record);
    return {
      channel: draft.channel,
      event: draft.event,
      data: draft.data,
      json: draft.json,
      epoch: this.epoch,
      seq: this.head,
      time: this.time,
    };
  }

  /** Notes that a channel's oldest messages, up to `trimmed`, were dropped; `first` is the oldest that is left, or 0. */
  drop(record: ChannelRecord, count: number, bytes: number, trimmed: number, first: number): void {
    this.bytes -= bytes;
    record.dropped += count;
    record.droppedBytes += bytes;
    record.trimmed = trimmed;
    record.first = first;
  }

  /** Forgets a channel that keeps nothing any more. */
  forget(record: ChannelRecord): void {
    this.floor = Math.max(this.floor, record.last);
    this.channels.remove(record);
    this.over.delete(record);
  }

  /**
   * One look: decides where it starts and what gap it tells; `fetch` gives the messages of the active channels after
   * `from`, oldest first, cut as it sees fit, but not empty where there is one.
   */
  page(
    selection: Selection,
    after: Position,
    fetch: (active: readonly ChannelRecord[], from: number) => Message[],
  ): Page {
    const { from, reason } = beginning(this, after);
    const active = this.channels.activeAfter(selection, from);
    const lost = reason ?? loss(this, from, active);
    const kept = active.filter((record) => record.first > 0);
    const messages = kept.length === 0 ? [] : fetch(kept, from);
    const last = messages.at(-1)?.seq ?? this.head;
    const cut = messages.length > 0 && kept.some((record) => record.last > last);
    return {
      messages,
      from: this.position(from),
      through: this.position(cut ? last : this.head),
      gap: lost === null ? null : this.#gap(lost, selection),
    };
  }

  #gap(reason: GapReason, selection: Selection): Gap {
    let oldest = 0;
    for (const { first } of this.channels.newestFirst(selection)) {
      if (first > 0 && (oldest === 0 || first < oldest)) oldest = first;
    }
    return { reason, oldest: oldest === 0 ? null : this.position(oldest), newest: this.position(this.head) };
  }
}

/** Whether a channel holds more than it may. Age is no matter of one channel: the oldest message of all tells. */
export function exceeds(record: ChannelRecord, { count, bytes }: Retention): boolean {
  return (
    (count > 0 && record.published - record.dropped > count) ||
    (bytes > 0 && record.publishedBytes - record.droppedBytes > bytes)
  );
}

/** The time by which ages are judged. */
export function ageNow({ ageNow, now }: Pick<BrokerOptions, "ageNow" | "now">): number {
  return (ageNow ?? now)();
}

/** Equal for equal drafts, whatever else the request held. */
export function digestOf(drafts: readonly Draft[]): string {
  const content = drafts.map(({ channel, event, data, json }) => [channel, event, data, json]);
  return createHash("sha256").update(JSON.stringify(content)).digest("base64");
}

/** Ten random characters: 51 bits, so that two epochs of one app are never alike. */
export function randomEpoch(): string {
  let text = "";
  while (text.length < 10) {
    for (const byte of crypto.getRandomValues(new Uint8Array(16))) {
      // 252 is the largest multiple of 36 in a byte: what is above would make some characters likelier.
      if (byte < 252 && text.length < 10) text += (byte % 36).toString(36);
    }
  }
  return text;
}
