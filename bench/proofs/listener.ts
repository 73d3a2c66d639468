import type { Socket } from "bun";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { AnswerReader } from "./answer.ts";
import { type Port, portOf } from "./port.ts";
import { comesAfter } from "./position.ts";

/** What a stream says. */
export interface Ears {
  message(message: { readonly id: string; readonly event: string | undefined; readonly data: string }): void;
  /** A `socket:` event. */
  told(event: string, facts: Readonly<Record<string, unknown>>, id: string | undefined): void;
  /** What no stream may be: a refusal, wrong HTTP, a wrong field, an id that goes back. */
  fault(why: string): void;
}

export interface ListenerOptions {
  readonly port: Port;
  /** Path and query of the stream. */
  readonly path: string;
  readonly ears: Ears;
}

/** Before a stream has told its own; EventSource leaves it to the browser. */
const FIRST_RETRY_MS = 100;

/**
 * Listens as EventSource does: it keeps the last id, and whenever its stream ends it comes back with it, after the time
 * that the stream told. The frames are read by a parser that knows nothing of this project.
 */
export class Listener {
  /** Of the last block that was whole; null before the first. */
  lastId: string | null = null;
  /** Streams that were answered with 200. */
  opened = 0;
  /** Streams and connects that ended without `reset` or `close`. */
  ended = 0;
  /** Its stream is answered, and has not ended. */
  isOpen = false;
  readonly #options: ListenerOptions;
  #lastMessage: string | null = null;
  #retryMs = FIRST_RETRY_MS;
  #connection: Socket | null = null;
  /** What still comes of an earlier connection counts no more. */
  #turn = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  open(): void {
    const turn = (this.#turn += 1);
    const answer = this.#answer();
    const over = () => {
      if (turn === this.#turn) this.#ended();
    };
    Bun.connect({
      hostname: "127.0.0.1",
      port: portOf(this.#options.port),
      socket: {
        open: (connection) => {
          if (turn === this.#turn) {
            this.#connection = connection;
            connection.write(this.#request());
          } else connection.terminate();
        },
        data: (_, bytes) => {
          if (turn !== this.#turn) return;
          try {
            answer.feed(bytes);
          } catch (error) {
            this.#fault(error instanceof Error ? error.message : String(error));
          }
          if (answer.status === 200 && !this.isOpen) {
            this.isOpen = true;
            this.opened += 1;
          } else if (answer.status !== 0 && answer.status !== 200) this.#fault(`answered ${answer.status}`);
        },
        close: over,
        error: over,
      },
    }).catch(over);
  }

  /** Cuts its connection with a reset, as a machine does that goes away, and opens the next stream after so long. */
  reset(againMs: number): void {
    this.#end();
    this.#timer = setTimeout(() => this.open(), againMs);
  }

  /** Takes nothing from its connection until `resume`: what is sent stays with the kernel. */
  pause(): void {
    this.#connection?.pause();
  }

  resume(): void {
    this.#connection?.resume();
  }

  /** Cuts its connection with a reset, for good. */
  close(): void {
    this.#end();
  }

  #end(): void {
    this.#turn += 1;
    this.isOpen = false;
    clearTimeout(this.#timer);
    this.#connection?.terminate();
    this.#connection = null;
  }

  #ended(): void {
    this.ended += 1;
    this.#end();
    this.#timer = setTimeout(() => this.open(), this.#retryMs);
  }

  #fault(why: string): void {
    this.#options.ears.fault(why);
    this.#end();
  }

  #request(): string {
    const resume = this.lastId === null ? "" : `Last-Event-ID: ${this.lastId}\r\n`;
    return `GET ${this.#options.path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n${resume}\r\n`;
  }

  #answer(): AnswerReader {
    const parser = createParser({
      onId: (id) => this.#id(id),
      onEvent: (event) => this.#event(event),
      onRetry: (ms) => (this.#retryMs = ms),
      onError: (error) => {
        throw error;
      },
    });
    const decoder = new TextDecoder("utf-8", { fatal: true });
    return new AnswerReader((bytes) => parser.feed(decoder.decode(bytes, { stream: true })));
  }

  #id(id: string): void {
    if (this.lastId !== null && comesAfter(this.lastId, id)) {
      this.#options.ears.fault(`the id ${id} came after ${this.lastId}`);
    }
    this.lastId = id;
  }

  #event({ id, event, data }: EventSourceMessage): void {
    const { ears } = this.#options;
    if (event?.startsWith("socket:") === true) {
      const facts = JSON.parse(data) as Record<string, unknown>;
      // Of two epochs nothing can be said, once it was told that there are two.
      if (event === "socket:gap" && facts["reason"] === "epoch") this.#lastMessage = null;
      return ears.told(event, facts, id);
    }
    if (id === undefined) return ears.fault(`a message without an id: ${data.slice(0, 80)}`);
    if (this.#lastMessage !== null && !comesAfter(id, this.#lastMessage)) {
      ears.fault(`the message ${id} came after ${this.#lastMessage}`);
    }
    this.#lastMessage = id;
    ears.message({ id, event, data });
  }
}
