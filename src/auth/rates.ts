import type { AppId } from "../broker/broker.ts";
import { ApiError } from "../core/errors.ts";
import { Buckets } from "./buckets.ts";

/** What may be taken in a second; 0 means no limit. */
export interface Rate {
  readonly perApp: number;
  /** Of the app, from one IP address. */
  readonly perIp: number;
}

/** How often something may be asked of an app, by all and from one IP address. What is asked of another is not counted. */
export class Rates {
  readonly #what: string;
  readonly #ofApp = new Buckets();
  readonly #ofAddress = new Map<AppId, Buckets>();

  /** `what` stands in refusals: `messages are taken`. */
  constructor(what: string) {
    this.#what = what;
  }

  /**
   * Counts so many; `address` is null where addresses have no limit. A second's worth may come at once, and, after a
   * quiet second, also more: the time for it has to pass then before anything else is taken.
   *
   * Throws ApiError `limit_exceeded`, which says when to ask again, and counts nothing.
   */
  take(app: AppId, address: string | null, { perApp, perIp }: Rate, count: number, nowMs: number): void {
    const ofAddress = address === null || perIp === 0 ? null : this.#bucketsOf(app);
    if (perApp !== 0) this.#refuse(this.#ofApp.waitMs(app, perApp, count, nowMs), perApp, "of this app");
    if (ofAddress !== null) {
      this.#refuse(ofAddress.waitMs(address!, perIp, count, nowMs), perIp, "from this IP address");
      ofAddress.take(address!, perIp, count, nowMs);
    }
    if (perApp !== 0) this.#ofApp.take(app, perApp, count, nowMs);
  }

  #bucketsOf(app: AppId): Buckets {
    let buckets = this.#ofAddress.get(app);
    if (buckets === undefined) this.#ofAddress.set(app, (buckets = new Buckets()));
    return buckets;
  }

  #refuse(waitMs: number, rate: number, whose: string): void {
    if (waitMs === 0) return;
    throw new ApiError("limit_exceeded", `At most ${rate} ${this.#what} a second ${whose}.`, undefined, waitMs);
  }
}
