import { Queue } from "../hub/queue.ts";

/** How long reads may hold one turn of the event loop before the next one has to wait for a later turn. */
const TURN_MS = 5;

/**
 * Gives reads of the store their turns, one app after the other. A store may read within the call, and requests that
 * arrive together are handled in one turn: 60 pages of history held it for 1.0 s, 400 streams with `since` for 0.2 s.
 */
export class Reads {
  readonly #elapsed: () => number;
  readonly #schedule: (run: () => void) => void;
  /** What waits of each app, in the order of the apps' turns. No queue is empty. */
  readonly #waiting = new Map<string, Queue<() => void>>();
  #spentMs = 0;
  #scheduled = false;

  /** `elapsed`: milliseconds that never go back. `schedule` runs a function in a later turn. */
  constructor(elapsed: () => number, schedule: (run: () => void) => void) {
    this.#elapsed = elapsed;
    this.#schedule = schedule;
  }

  /** Runs `read` at once where the turn has time left, else in a later turn, and settles as it does. */
  run<T>(app: string, read: () => Promise<T>): Promise<T> {
    if (this.#waiting.size === 0 && this.#spentMs < TURN_MS) return this.#timed(read);
    return new Promise<T>((resolve, reject) => {
      let queue = this.#waiting.get(app);
      if (queue === undefined) this.#waiting.set(app, (queue = new Queue()));
      queue.push(() => void this.#timed(read).then(resolve, reject));
      this.#wake();
    });
  }

  async #timed<T>(read: () => Promise<T>): Promise<T> {
    const from = this.#elapsed();
    this.#wake();
    const result = read();
    this.#spentMs += this.#elapsed() - from;
    return await result;
  }

  #wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    this.#spentMs = 0;
    while (this.#spentMs < TURN_MS) {
      const next = this.#waiting.entries().next().value;
      if (next === undefined) return;
      const [app, queue] = next;
      const read = queue.shift()!;
      this.#waiting.delete(app);
      if (queue.size > 0) this.#waiting.set(app, queue); // behind the other apps
      read();
    }
    this.#wake();
  }
}
