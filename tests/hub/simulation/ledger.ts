import { selects, type Selection } from "../../../src/core/channel.ts";
import type { Format } from "../../../src/core/frame.ts";
import { formatPosition, parsePosition, type Position } from "../../../src/core/position.ts";
import { type Accepted, type Kept, type Truth, Violation } from "./truth.ts";

interface Told {
  readonly reason: string;
  readonly asked: string;
  readonly newest: string;
}

export interface LedgerOptions {
  readonly truth: Truth;
  readonly selection: Selection;
  readonly format: Format;
  /** Whether the store forgets idle channels at all. */
  readonly forgetful: boolean;
  /** Counts what all listeners of a run see. */
  readonly seen: { messages: number; gaps: number };
}

/**
 * Checks what one listener sees over all its reconnects against what was accepted. It knows nothing of hubs, feeds or
 * carriers: only the messages, what the store still kept when a gap was written, and the ids that arrived.
 */
export class Ledger {
  readonly #truth: Truth;
  readonly #selection: Selection;
  readonly #format: Format;
  readonly #forgetful: boolean;
  readonly #tally: LedgerOptions["seen"];
  readonly #selected = new Map<string, boolean>();
  /** Told as lost, or before the start. */
  readonly #excused = new Set<number>();
  /** The last message that was seen; what comes after it and is not excused is owed. */
  #seen = -1;
  #last: Position | null = null;
  /** Of the stream that is open now. */
  #asked: string | null = null;
  #first = false;
  #invented = false;
  #opened = false;
  #gapDue = false;
  #live = false;
  #closed = false;
  #messages = 0;

  constructor({ truth, selection, format, forgetful, seen }: LedgerOptions) {
    this.#truth = truth;
    this.#selection = selection;
    this.#format = format;
    this.#forgetful = forgetful;
    this.#tally = seen;
  }

  /**
   * A stream begins: `asked` is the last event id that was presented, or null for a start from nothing. `invented`: no
   * stream ever gave that id, so what comes before it is not owed.
   */
  connect(asked: string | null, { first, invented }: { first: boolean; invented: boolean }): void {
    this.#asked = asked;
    this.#first = first;
    this.#invented = invented;
    this.#opened = this.#gapDue = this.#live = this.#closed = false;
    this.#messages = 0;
  }

