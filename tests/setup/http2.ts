import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";

/** One stream over HTTP/2, as text. */
export class Http2Stream {
  text = "";
  /** The code of its RST_STREAM; null while it is open. */
  closedWith: number | null = null;
  readonly #stream: ClientHttp2Stream;
  #changed = Promise.withResolvers<void>();

  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream;
    stream.setEncoding("utf8");
    stream.on("data", (part: string) => {
      this.text += part;
      this.#change();
    });
    stream.on("close", () => {
      this.closedWith = stream.rstCode ?? 0;
      this.#change();
    });
    stream.on("error", () => undefined);
  }

  /** Resolves once it has been sent this text; rejects when it ends before. */
  async has(text: string): Promise<void> {
    for (;;) {
      const { promise } = this.#changed;
      if (this.text.includes(text)) return;
      if (this.closedWith !== null) throw new Error(`The stream ended:\n${this.text.slice(-500)}`);
      await promise;
    }
  }

  /** Resolves with the code of its RST_STREAM. */
  async closed(): Promise<number> {
    while (this.closedWith === null) await this.#changed.promise;
    return this.closedWith;
  }

  /** Reads no more, so that its window fills up, until `resume`. */
  pause(): void {
    this.#stream.pause();
  }

  /** RST_STREAM, as a browser sends it when a page closes an EventSource. */
  reset(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #change(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}

/** One connection that speaks HTTP/2 with a server whose certificate it takes whatever it is. */
export class Http2Connection implements Disposable {
  readonly session: ClientHttp2Session;
  readonly closed: Promise<void>;

  constructor(url: string) {
    // A quarter of the connection's window, so that a stream which is not read does not hold up the others.
    this.session = connect(url, { rejectUnauthorized: false, settings: { initialWindowSize: 16_384 } });
    this.session.on("error", () => undefined);
    this.closed = new Promise((resolve) => this.session.on("close", resolve));
  }

  /** Resolves with the answer's headers, and its body as a stream. */
  open(path: string, headers: Readonly<Record<string, string>> = {}) {
    const request = this.session.request({ ":path": path, ...headers });
    const stream = new Http2Stream(request);
    return new Promise<{ headers: Readonly<Record<string, unknown>>; stream: Http2Stream }>((resolve, reject) => {
      request.on("response", (answer) => resolve({ headers: answer, stream }));
      request.on("error", reject);
      request.on("close", () => reject(new Error("There was no answer.")));
    });
  }

  [Symbol.dispose](): void {
    this.session.destroy();
  }
}
