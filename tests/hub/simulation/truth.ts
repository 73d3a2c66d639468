import type { Draft } from "../../../src/core/message.ts";
import type { Position } from "../../../src/core/position.ts";

/** A run has shown that a promise is broken. */
export class Violation extends Error {
  override readonly name = "Violation";
}

export interface Accepted extends Draft, Position {
  /** Its place among all that was ever accepted, over all epochs. */
  readonly n: number;
}

/** The oldest seq that is kept of each channel; a channel that keeps nothing is not there. */
export type Kept = ReadonlyMap<string, number>;

/** What a position of one epoch means. */
export interface Epoch {
  readonly name: string;
  /** The epoch that it goes on from, if any. */
  readonly preceding: string | null;
  /** The message at each seq: what was kept of the epoch before, and its own. */
  readonly bySeq: (number | undefined)[];
  /** Messages accepted before this epoch began have a smaller `n`. */
  readonly began: number;
  /** How the store stood when the epoch ended; null while it lasts. */
  ended: Kept | null;
}

/** What was accepted, and what the store has lost since: all that the checker knows beside what listeners saw. */
export class Truth {
  readonly accepted: Accepted[] = [];
  readonly epochs = new Map<string, Epoch>();
  current: Epoch;

  constructor(epoch: string) {
    this.current = { name: epoch, preceding: null, bySeq: [undefined], began: 0, ended: null };
    this.epochs.set(epoch, this.current);
  }

  get head(): Position {
    return { epoch: this.current.name, seq: this.current.bySeq.length - 1 };
  }

  accept(drafts: readonly Draft[], at: Position): void {
    if (at.epoch !== this.current.name || at.seq !== this.head.seq + 1) {
      throw new Violation(`a publish was given ${at.epoch}-${at.seq} after ${this.current.name}-${this.head.seq}`);
    }
    for (const draft of drafts) {
      const n = this.accepted.length;
      this.current.bySeq.push(n);
      this.accepted.push({ ...draft, n, epoch: at.epoch, seq: this.head.seq });
    }
  }

  /** The store came back as it was at `end` of an epoch, or empty when that is null. */
  renew(epoch: string, from: Position | null, ended: Kept): void {
    this.current.ended = ended;
    const bySeq = from === null ? [undefined] : this.epochs.get(from.epoch)!.bySeq.slice(0, from.seq + 1);
    const preceding = from?.epoch ?? null;
    this.current = { name: epoch, preceding, bySeq, began: this.accepted.length, ended: null };
    this.epochs.set(epoch, this.current);
  }

  /** Whether a position covers a message: it lies in that epoch's history before it, or was lost when it began. */
  covers({ epoch, seq }: Position, message: Accepted): boolean {
    const { bySeq, began } = this.epochs.get(epoch)!;
    return bySeq[message.seq] === message.n ? message.seq <= seq : message.n < began;
  }

  /**
   * Whether a listener that comes from a position of another epoch has no reason to miss a message of this one: it was
   * published since the epoch began, or lies after the position in what this epoch took over from that one.
   */
  goesOn(from: Position | null, epoch: string, message: Accepted): boolean {
    const { began, preceding } = this.epochs.get(epoch)!;
    if (!this.contains(epoch, message)) return false;
    if (message.n >= began) return true;
    return from !== null && from.epoch === preceding && from.epoch !== epoch && message.seq > from.seq;
  }

  contains(epoch: string, message: Accepted): boolean {
    return this.epochs.get(epoch)!.bySeq[message.seq] === message.n;
  }
}
