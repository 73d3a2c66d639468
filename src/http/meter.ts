import type { AppId } from "../broker/broker.ts";
import { Distribution, SECONDS } from "../core/distribution.ts";
import { ERRORS, type ErrorType } from "../core/errors.ts";

/** What an app has published on this node since the start. */
export interface Published {
  /** Requests that were kept; one that was repeated by its idempotency key counts once. */
  publishes: number;
  messages: number;
}

/** What the routes count since the start: plain numbers, which whoever shows them reads when it is asked. */
export class RouteMeter {
  readonly #published = new Map<AppId, Published>();
  /** Answers with an error, and streams that were refused in the form of a stream. */
  readonly errors = Object.fromEntries(Object.keys(ERRORS).map((type) => [type, 0])) as Record<ErrorType, number>;
  /** From when a publish was handed to the store to when it was kept. */
  readonly publishSeconds = new Distribution(SECONDS);
  /** How late the event loop looked at what was due, ten times a second. */
  readonly lagSeconds = new Distribution(SECONDS);
  /** How often the store could be used again after it could not. */
  reconnects = 0;

  published(app: AppId): Published {
    let published = this.#published.get(app);
    if (published === undefined) this.#published.set(app, (published = { publishes: 0, messages: 0 }));
    return published;
  }
}
