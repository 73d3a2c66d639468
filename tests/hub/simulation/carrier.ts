import type { AppId, Broker, Listener, Page } from "../../../src/broker/broker.ts";
import { selects, type Selection } from "../../../src/core/channel.ts";
import type { Message } from "../../../src/core/message.ts";
import type { Position } from "../../../src/core/position.ts";
import type { Random } from "./random.ts";

/** What a networked broker may get wrong; broken on purpose to show that the simulation finds it. */
export interface CarrierFaults {
  readonly headBeforeFollow?: boolean;
}

interface Followed {
  count: number;
  established: boolean;
}

interface Following {
  readonly selection: Selection;
  readonly generation: number;
  readonly resolve: (at: Position) => void;
  at: Position | null;
  established: boolean;
}

interface Reading {
  readonly selection: Selection;
  readonly after: Position;
  readonly limit: number;
  readonly resolve: (page: Page) => void;
  readonly reject: (error: unknown) => void;
  page: Page | null;
}

export const CARRIER_ERROR = new Error("the store does not answer");

/**
 * Stands between one node and the store as a broker over a network would: nothing arrives at once, what is announced
 * stays in order, and a break loses it. Everything that is under way waits for a step of the simulation.
 */
export class Carrier implements Pick<Broker, "read" | "follow" | "unfollow"> {
  readonly #app: AppId;
  readonly #store: () => Pick<Broker, "read" | "follow">;
  readonly #random: Random;
  readonly #faults: CarrierFaults;
  readonly #followed = new Map<string, Followed & { readonly selection: Selection }>();
  #follows: Following[] = [];
  #reads: Reading[] = [];
  #inbound: ((listener: Listener) => void)[] = [];
  #generation = 0;
  #head: Position;
  connected = true;
  listener!: Listener;

  constructor(
    app: AppId,
    store: () => Pick<Broker, "read" | "follow">,
    random: Random,
    faults: CarrierFaults,
    head: Position,
  ) {
    this.#head = head;
    this.#app = app;
    this.#store = store;
    this.#random = random;
    this.#faults = faults;
  }

  // What the hub asks for.

  follow(_app: AppId, selection: Selection): Promise<Position> {
    const followed = this.#followed.get(selection.key);
    if (followed === undefined) this.#followed.set(selection.key, { selection, count: 1, established: false });
    else followed.count += 1;
    return new Promise((resolve) => {
      this.#follows.push({ selection, generation: this.#generation, resolve, at: null, established: false });
    });
  }

  async unfollow(_app: AppId, selection: Selection): Promise<void> {
    const followed = this.#followed.get(selection.key);
    if (followed === undefined) throw new Error(`${selection.key} is not followed`);
    followed.count -= 1;
    if (followed.count > 0) return;
    this.#followed.delete(selection.key);
    if (this.#random.chance(0.7))
      this.#follows = this.#follows.filter((follow) => follow.selection.key !== selection.key);
  }

  read(_app: AppId, selection: Selection, after: Position, limit: number): Promise<Page> {
    return new Promise((resolve, reject) => {
      this.#reads.push({ selection, after, limit, resolve, reject, page: null });
    });
  }

  // What the store tells.

  announce(messages: readonly Message[]): void {
    this.#head = messages.at(-1)!;
    if (!this.connected) return;
    const all = this.#random.chance(0.1); // what nobody followed may come as well
    const sent = messages.filter(({ channel }) => all || this.#hears(channel));
    if (sent.length > 0) this.#inbound.push((listener) => listener.deliver(this.#app, sent));
  }

  /** The store is another one now: all connections to the one before are gone. */
  renewed(head: Position): void {
    this.#head = head;
    this.cut();
  }

  // Steps.

  /** In band, so it says that all before it was delivered. */
  mark(): void {
    const at = this.#head;
    if (this.connected) this.#inbound.push((listener) => listener.mark(this.#app, at));
  }

  get arriving(): number {
    return this.#inbound.length;
  }

  arrive(): boolean {
    const next = this.#inbound.shift();
    next?.(this.listener);
    return next !== undefined;
  }

  /** One step of one follow: it is established, the head is looked at, the answer arrives. */
  async stepFollow(): Promise<boolean> {
    const open = this.#follows.filter((follow) => this.connected || follow.generation !== this.#generation);
    if (open.length === 0) return false;
    const follow = this.#random.early(open);
    if (follow.at !== null && follow.established) {
      this.#follows = this.#follows.filter((other) => other !== follow);
      follow.resolve(follow.at);
    } else if (follow.established || (this.#faults.headBeforeFollow === true && follow.at === null)) {
      follow.at = await this.#store().follow(this.#app, follow.selection);
    } else {
      follow.established = true;
      const followed = this.#followed.get(follow.selection.key);
      if (followed !== undefined && follow.generation === this.#generation) followed.established = true;
    }
    return true;
  }

  /** One step of one read: the look at the store, or the answer; or it fails. */
  async stepRead(failing: number, limit: number): Promise<boolean> {
    if (this.#reads.length === 0) return false;
    const read = this.#random.early(this.#reads);
    const fails = this.#random.chance(failing);
    if (read.page === null && !fails) {
      read.page = await this.#store().read(this.#app, read.selection, read.after, Math.min(limit, read.limit));
      return true;
    }
    this.#reads = this.#reads.filter((other) => other !== read);
    if (fails || read.page === null) read.reject(CARRIER_ERROR);
    else read.resolve(read.page);
    return true;
  }

  /** The connection is gone; what was under way may still arrive in part. */
  cut(): void {
    this.connected = false;
    this.#inbound.length = Math.min(this.#inbound.length, this.#random.below(this.#inbound.length + 1));
  }

  /** The break is noticed: a new connection, on which nothing is followed yet. */
  notice(): void {
    this.connected = true;
    this.#generation += 1;
    this.#inbound = [];
    // What was asked for on the old connection may be answered late, or never.
    this.#follows = this.#follows.filter(() => this.#random.chance(0.3));
    this.#followed.clear();
    this.listener.broken(this.#app);
  }

  get follows(): number {
    return this.#follows.length;
  }

  get reads(): number {
    return this.#reads.length;
  }

  /** Nothing is followed that nobody listens to. */
  get following(): number {
    return this.#followed.size;
  }

  #hears(channel: string): boolean {
    for (const { selection, established } of this.#followed.values()) {
      if (established && selects(selection, channel)) return true;
    }
    return false;
  }
}
