import type { Socket } from "bun";
import { SECRET } from "../servers.ts";
import { AnswerReader } from "./answer.ts";
import { type Port, portOf } from "./port.ts";

export interface Draft {
  readonly channel: string;
  readonly event?: string;
  readonly data: string;
}

/** There was no connection: nothing was sent. */
export class Unreached extends Error {}

/** The connection broke before the whole answer came, or a proxy's did: the messages may be kept or not. */
export class Unanswered extends Error {}

/** What a proxy answers when it got no answer: 502 and 504; and 503, from either. */
const GATEWAY_ERRORS: ReadonlySet<number> = new Set([502, 503, 504]);

/** The request that is under way. */
class Exchange {
  readonly answer = new AnswerReader((bytes) => (this.body += Buffer.from(bytes).toString()));
  body = "";
  readonly #done = Promise.withResolvers<void>();

  /** Resolves with the whole answer, rejects with Unanswered. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  feed(bytes: Uint8Array): void {
    this.answer.feed(bytes);
    if (this.answer.complete) this.#done.resolve();
  }

  break(): void {
    this.#done.reject(new Unanswered());
  }
}

/**
 * A backend that publishes, one request after another on one connection. Not `fetch`: it would repeat a request on its
 * own where a kept connection had gone away, and so publish twice what was given once.
 */
export class Publisher {
  readonly #port: Port;
  readonly #secret: string;
  #connection: Socket | null = null;
  #exchange: Exchange | null = null;

  constructor(port: Port, secret: string = SECRET) {
    this.#port = port;
    this.#secret = secret;
  }

  /** Resolves with the ids of the messages. Rejects with Unreached, Unanswered, or what was answered but 200. */
  async publish(drafts: readonly Draft[], key?: string): Promise<string[]> {
    const { messages } = await this.request<{ messages: { id: string }[] }>("POST", "/chat/send-multi", {
      body: JSON.stringify(drafts),
      ...(key === undefined ? {} : { key }),
    });
    return messages.map(({ id }) => id);
  }

  /** Resolves with the `data` of the answer. Rejects as `publish` does. */
  async request<Data>(
    method: "GET" | "POST",
    path: string,
    { body = "", key }: { readonly body?: string; readonly key?: string } = {},
  ): Promise<Data> {
    const head = [
      `${method} ${path} HTTP/1.1`,
      "Host: localhost",
      `Authorization: key=${this.#secret}`,
      "Content-Type: application/json",
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...(key === undefined ? [] : [`Idempotency-Key: ${key}`]),
    ];
    const connection = (this.#connection ??= await this.#connect());
    const exchange = (this.#exchange = new Exchange());
    connection.write(`${head.join("\r\n")}\r\n\r\n${body}`);
    await exchange.done;
    const { status } = exchange.answer;
    if (GATEWAY_ERRORS.has(status)) throw new Unanswered();
    if (status !== 200) throw new Error(`${method} ${path} was answered ${status}: ${exchange.body}`);
    return (JSON.parse(exchange.body) as { data: Data }).data;
  }

  close(): void {
    this.#connection?.end();
    this.#connection = null;
  }

  async #connect(): Promise<Socket> {
    const over = (connection: Socket) => {
      if (this.#connection !== connection) return;
      this.#connection = null;
      this.#exchange?.break();
    };
    try {
      return await Bun.connect({
        hostname: "127.0.0.1",
        port: portOf(this.#port),
        socket: { data: (_, bytes) => this.#exchange?.feed(bytes), close: over, error: over },
      });
    } catch {
      throw new Unreached();
    }
  }
}
