import type { Subscriber } from "./subscriber.ts";

/** The width of a slot. Heartbeats and ends of streams are as exact as this. */
const SLOT_MS = 100;

/**
 * When each subscriber is looked at next, in slots of time. One entry a subscriber and one timer for all of them: a
 * timer each costs more than the stream.
 */
export class Schedule {
  readonly #slots = new Map<number, Set<Subscriber>>();

  /** Sets, or moves, the time at which the subscriber is due. */
  set(subscriber: Subscriber, atMs: number): void {
    const slot = Math.ceil(atMs / SLOT_MS);
    if (slot === subscriber.dueSlot) return;
    this.delete(subscriber);
    let subscribers = this.#slots.get(slot);
    if (subscribers === undefined) this.#slots.set(slot, (subscribers = new Set()));
    subscribers.add(subscriber);
    subscriber.dueSlot = slot;
  }

  delete(subscriber: Subscriber): void {
    const subscribers = this.#slots.get(subscriber.dueSlot);
    if (subscribers === undefined) return;
    subscribers.delete(subscriber);
    if (subscribers.size === 0) this.#slots.delete(subscriber.dueSlot);
    subscriber.dueSlot = -1;
  }

  /** Takes out at most `limit` subscribers that are due. */
  take(nowMs: number, limit: number): Subscriber[] {
    const now = Math.floor(nowMs / SLOT_MS);
    const due: Subscriber[] = [];
    for (const [slot, subscribers] of this.#slots) {
      if (slot > now) continue;
      for (const subscriber of subscribers) {
        if (due.length === limit) return due;
        this.delete(subscriber);
        due.push(subscriber);
      }
    }
    return due;
  }
}
