import type { Sink } from "../hub/subscriber.ts";

/** What Bun gives to the `pull` of a direct stream, as far as it is used here. */
interface DirectController {
  /** A number while the socket takes data; a promise, resolved on drain, once it does not (the data is taken). */
  write(bytes: Uint8Array): number | Promise<number>;
  /** With an error it resets the connection at once, and what is unsent is freed. */
  close(error?: Error): void;
}

/** What a stream's body tells its owner. What they throw is for `failed`, so that the runtime, which calls them, goes on. */
export interface DirectEvents {
  /** The body is being sent, which a HEAD request never asks for. When it throws, the stream ends and its listener has left. */
  readonly opened: (sink: Sink) => void;
  /** The listener has left; not after `end` or `abort`. */
  readonly gone: () => void;
  /** The sink was full and takes bytes again. */
  readonly drained: () => void;
  readonly failed: (error: unknown) => void;
}

/** A stream's body as a sink, by Bun's direct stream: no queue of its own, 5 KiB a stream where a default stream takes 9. */
export class DirectSink implements Sink {
  readonly body: ReadableStream;
  readonly #events: DirectEvents;
  #controller: DirectController | null = null;
  #finish: () => void = () => undefined;

  constructor(events: DirectEvents) {
    this.#events = events;
    this.body = new ReadableStream({
      type: "direct",
      pull: (controller: unknown) => {
        this.#controller = controller as DirectController;
        if (!this.#attempt(() => events.opened(this))) {
          this.end(); // with an error Bun would print it, and the source around it
          this.#attempt(events.gone);
        }
        // The stream lasts as long as this promise.
        return new Promise<void>((resolve) => {
          this.#finish = resolve;
          if (this.#controller === null) resolve();
        });
      },
      cancel: () => {
        if (this.#controller === null) return;
        this.#controller = null;
        this.#finish();
        this.#attempt(events.gone);
      },
    } as unknown as UnderlyingDefaultSource);
  }

  write(bytes: Uint8Array): boolean {
    const written = this.#controller?.write(bytes);
    if (typeof written !== "object") return true;
    // rejected when the listener has left: `cancel` tells that
    void written.then(
      () => this.#attempt(this.#events.drained),
      () => undefined,
    );
    return false;
  }

  end(): void {
    this.#close();
  }

  abort(): void {
    this.#close(new Error("reset"));
  }

  #close(error?: Error): void {
    const controller = this.#controller;
    if (controller === null) return;
    this.#controller = null;
    this.#attempt(() => controller.close(error));
    this.#finish();
  }

  #attempt(run: () => void): boolean {
    try {
      run();
      return true;
    } catch (error) {
      this.#events.failed(error);
      return false;
    }
  }
}
