import { ApiError } from "../../core/errors.ts";
import { sizeOf, type Draft } from "../../core/message.ts";
import type { BrokerOptions, Once, Receipt } from "../broker.ts";
import { Fault, unavailable } from "../fault.ts";
import { ageNow, digestOf } from "../history.ts";
import { PublishQueue } from "../publish-queue.ts";
import type { RedisApp } from "./app.ts";
import { Away, awayError, unknownError } from "./errors.ts";
import { SCRIPTS } from "./scripts.ts";

interface Publish {
  readonly app: string;
  readonly drafts: readonly Draft[];
  readonly sizes: readonly number[];
  readonly bytes: number;
  readonly once: Once | undefined;
  readonly until: number;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

type Outcome = number | [epoch: string, seq: number, subscribers: number[]];

export interface PublishingOptions extends BrokerOptions {
  /** Names this node, as long as it runs. */
  readonly node: string;
  /** Told of what Redis refuses. */
  readonly refused: Fault;
}

/**
 * What is published of one app. One call is under way at a time, and what comes meanwhile goes with the next. The calls
 * are numbered: one that is sent again, because its answer was lost, is answered as the first time.
 */
export class Publishing {
  readonly #app: RedisApp;
  readonly #options: PublishingOptions;
  readonly #queue = new PublishQueue<Publish>();
  #calls = 0;
  #running: Promise<void> | null = null;

  constructor(app: RedisApp, options: PublishingOptions) {
    this.#app = app;
    this.#options = options;
  }

  publish(drafts: readonly Draft[], once: Once | undefined): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      if (this.#app.isAway) throw awayError();
      const sizes = drafts.map(sizeOf);
      const bytes = sizes.reduce((sum, size) => sum + size, 0);
      const { id, until } = this.#app;
      this.#queue.push({ app: id, drafts, sizes, bytes, once, until, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves once what was published before is kept or refused. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // what is published in one go, goes in one call
    while (this.#queue.length > 0) await this.#call(this.#queue.take());
    this.#running = null;
  }

  async #call(batch: readonly Publish[]): Promise<void> {
    try {
      this.#settle(batch, String(await this.#app.run(SCRIPTS.publish, this.#argsOf(batch), batch[0]!.until)));
      this.#options.refused.look();
    } catch (error) {
      if (!(error instanceof Away)) this.#options.refused.failed(error);
      const isUnknown = error instanceof Away && error.sent;
      for (const { reject } of batch) reject(isUnknown ? unknownError() : refusalOf(error));
    }
  }

  #argsOf(batch: readonly Publish[]): string[] {
    const { id, keys } = this.#app;
    const { node, now, idempotencyTtlMs, retention } = this.#options;
    const { count, bytes } = retention(id);
    const args = [node, ++this.#calls, now(), ageNow(this.#options), idempotencyTtlMs, count, bytes].map(String);
    args.push(keys.word, String(batch.length));
    for (const { drafts, sizes, once } of batch) {
      args.push(String(drafts.length));
      if (once === undefined) args.push("", "", "");
      else args.push(once.key, digestOf(drafts), JSON.stringify(once.subscribers));
      for (const [i, { channel, event, data, json }] of drafts.entries()) {
        args.push(channel, String(sizes[i]), JSON.stringify([channel, event, json ? 1 : 0, data]).slice(1, -1));
      }
    }
    return args;
  }

  #settle(batch: readonly Publish[], reply: string): void {
    const [epoch, outcomes] = JSON.parse(reply) as [string, Outcome[]];
    for (const [i, { resolve, reject }] of batch.entries()) {
      const outcome = outcomes[i]!;
      if (outcome === 0) {
        reject(new ApiError("idempotency_conflict", "The key was first used with another channel, event or data."));
      } else if (typeof outcome === "number") resolve({ epoch, seq: outcome, repeated: null });
      else resolve({ epoch: outcome[0], seq: outcome[1], repeated: outcome[2] });
    }
  }
}

function refusalOf(error: unknown): ApiError {
  return error instanceof Away ? awayError() : unavailable();
}
