import { createParser } from "eventsource-parser";
import type { Sink } from "../../../src/hub/subscriber.ts";
import type { Stamp } from "./archive.ts";
import type { Random } from "./random.ts";
import { type Kept, Violation } from "./truth.ts";

/** What a reader of the stream is told: `event` for a block with data, `moved` for one that only moves the last id. */
export interface Reader {
  event(name: string | undefined, id: string | null, data: string, kept: Stamp): void;
  moved(id: string): void;
}

/** One stream's way to its listener: a socket that fills, drains and breaks, and the parser at its end. */
export class Line implements Sink {
  readonly #capacity: number;
  readonly #reader: Reader;
  readonly #decoder = new TextDecoder();
  readonly #parser: ReturnType<typeof createParser>;
  #unread: Uint8Array[] = [];
  #unreadBytes = 0;
  /** How the store stood when each `socket:open` and `socket:gap` was written, in their order. */
  readonly #stamps: Stamp[] = [];
  #unstamped = 0;
  #blockId: string | null = null;
  /** The last event id, as an EventSource keeps it: it moves when a block is complete. */
  lastId: string | null = null;
  full = false;
  /** Nothing is written any more; what is unread may still arrive. */
  ended = false;
  gone = false;

  constructor(capacity: number, reader: Reader) {
    this.#capacity = capacity;
    this.#reader = reader;
    this.#parser = createParser({
      onId: (id) => {
        this.#flushId();
        this.#blockId = id;
      },
      onEvent: ({ event, id, data }) => {
        this.lastId = this.#blockId ?? this.lastId;
        this.#blockId = null;
        const stamped = event === "socket:open" || event === "socket:gap" ? this.#stamps.shift() : undefined;
        this.#reader.event(event, id ?? null, data, stamped ?? never);
      },
      onError: (error) => {
        throw new Violation(`the stream is malformed: ${error.message}`);
      },
    });
  }

  write(bytes: Uint8Array): boolean {
    if (this.gone || this.ended) throw new Violation("written to a stream that has ended");
    if (this.full) throw new Violation("written to a full sink");
    this.#unread.push(bytes);
    this.#unreadBytes += bytes.length;
    for (const name of ["socket:open", "socket:gap"]) {
      if (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(name)) this.#unstamped += 1;
    }
    this.full = this.#unreadBytes > this.#capacity;
    return !this.full;
  }

  end(): void {
    this.ended = true;
  }

  abort(): void {
    this.ended = true;
    this.gone = true;
  }

  /** Whether something was written whose truth depends on how the store stands now. */
  get wantsStamp(): boolean {
    return this.#unstamped > 0;
  }

  stamp(kept: Stamp): void {
    for (; this.#unstamped > 0; this.#unstamped--) this.#stamps.push(kept);
  }

  get unread(): number {
    return this.#unreadBytes;
  }

  /** The listener reads some bytes: a frame may arrive in parts. */
  receive(count: number): void {
    const all = Buffer.concat(this.#unread);
    const arrived = all.subarray(0, count);
    this.#unread = count < all.length ? [all.subarray(count)] : [];
    this.#unreadBytes = Math.max(0, all.length - count);
    this.#parser.feed(this.#decoder.decode(arrived, { stream: true }));
    this.#flushId();
  }

  /** The line breaks: some of what was unread arrives, the rest never does. */
  break(random: Random): void {
    this.receive(random.below(this.#unreadBytes + 1));
    this.gone = true;
  }

  #flushId(): void {
    const id = this.#blockId;
    if (id === null) return;
    this.#blockId = null;
    this.lastId = id;
    this.#reader.moved(id);
  }
}

function never(): Kept {
  throw new Violation("read before it was written");
}