  /** A block with data: `kept` is how the store stood when it was written, for those that need it. */
  event(name: string | undefined, id: string | null, data: string, kept: (epoch: string) => Kept): void {
    if (this.#closed) throw new Violation("a frame after socket:close");
    if (!this.#opened && name !== "socket:open" && name !== "socket:close") {
      throw new Violation(`${name ?? "a message"} before socket:open`);
    }
    if (this.#gapDue && name !== "socket:gap") throw new Violation("socket:open without an id, and no gap after it");
    const at = id === null ? null : this.#position(id);
    switch (name) {
      case "socket:open":
        return this.#open(at, JSON.parse(data) as { recovered: boolean | null }, kept);
      case "socket:gap":
        return this.#gap(at, JSON.parse(data) as Told, kept);
      case "socket:live":
        return this.#level((JSON.parse(data) as { replayed: number }).replayed, at);
      case "socket:close":
        this.#closed = true;
        return;
      default:
        return this.#message(at, name, data);
    }
  }

  /** A block without data that moves the last event id. */
  moved(id: string): void {
    const at = this.#position(id);
    if (!this.#live) throw new Violation("an id-only heartbeat before socket:live");
    this.#goesOn(at, "heartbeat");
    this.#nothingOwedUpTo(at, "heartbeat");
  }

  /** At the end of a run nothing may be owed; `atHead`: heartbeats have moved the listener to the head. */
  settled(atHead: boolean): void {
    const { accepted, head } = this.#truth;
    const owed = accepted.find((message) => this.#owes(message));
    if (owed !== undefined) throw new Violation(`${describe(owed)} never arrived and was not told as lost`);
    if (!this.#live) throw new Violation("the stream was never told live");
    if (atHead && show(this.#last) !== formatPosition(head)) {
      throw new Violation(`the listener stands at ${show(this.#last)}, the head is ${formatPosition(head)}`);
    }
  }

  #open(at: Position | null, { recovered }: { recovered: boolean | null }, kept: (epoch: string) => Kept): void {
    if (this.#opened) throw new Violation("socket:open twice");
    this.#opened = true;
    if ((this.#asked === null) !== (recovered === null)) throw new Violation("recovered does not say what was asked");
    if (recovered !== null && recovered !== (at !== null)) throw new Violation("recovered and the id do not agree");
    if (at === null) {
      if (this.#asked === null) throw new Violation("a fresh start without an id");
      this.#gapDue = true;
      return;
    }
    if (this.#asked === null) return this.#begin(at, kept);
    if (formatPosition(at) !== this.#asked) throw new Violation(`asked for ${this.#asked}, opened at ${show(at)}`);
    if (this.#invented) this.#begin(at, kept);
    this.#nothingOwedUpTo(at, "socket:open");
  }

  /** A start from nothing owes what comes after its id; on a first replay, what was still kept. */
  #begin(at: Position, kept: (epoch: string) => Kept): void {
    this.#last = at;
    for (const message of this.#rest()) {
      const gone = this.#first && this.#truth.contains(at.epoch, message) && !isKept(message, kept(at.epoch));
      if (gone || this.#truth.covers(at, message)) this.#excused.add(message.n);
    }
  }

  #gap(at: Position | null, told: Told, kept: (epoch: string) => Kept): void {
    if (at === null) throw new Violation("a gap without an id");
    if (this.#gapDue && told.asked !== this.#asked) throw new Violation(`asked for ${this.#asked}, told ${told.asked}`);
    this.#gapDue = false;
    this.#tally.gaps += 1;
    const newest = this.#position(told.newest);
    const asked = parsePosition(told.asked);
    const store = kept(at.epoch);
    this.#holds(told, at, asked, store);
    for (const message of this.#rest()) {
      const gone = this.#truth.contains(at.epoch, message) && message.seq <= newest.seq && !isKept(message, store);
      const owed = told.reason === "epoch" && this.#truth.goesOn(asked, at.epoch, message);
      if (gone || (!owed && this.#truth.covers(at, message))) this.#excused.add(message.n);
    }
    this.#last = at;
  }

  /** A gap that the store could have proven complete is as wrong as one that is not told. */
  #holds({ reason, asked: text }: Told, at: Position, asked: Position | null, store: Kept): void {
    const told = `gap ${reason} at ${show(at)}, asked ${text}`;
    const stays = asked !== null && asked.epoch === at.epoch && asked.seq === at.seq;
    const lost = (message: Accepted): boolean =>
      this.#truth.contains(at.epoch, message) && message.seq > at.seq && !isKept(message, store);
    if (reason === "trimmed") {
      if (!stays) throw new Violation(`${told}: it skips what is kept`);
      if (!this.#truth.accepted.some((message) => this.#selects(message) && lost(message))) {
        throw new Violation(`${told}: nothing of the selection was dropped`);
      }
    } else if (reason === "unproven") {
      if (!stays) throw new Violation(`${told}: it skips what is kept`);
      if (!this.#forgetful || !this.#truth.accepted.some(lost)) throw new Violation(`${told}: nothing was forgotten`);
    } else if (reason === "epoch") {
      if (asked?.epoch === at.epoch) throw new Violation(`${told}: it is the same epoch`);
    } else if (reason === "unknown_position") {
      if (asked !== null && asked.epoch === at.epoch && asked.seq <= at.seq)
        throw new Violation(`${told}: it is known`);
    } else throw new Violation(`${told}: no such reason`);
  }

  #level(replayed: number, at: Position | null): void {
    if (at !== null) throw new Violation("socket:live with an id");
    if (this.#live) throw new Violation("socket:live twice on one stream");
    if (replayed !== this.#messages) throw new Violation(`live says ${replayed} replayed, ${this.#messages} were seen`);
    this.#live = true;
  }

  #message(at: Position | null, event: string | undefined, data: string): void {
    if (at === null) throw new Violation(`a message without an id: ${data}`);
    const text = this.#format === "plain" ? data : this.#unwrap(at, data);
    const n = Number.parseInt(text, 10);
    const message = this.#truth.accepted[n];
    if (message === undefined || message.data.replaceAll("\r\n", "\n") !== text.replaceAll("\r\n", "\n")) {
      throw new Violation(`a message that was never published: ${data}`);
    }
    if (this.#format === "plain" && (event ?? null) !== message.event) throw new Violation(`event ${event} is not its`);
    if (!this.#selects(message)) throw new Violation(`${describe(message)} is not of the selection`);
    if (this.#truth.epochs.get(at.epoch)!.bySeq[at.seq] !== n) {
      throw new Violation(`${describe(message)} came as ${show(at)}`);
    }
    if (n <= this.#seen) throw new Violation(`${describe(message)} came after message ${this.#seen}`);
    this.#goesOn(at, describe(message));
    const owed = this.#truth.accepted.slice(this.#seen + 1, n).find((earlier) => this.#owes(earlier));
    if (owed !== undefined) throw new Violation(`${describe(owed)} is missing before ${describe(message)}`);
    this.#seen = n;
    this.#messages += 1;
    this.#tally.messages += 1;
  }

  #unwrap(at: Position, data: string): string {
    const value = JSON.parse(data) as { id: string; data: string };
    if (value.id !== formatPosition(at)) throw new Violation(`the envelope says ${value.id}, the id ${show(at)}`);
    return value.data;
  }

  /** An id goes forward within an epoch, and only a gap changes the epoch. */
  #goesOn(at: Position, what: string): void {
    const last = this.#last;
    if (last === null || last.epoch !== at.epoch || at.seq <= last.seq) {
      throw new Violation(`${what} moves the id from ${show(last)} to ${show(at)}`);
    }
    this.#last = at;
  }

  #nothingOwedUpTo(at: Position, what: string): void {
    const { bySeq } = this.#truth.epochs.get(at.epoch)!;
    if (at.seq >= bySeq.length) throw new Violation(`${what} at ${show(at)}, beyond the head`);
    for (const message of this.#rest()) {
      if (this.#owes(message) && this.#truth.covers(at, message)) {
        throw new Violation(`${what} at ${show(at)}, but ${describe(message)} was neither sent nor told`);
      }
    }
  }

  #owes(message: Accepted): boolean {
    return message.n > this.#seen && this.#selects(message) && !this.#excused.has(message.n);
  }

  #rest(): readonly Accepted[] {
    return this.#truth.accepted.slice(this.#seen + 1);
  }

  #selects({ channel }: Accepted): boolean {
    let selected = this.#selected.get(channel);
    if (selected === undefined) this.#selected.set(channel, (selected = selects(this.#selection, channel)));
    return selected;
  }

  #position(text: string): Position {
    const at = parsePosition(text);
    if (at === null || !this.#truth.epochs.has(at.epoch)) throw new Violation(`an id that is no position: ${text}`);
    return at;
  }
}

function isKept({ channel, seq }: Accepted, kept: Kept): boolean {
  const oldest = kept.get(channel);
  return oldest !== undefined && seq >= oldest;
}

function describe({ n, epoch, seq, channel }: Accepted): string {
  return `message ${n} (${epoch}-${seq} on ${channel})`;
}

function show(position: Position | null): string {
  return position === null ? "none" : formatPosition(position);
}
