import { numbered } from "./crowd.ts";
import { type Draft, Publisher } from "./publisher.ts";
import type { Random } from "./random.ts";
import type { Claim, Report } from "./report.ts";

/** Connections that publish. */
const PUBLISHERS = 4;
/** The server's default limit. */
const BATCH = 100;

export interface SteadyOptions {
  readonly port: number;
  readonly channels: readonly string[];
  /** Messages a second over all channels. */
  readonly rate: number;
  /** Of one message; 0: as short as it can be. */
  readonly bytes: number;
  /** Every other one has an idempotency key. */
  readonly keyed: boolean;
  readonly random: Random;
}

/**
 * Publishes at a steady rate to one channel after the other at random, numbered by channel. All messages of a channel go
 * over one connection, so that they are accepted in the order of their numbers.
 */
export class Steady {
  readonly #options: SteadyOptions;
  readonly #acknowledged: Claim;
  readonly #counts = new Map<string, number>();
  #publishing: Promise<void>[] = [];
  #stopping = false;
  published = 0;

  constructor(report: Report, options: SteadyOptions) {
    this.#options = options;
    this.#acknowledged = report.claim("a publish is acknowledged");
  }

  /** Publishes a first message to every channel, as fast as it can. */
  async first(): Promise<void> {
    const publisher = new Publisher(this.#options.port);
    const { channels } = this.#options;
    for (let from = 0; from < channels.length; from += BATCH) {
      const batch = channels.slice(from, from + BATCH).map((channel) => this.#next(channel));
      await this.#send(publisher, batch);
    }
    publisher.close();
  }

  begin(): void {
    const { channels } = this.#options;
    this.#publishing = Array.from({ length: PUBLISHERS }, (_, i) =>
      this.#publish(channels.filter((_, channel) => channel % PUBLISHERS === i)),
    );
  }

  /** Resolves when the last publish is answered. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#publishing);
  }

  async #publish(channels: readonly string[]): Promise<void> {
    const { port, rate, random, keyed } = this.#options;
    const publisher = new Publisher(port);
    const everyMs = (1000 * PUBLISHERS) / rate;
    for (let due = performance.now(); !this.#stopping; due += everyMs) {
      const draft = this.#next(random.pick(channels));
      const key = draft.data.slice(0, draft.data.lastIndexOf(" ")).replace(" ", ".");
      await this.#send(publisher, [draft], keyed && random.next() < 0.5 ? key : undefined);
      await Bun.sleep(Math.max(0, due + everyMs - performance.now()));
    }
    publisher.close();
  }

  #next(channel: string): Draft {
    const n = (this.#counts.get(channel) ?? 0) + 1;
    this.#counts.set(channel, n);
    return { channel, data: numbered(channel, n, this.#options.bytes) };
  }

  async #send(publisher: Publisher, drafts: readonly Draft[], key?: string): Promise<void> {
    try {
      await publisher.publish(drafts, key);
      this.published += drafts.length;
      this.#acknowledged.check(true, () => "");
    } catch (error) {
      this.#acknowledged.check(false, () => `on ${drafts[0]!.channel}: ${String(error)}`);
    }
  }
}
