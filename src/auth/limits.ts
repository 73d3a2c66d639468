import { ApiError } from "../core/errors.ts";
import type { App } from "./app.ts";

/** How many streams may be open: on the node, of an app, and of an app from one IP address. Of every limit 0 means none. */
export class StreamLimits {
  readonly #maxStreams: () => number;
  /** By app and IP address: what an address has open of another app is no matter of this one. */
  readonly #byAddress = new Map<string, number>();
  readonly #count: (app?: string) => number;

  /** `count` tells how many streams are open, of an app or of the whole node. */
  constructor(maxStreams: () => number, count: (app?: string) => number) {
    this.#maxStreams = maxStreams;
    this.#count = count;
  }

  /** Throws ApiError `limit_exceeded` when no further stream may be opened. Null for an address that is not counted. */
  check(app: App, address: string | null): void {
    const { maxStreamsPerApp, maxStreamsPerIp } = app.limits;
    this.checkNode();
    refuseAt(maxStreamsPerApp, this.#count(app.id), "of this app");
    if (address === null) return;
    refuseAt(maxStreamsPerIp, this.#byAddress.get(keyOf(app, address)) ?? 0, "from this IP address");
  }

  /** As `check`, of a stream that is of no app. */
  checkNode(): void {
    refuseAt(this.#maxStreams(), this.#count(), "of this node");
  }

  opened(app: App, address: string | null): void {
    if (address === null) return;
    const key = keyOf(app, address);
    this.#byAddress.set(key, (this.#byAddress.get(key) ?? 0) + 1);
  }

  closed(app: App, address: string | null): void {
    if (address === null) return;
    const key = keyOf(app, address);
    const count = this.#byAddress.get(key) ?? 0;
    if (count > 1) this.#byAddress.set(key, count - 1);
    else this.#byAddress.delete(key);
  }
}

/** An app's id holds no space. */
function keyOf(app: App, address: string): string {
  return `${app.id} ${address}`;
}

function refuseAt(limit: number, open: number, whose: string): void {
  if (limit !== 0 && open >= limit)
    throw new ApiError("limit_exceeded", `The open streams ${whose} are at their limit.`);
}
