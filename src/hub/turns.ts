import { Queue } from "./queue.ts";

/** A write of this many bytes costs about as much again as a write does anyhow. */
const WRITE_BYTES = 16 * 1024;

/** What waits of one app, each task once. */
export class Lane<Task> {
  readonly tasks = new Queue<Task>();
  /** They go before the others. */
  readonly first = new Queue<Task>();
  busy = false;

  next(): Task | undefined {
    return this.first.shift() ?? this.tasks.shift();
  }

  get idle(): boolean {
    return this.first.size === 0 && this.tasks.size === 0;
  }
}

export interface TurnsOptions<Task> {
  /** Runs a function in a later turn of the event loop. */
  readonly schedule: (run: () => void) => void;
  /** How many writes a turn of the event loop has. */
  readonly turnWrites: number;
  readonly run: (task: Task) => void;
  /** Told of a task that threw; the others go on. */
  readonly failed: (task: Task, error: unknown) => void;
}

/** What a lane is given in the turn after it got work, so that many small ones have theirs in one turn. */
const FIRST_WRITES = 8;

/**
 * Gives the lanes that have work their slices, so that a small app does not wait for a large one, nor others for both:
 * requests of publishers, sockets that drained. A turn of the event loop has so many writes: up to half of them go to
 * lanes that had no work before, a few to each, and the rest to the lane that has waited longest. It is counted in writes
 * and not timed, because sockets are written when the turn ends: a thousand writes return within 0.2 ms and then take 8.
 */
export class Turns<Task extends { queued: boolean }> {
  readonly #options: TurnsOptions<Task>;
  /** Lanes that got work since they were idle. */
  readonly #fresh = new Queue<Lane<Task>>();
  /** Lanes whose first slice was too small for them. */
  readonly #busy = new Queue<Lane<Task>>();
  #scheduled = false;
  /** What is left of the slice, in writes. */
  #left = 0;

  constructor(options: TurnsOptions<Task>) {
    this.#options = options;
  }

  /** Has a task run in one of the next turns; nothing for one that waits already. */
  add(lane: Lane<Task>, task: Task, first: boolean): void {
    if (task.queued) return;
    task.queued = true;
    (first ? lane.first : lane.tasks).push(task);
    if (!lane.busy) {
      lane.busy = true;
      this.#fresh.push(lane);
    }
    this.#wake();
  }

  /** Takes from the slice that runs what as many writes cost, and what as many bytes cost beside. */
  spend(writes: number, bytes = 0): void {
    this.#left -= writes + Math.floor(bytes / WRITE_BYTES);
  }

  /** Whether the slice that runs has room for more. */
  get room(): boolean {
    return this.#left > 0;
  }

  #wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.schedule(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    const { turnWrites } = this.#options;
    let spent = 0;
    while (spent < turnWrites / 2) {
      const fresh = this.#fresh.shift();
      if (fresh === undefined) break;
      spent += this.#slice(fresh, Math.min(FIRST_WRITES, turnWrites));
    }
    const longest = this.#busy.shift();
    if (longest !== undefined) this.#slice(longest, Math.max(1, turnWrites - spent)); // however much the others took
    if (this.#fresh.size + this.#busy.size > 0) this.#wake();
  }

  /** Answers how many writes it took. */
  #slice(lane: Lane<Task>, writes: number): number {
    this.#left = writes;
    while (this.room) {
      const task = lane.next();
      if (task === undefined) break;
      task.queued = false;
      try {
        this.#options.run(task);
      } catch (error) {
        this.#options.failed(task, error);
      }
    }
    if (lane.idle) lane.busy = false;
    else this.#busy.push(lane);
    return writes - this.#left;
  }
}
