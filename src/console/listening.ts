import { type Api, BASE, read, Refusal } from "./api.ts";
import { type Entry, messageOf, type NoticeEntry, noticeOf } from "./entry.ts";

export type State = "connecting" | "replaying" | "live" | "reconnecting" | "ended";

/** What to listen to, and how. */
export interface Wish {
  readonly channels: readonly string[];
  readonly format: "envelope" | "plain";
  /** In the plain format an EventSource hears `message`, and what it names. */
  readonly events: readonly string[];
  /** A parameter of the first connect such as `last=20`; empty for what comes next. */
  readonly beginning: string;
}

export interface ListeningOptions {
  readonly entry: (entry: Entry) => void;
  readonly state: (state: State) => void;
}

const TOLD = ["open", "live", "gap", "token", "close"] as const;
const MOST_WAIT_MS = 15_000;

/** The address of a stream, of this host. */
export function addressOf({ channels, format, beginning }: Wish, more: Readonly<Record<string, string>> = {}): string {
  const [only = ""] = channels;
  const isOne = channels.length === 1 && !only.includes("*") && !/^\.\.?$/.test(only);
  const url = new URL(isOne ? `${BASE}/channel/${encodeURIComponent(only)}/stream` : `${BASE}/stream`);
  if (!isOne) for (const channel of channels) url.searchParams.append("channel", channel);
  if (format === "envelope") url.searchParams.set("format", format);
  const [name = "", value] = beginning.split("=");
  if (value !== undefined) url.searchParams.set(name, value);
  for (const [key, text] of Object.entries(more)) url.searchParams.set(key, text);
  return url.href;
}

/**
 * A stream as a customer's page opens it: an EventSource on an address with a token, which it gets itself where it was
 * given the secret. It goes on over tokens that expire, restarts and refusals that pass, and says each of them.
 */
export class Listening {
  readonly #api: Api;
  readonly #wish: Wish;
  readonly #options: ListeningOptions;
  #source: EventSource | null = null;
  #token: string | null = null;
  #lastId = "";
  #failures = 0;
  #isLost = false;
  #stopped = false;

  constructor(api: Api, wish: Wish, options: ListeningOptions) {
    this.#api = api;
    this.#wish = wish;
    this.#options = options;
    this.#listen();
  }

  /** Of the stream that is open; null before the first, and where there is none. */
  get token(): string | null {
    return this.#token;
  }

  stop(): void {
    this.#stopped = true;
    this.#source?.close();
    this.#options.state("ended");
  }

  #listen(): void {
    if (this.#stopped) return;
    this.#options.state(this.#lastId === "" ? "connecting" : "reconnecting");
    this.#open().catch((error: unknown) => this.#refused(error));
  }

  async #open(): Promise<void> {
    const { credential } = this.#api;
    const token =
      credential.kind === "secret"
        ? (await this.#api.subscribe(this.#wish.channels)).token
        : credential.kind === "token"
          ? credential.text
          : null;
    if (this.#stopped) return;
    this.#token = token;
    const more = { ...(this.#lastId && { last_event_id: this.#lastId }), ...(token !== null && { token }) };
    this.#follow(addressOf(this.#lastId === "" ? this.#wish : { ...this.#wish, beginning: "" }, more));
  }

  #follow(address: string): void {
    const { format, events } = this.#wish;
    const source = (this.#source = new EventSource(address));
    for (const event of ["message", ...(format === "plain" ? events : [])]) {
      source.addEventListener(event, ({ data, lastEventId }: MessageEvent<string>) => {
        this.#lastId = lastEventId || this.#lastId;
        const plain = { kind: "message", channel: "", event, data, id: lastEventId, timeMs: Date.now() } as const;
        this.#options.entry(format === "envelope" ? messageOf(data) : plain);
      });
    }
    for (const kind of TOLD) {
      source.addEventListener(`socket:${kind}`, ({ data, lastEventId }: MessageEvent<string>) => {
        this.#lastId = lastEventId || this.#lastId;
        this.#told(source, kind, data, lastEventId);
      });
    }
    source.addEventListener("error", () => {
      if (this.#stopped || source !== this.#source) return;
      if (source.readyState === EventSource.CLOSED) this.#giveUp(address);
      else this.#lost();
    });
  }

  #told(source: EventSource, kind: (typeof TOLD)[number], data: string, id: string): void {
    this.#options.entry(noticeOf(kind, data, kind === "open" || kind === "gap" ? id : ""));
    if (kind === "open") {
      this.#failures = 0;
      this.#isLost = false;
      this.#options.state("replaying");
    } else if (kind === "live") this.#options.state("live");
    else if (kind === "token") void this.#renew((JSON.parse(data) as { stream: string }).stream);
    else if (kind === "close") {
      const { reason, reconnect } = JSON.parse(data) as { reason: string; reconnect: boolean };
      if (reconnect) return; // the browser sees to it
      source.close();
      // Only what ended by itself is taken up again: who revoked this stream meant it.
      if (reason === "expired" && this.#api.hasSecret) this.#listen();
      else this.#options.state("ended");
    }
  }

  /** As a customer's page would: a fresh token of the same user, and the stream goes on. */
  async #renew(stream: string): Promise<void> {
    if (!this.#api.hasSecret) return;
    try {
      const { token, expires_at: until } = await this.#api.subscribe(this.#wish.channels);
      await this.#api.post("/channel/renew", JSON.stringify({ stream, token }));
      this.#say("token", `Renewed: the stream goes on until ${new Date(until).toLocaleTimeString()}.`);
    } catch (error) {
      this.#say("token", `Not renewed: ${wordsOf(error)}`);
    }
  }

  #lost(): void {
    this.#options.state("reconnecting");
    if (this.#isLost) return; // an attempt that failed as well
    this.#isLost = true;
    const from = this.#lastId === "" ? "" : ` and asks for what follows ${this.#lastId}`;
    this.#say("reconnect", `The connection ended. The browser comes back by itself${from}.`);
  }

  /** EventSource does not say why it gave up; the same request tells. */
  #giveUp(address: string): void {
    const stop = new AbortController();
    fetch(address, { headers: { Accept: "application/json" }, cache: "no-store", signal: stop.signal })
      .then(
        async (response) => {
          if (response.ok)
            stop.abort(); // it is a stream again
          else await read(response);
          throw new Refusal(0, "The answer was no stream.");
        },
        () => {
          throw new Refusal(0, "The gateway does not answer.");
        },
      )
      .catch((error: unknown) => this.#refused(error));
  }

  #refused(error: unknown): void {
    if (this.#stopped) return;
    const canPass = error instanceof Refusal && error.passes;
    // By the secret there is always another token; once it has been refused right after it was made there is no sense in more.
    const canAsk = this.#api.hasSecret && this.#lastId !== "" && this.#failures === 0;
    if (!canPass && !canAsk) {
      this.#say("refused", `Refused: ${wordsOf(error)}`);
      this.#options.state("ended");
      return;
    }
    this.#options.state("reconnecting");
    if (this.#failures === 0) this.#say("refused", `Refused for now: ${wordsOf(error)} The page tries again.`);
    // At random within a span that doubles, so that not all pages come back at once.
    setTimeout(() => this.#listen(), Math.random() * Math.min(MOST_WAIT_MS, 500 * 2 ** this.#failures++));
  }

  #say(kind: NoticeEntry["kind"], words: string): void {
    this.#options.entry({ kind, words, data: "", id: "", timeMs: Date.now() });
  }
}

export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
