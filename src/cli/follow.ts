import { setTimeout } from "node:timers/promises";
import { createParser } from "eventsource-parser";
import { reach, Refusal, refusalOf } from "./api.ts";
import type { Backoff } from "./backoff.ts";
import { CommandError, EXIT, type ExitCode } from "./exit.ts";
import { note } from "./terminal.ts";
import type { Writer } from "./writer.ts";

export interface Following {
  /** The stream's, with `format=envelope`, and where to begin. */
  readonly address: string;
  /** Said when the stream opens for the first time. */
  readonly welcome: string;
  /** Null without a credential. */
  readonly authorization: string | null;
  readonly writer: Writer;
  readonly backoff: Backoff;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** Before the stream has told how often it sends something. */
const HEARTBEAT_MS = 30_000;
/** How much later than due a heartbeat may be, beside one that is missed. */
const SLACK_MS = 2000;
/** Whatever a server asks for. */
const LEAST_RETRY_MS = 100;
/** More than a message may hold by any setting in use; a server that never ends a line must not fill the memory. */
const MAX_BLOCK = 64 * 1024 * 1024;

/**
 * Writes a stream's messages and resumes it from its last id, until enough were written or the signal aborts. Rejects
 * with CommandError for what will not pass: a refusal, a stream that says not to reconnect, and an address at which
 * nothing answers from the beginning.
 */
export async function follow(following: Following): Promise<ExitCode> {
  const { writer, backoff, signal } = following;
  const stream = new Resumed(following);
  while (!signal.aborted && !writer.isDone) {
    let ended = "the stream broke off";
    let retryAfterMs = 0;
    try {
      ended = (await stream.read()) ?? ended;
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof Refusal)) throw error;
      if (!error.willPass || (error.status === null && !stream.wasOpen)) throw commandErrorOf(error);
      ended = error.message;
      retryAfterMs = error.retryAfterMs ?? 0;
    }
    if (writer.isDone || signal.aborted) break;
    const waitMs = backoff.next(retryAfterMs);
    const from = stream.lastId === null ? "" : ` after ${stream.lastId}`;
    note(`${ended}; going on${from} in ${(waitMs / 1000).toFixed(1)} s`);
    await setTimeout(waitMs, undefined, { signal }).catch(() => undefined);
  }
  return EXIT.ok;
}

/** Of a stream every parameter comes from the command line. */
function commandErrorOf(error: Refusal): CommandError {
  const { code, message } = error.asCommandError;
  return new CommandError(code === EXIT.data ? EXIT.usage : code, message);
}

interface Block {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: string;
}

/** One stream over several connections. */
class Resumed {
  /** Of the last block that was read whole. */
  lastId: string | null = null;
  wasOpen = false;
  readonly #following: Following;
  #silenceMs = 2 * HEARTBEAT_MS;

  constructor(following: Following) {
    this.#following = following;
  }

  /**
   * Reads one connection to its end. Resolves with why it ended, where that was told. Rejects with Refusal where no
   * stream was answered, and with CommandError where the stream is not to be opened again.
   */
  async read(): Promise<string | null> {
    const { address, authorization, signal, writer } = this.#following;
    const connection = new AbortController();
    const end = (): void => connection.abort();
    signal.addEventListener("abort", end, { once: true });
    try {
      const late = this.#silence(connection);
      const response = await reach(address, {
        headers: {
          Accept: "text/event-stream",
          ...(authorization === null ? {} : { Authorization: authorization }),
          ...(this.lastId === null ? {} : { "Last-Event-ID": this.lastId }),
        },
        redirect: "manual", // the credential is for this address
        signal: connection.signal,
      }).finally(late);
      const type = response.headers.get("content-type") ?? "";
      if (!response.ok || !type.startsWith("text/event-stream")) throw refusalOf(response, await response.text());

      let told: string | null = null;
      for await (const blocks of this.#blocksOf(response, connection)) {
        for (const block of blocks) {
          told = (await this.#take(block)) ?? told;
          if (writer.isDone) return told;
        }
      }
      return told;
    } finally {
      signal.removeEventListener("abort", end);
      connection.abort();
    }
  }

  /** Blocks as they come. A connection that breaks ends them, and so does one that is silent for too long. */
  async *#blocksOf(response: Response, connection: AbortController): AsyncGenerator<readonly Block[]> {
    let blocks: Block[] = [];
    const { backoff } = this.#following;
    const parser = createParser({
      maxBufferSize: MAX_BLOCK,
      onEvent: ({ event = "message", id, data }) => void blocks.push({ event, id, data }),
      onId: (id) => void blocks.push({ event: "", id, data: "" }),
      onRetry: (ms) => backoff.reset(Math.max(LEAST_RETRY_MS, ms)),
      onError: () => connection.abort(),
    });
    const decoder = new TextDecoder();
    const reader = response.body!.getReader();
    for (;;) {
      const heard = this.#silence(connection);
      const part = await reader.read().catch(() => null);
      heard();
      if (part === null || part.done) return;
      parser.feed(decoder.decode(part.value, { stream: true }));
      yield blocks;
      blocks = [];
    }
  }

  /** Leaves the connection when nothing comes for too long; gives what to call when something came. */
  #silence(connection: AbortController): () => void {
    const end = (): void => connection.abort(new DOMException("nothing came", "TimeoutError"));
    const timer = globalThis.setTimeout(end, this.#silenceMs);
    return () => clearTimeout(timer);
  }

  /** Gives what a block says of the stream's end. */
  async #take({ event, id, data }: Block): Promise<string | null> {
    const { writer } = this.#following;
    let ended: string | null = null;
    if (event.startsWith("socket:")) {
      const told = JSON.parse(data) as Readonly<Record<string, unknown>>;
      await writer.told(event, id, data);
      ended = this.#hear(event, told);
    } else if (event !== "") await writer.message(data);
    if (id !== undefined) this.lastId = id;
    return ended;
  }

  #hear(event: string, told: Readonly<Record<string, unknown>>): string | null {
    switch (event) {
      case "socket:open": {
        const heartbeatMs = Number(told["heartbeat_ms"]);
        this.#silenceMs = heartbeatMs === 0 ? 2 ** 31 - 1 : 2 * heartbeatMs + SLACK_MS;
        if (!this.wasOpen) note(this.#following.welcome);
        else if (told["recovered"] === true) note("resumed, nothing is missing");
        this.wasOpen = true;
        return null;
      }
      case "socket:gap": {
        const gap = told as Readonly<Record<"reason" | "asked" | "oldest" | "newest", string | null>>;
        const kept = gap.oldest === null ? "nothing is kept" : `what is kept begins with ${gap.oldest}`;
        note(`gap (${gap.reason}): messages after ${gap.asked} are missing; ${kept} and ends with ${gap.newest}`);
        return null;
      }
      case "socket:token":
        note(`the token expires at ${String(told["expires_at"])}`);
        return null;
      case "socket:close":
        if (told["reconnect"] === true) return `the stream ended (${String(told["reason"])})`;
        throw new CommandError(EXIT.noPermission, `the stream ended for good: ${String(told["reason"])}`);
      default:
        return null;
    }
  }
}
