import { numbered } from "./crowd.ts";
import type { Ledger } from "./ledger.ts";
import type { Port } from "./port.ts";
import { Publisher } from "./publisher.ts";

export interface SourceOptions {
  readonly port: Port;
  readonly secret?: string;
  readonly ledger: Ledger;
  /** Names it among all that publish to the same channels. */
  readonly name: string;
  readonly channels: readonly string[];
  /** Between an acknowledgement and the next message. */
  readonly pauseMs: number;
}

/**
 * Publishes numbered messages, a series on each of its channels: one message after the other, each with a key and again
 * and again until it is acknowledged, so that what a listener of a series misses, or hears twice, shows.
 */
export class Source {
  readonly #options: SourceOptions;
  readonly #publisher: Publisher;
  /** Of each series, the number of the newest. */
  readonly newest = new Map<string, number>();

  constructor(options: SourceOptions) {
    this.#options = options;
    this.#publisher = new Publisher(options.port, options.secret);
  }

  async publishUntil(stopping: { readonly now: boolean }): Promise<void> {
    const { channels, pauseMs } = this.#options;
    for (let turn = 0; !stopping.now; turn++) {
      await this.#publish(channels[turn % channels.length]!);
      await Bun.sleep(pauseMs);
    }
  }

  /** One more message on each channel: whoever hears it is behind nothing. */
  async end(): Promise<void> {
    for (const channel of this.#options.channels) await this.#publish(channel);
    this.#publisher.close();
  }

  async #publish(channel: string): Promise<void> {
    const { ledger, name } = this.#options;
    const series = `${channel}/${name}`;
    const n = (this.newest.get(series) ?? 0) + 1;
    this.newest.set(series, n);
    const data = `${numbered(series, n)}${Math.round(performance.now())}`;
    await ledger.publish(this.#publisher, [{ channel, data }], `${series}:${n}`);
  }
}

/** The newest of all series of all of them. */
export function newestOf(sources: readonly Source[]): ReadonlyMap<string, number> {
  return new Map(sources.flatMap(({ newest }) => [...newest]));
}
