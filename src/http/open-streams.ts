import type { Grant } from "../auth/grant.ts";
import type { AppId } from "../broker/broker.ts";
import type { Subscriber } from "../hub/subscriber.ts";

/** One open stream, as its app's backend sees it. */
export class OpenStream {
  readonly id: string;
  /** A renewal puts another in its place. */
  grant: Grant;
  /** Milliseconds since 1970. */
  readonly openedAt: number;
  /** Counts the streams of its app, since it is told: no app learns how many streams others have opened. */
  ordinal = 0;
  /** Null until the answer begins. */
  subscriber: Subscriber | null = null;

  constructor(id: string, grant: Grant, openedAt: number) {
    this.id = id;
    this.grant = grant;
    this.openedAt = openedAt;
  }

  /** Whom its token names; null where there is none. */
  get user(): string | null {
    return this.grant.tokens.at(-1)?.user ?? null;
  }
}

/** The open streams of this node, by app, in the order in which they were opened. */
export class OpenStreams {
  readonly #apps = new Map<AppId, { readonly open: Map<string, OpenStream>; count: number }>();

  add(stream: OpenStream): void {
    const { id } = stream.grant.app;
    let streams = this.#apps.get(id);
    if (streams === undefined) this.#apps.set(id, (streams = { open: new Map(), count: 0 }));
    stream.ordinal = ++streams.count;
    streams.open.set(stream.id, stream);
  }

  delete(stream: OpenStream): void {
    this.#apps.get(stream.grant.app.id)?.open.delete(stream.id);
  }

  /** Null for a stream of another app as well. */
  get(app: AppId, id: string): OpenStream | null {
    return this.#apps.get(app)?.open.get(id) ?? null;
  }

  of(app: AppId): Iterable<OpenStream> {
    return this.#apps.get(app)?.open.values() ?? [];
  }
}
