import { createParser, type EventSourceMessage } from "eventsource-parser";
import { SECRET } from "./fixture.ts";

/** What a stream says, as `eventsource-parser` reads it. */
export interface Frame {
  readonly event: string | undefined;
  readonly id: string | undefined;
  readonly data: string;
}

export type Facts = Readonly<Record<string, unknown>>;

/** One stream, read with fetch and an independent parser. Waits for what comes; nothing here looks at a clock. */
export class Listening implements AsyncDisposable {
  readonly response: Response;
  /** All frames so far. */
  readonly frames: Frame[] = [];
  /** Ids in the order in which they came, also those of blocks without data. */
  readonly ids: string[] = [];
  readonly retries: number[] = [];
  readonly comments: string[] = [];
  text = "";
  ended = false;
  readonly #abort: AbortController;
  readonly #reading: Promise<void>;
  #taken = 0;
  #changed = Promise.withResolvers<void>();

  constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    this.#reading = this.#read();
  }

  /** Resolves with what `look` gives once that is not undefined; rejects when the stream ends before. */
  async when<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const { promise } = this.#changed;
      const found = look();
      if (found !== undefined) return found;
      if (this.ended) throw new Error(`The stream ended:\n${this.text}`);
      await promise;
    }
  }

  /** The next frame that was not taken yet. */
  async next(): Promise<Frame> {
    const frame = await this.when(() => this.frames[this.#taken]);
    this.#taken += 1;
    return frame;
  }

  /** The next frame, which must be a `socket:` one of that name, as what it says. */
  async told(name: string): Promise<Facts & { readonly id: string | undefined }> {
    const { event, id, data } = await this.next();
    if (event !== `socket:${name}`) throw new Error(`Not socket:${name} but ${event ?? "a message"}:\n${this.text}`);
    return { ...(JSON.parse(data) as Facts), id };
  }

  /** The next `count` frames, which must be messages: `<id> <data>` of each. */
  async messages(count: number): Promise<Frame[]> {
    const found: Frame[] = [];
    while (found.length < count) {
      const frame = await this.next();
      if (frame.event?.startsWith("socket:") === true) throw new Error(`Not a message: ${frame.event} ${frame.data}`);
      found.push(frame);
    }
    return found;
  }

  /** Past `socket:open` and `socket:live` of a stream that replays nothing. */
  async live(): Promise<this> {
    await this.told("open");
    await this.told("live");
    return this;
  }

  async end(): Promise<void> {
    await this.when(() => (this.ended ? true : undefined));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#reading;
  }

  async #read(): Promise<void> {
    const parser = createParser({
      onEvent: ({ event, id, data }: EventSourceMessage) => this.frames.push({ event, id, data }),
      onId: (id) => this.ids.push(id),
      onRetry: (ms) => this.retries.push(ms),
      onComment: (comment) => this.comments.push(comment),
      onError: (error) => {
        throw error;
      },
    });
    const decoder = new TextDecoder();
    try {
      for await (const bytes of this.response.body!) {
        const text = decoder.decode(bytes, { stream: true });
        this.text += text;
        parser.feed(text);
        this.#change();
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) this.text += String(error);
    }
    this.ended = true;
    this.#change();
  }

  #change(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}

export interface Way {
  /** Default: the secret in its header; null sends no Authorization header. */
  readonly authorization?: string | null;
  readonly lastEventId?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Opens a stream, which must be given. `address` is whole. */
export async function listen(address: string, way: Way = {}): Promise<Listening> {
  const abort = new AbortController();
  const response = await fetch(address, { headers: headersOf(way), signal: abort.signal });
  if (response.headers.get("Content-Type") !== "text/event-stream") {
    throw new Error(`No stream but ${response.status}: ${await response.text()}`);
  }
  return new Listening(response, abort);
}

/** The headers with which a listener asks. */
export function headersOf({ authorization = `key=${SECRET}`, lastEventId, headers }: Way): Record<string, string> {
  return {
    ...(authorization === null ? {} : { Authorization: authorization }),
    ...(lastEventId === undefined ? {} : { "Last-Event-ID": lastEventId }),
    ...headers,
  };
}
