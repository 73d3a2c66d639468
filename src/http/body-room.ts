import type { AppId } from "../broker/broker.ts";
import { ApiError } from "../core/errors.ts";

/**
 * How much may be held of bodies that are still being sent. Each connection may send as slowly as Bun lets it, a
 * megabyte in 75 s, and there are thousands of connections.
 */
export class BodyRoom {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Throws ApiError `unavailable` where that is too much; one body of any size has room alone. */
  take(bytes: number): void {
    if (this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes) {
      throw new ApiError("unavailable", "Too much is being sent at the same time.");
    }
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** As many of the largest bodies as a backend sends at once; and what unknown senders may take of the memory. */
const APP_BYTES = 128 * 1024 * 1024;
const STRANGERS_BYTES = 16 * 1024 * 1024;

/** A room for each app, and one for all whose secret or token is still to be read, as it stands in the body. */
export class BodyRooms {
  readonly strangers = new BodyRoom(STRANGERS_BYTES);
  readonly #ofApp = new Map<AppId, BodyRoom>();

  of(app: AppId): BodyRoom {
    let room = this.#ofApp.get(app);
    if (room === undefined) this.#ofApp.set(app, (room = new BodyRoom(APP_BYTES)));
    return room;
  }
}
