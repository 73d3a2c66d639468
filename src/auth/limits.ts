import { ApiError } from "../core/errors.ts";
import type { App } from "./app.ts";

/** How many streams may be open: on the node, of an app, and from one IP address. Of every limit 0 means none. */
export class StreamLimits {
  readonly #maxStreams: number;
  readonly #byAddress = new Map<string, number>();
  readonly #count: (app?: string) => number;

  /** `count` tells how many streams are open, of an app or of the whole node. */
  constructor(maxStreams: number, count: (app?: string) => number) {
    this.#maxStreams = maxStreams;
    this.#count = count;
  }

  /** Throws ApiError `limit_exceeded` when no further stream may be opened. */
  check(app: App, address: string): void {
    const { maxStreamsPerApp, maxStreamsPerIp } = app.limits;
    refuseAt(this.#maxStreams, this.#count(), "of this node");
    refuseAt(maxStreamsPerApp, this.#count(app.id), "of this app");
    refuseAt(maxStreamsPerIp, this.#byAddress.get(address) ?? 0, "from this IP address");
  }

  opened(address: string): void {
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1);
  }

  closed(address: string): void {
    const count = this.#byAddress.get(address) ?? 0;
    if (count > 1) this.#byAddress.set(address, count - 1);
    else this.#byAddress.delete(address);
  }
}

function refuseAt(limit: number, open: number, whose: string): void {
  if (limit !== 0 && open >= limit)
    throw new ApiError("limit_exceeded", `The open streams ${whose} are at their limit.`);
}
