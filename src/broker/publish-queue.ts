import { ApiError } from "../core/errors.ts";
import type { Draft } from "../core/message.ts";
import type { AppId } from "./broker.ts";

/** What one transaction holds at most, so that no turn of the loop is long; one larger publish goes alone. */
const TURN_MESSAGES = 500;
const TURN_BYTES = 1024 * 1024;

/**
 * What an app may have waiting: a second's worth at the fastest that was measured (47,000 messages), and what is little
 * beside the memory of a node. It is reached when the disk stalls, not under load.
 */
const MAX_MESSAGES = 50_000;
const MAX_BYTES = 64 * 1024 * 1024;

interface Publish {
  readonly app: AppId;
  readonly drafts: readonly Draft[];
  /** Of the data of all drafts. */
  readonly bytes: number;
}

/** Publishes that wait for a transaction, in the order in which they came. */
export class PublishQueue<P extends Publish> {
  #queue: P[] = [];
  readonly #ofApp = new Map<AppId, { messages: number; bytes: number }>();

  get length(): number {
    return this.#queue.length;
  }

  /** Throws ApiError `unavailable` when the app has too much waiting; a publish of any size may wait alone. */
  push(publish: P): void {
    const { app, drafts, bytes } = publish;
    let own = this.#ofApp.get(app);
    if (own === undefined) this.#ofApp.set(app, (own = { messages: 0, bytes: 0 }));
    if (own.messages > 0 && (own.messages + drafts.length > MAX_MESSAGES || own.bytes + bytes > MAX_BYTES)) {
      throw new ApiError("unavailable", "The store is behind: too much of this app waits to be kept.");
    }
    own.messages += drafts.length;
    own.bytes += bytes;
    this.#queue.push(publish);
  }

  /** The first ones, as many as one transaction holds. */
  take(): P[] {
    let messages = 0;
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      messages += waiting.drafts.length;
      bytes += waiting.bytes;
      if (count > 0 && (messages > TURN_MESSAGES || bytes > TURN_BYTES)) break;
      count++;
    }
    return this.#drop(count);
  }

  takeAll(): P[] {
    return this.#drop(this.#queue.length);
  }

  #drop(count: number): P[] {
    const taken = this.#queue.splice(0, count);
    for (const { app, drafts, bytes: size } of taken) {
      const own = this.#ofApp.get(app)!;
      own.messages -= drafts.length;
      own.bytes -= size;
    }
    return taken;
  }
}
