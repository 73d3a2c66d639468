import type { Apps } from "../auth/app.ts";
import type { Grant } from "../auth/grant.ts";
import type { Rulings } from "../auth/rulings.ts";
import { standing } from "../auth/standing.ts";
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

/** Whether what granted a stream, which has begun, still does; its grant is then what the apps of now make of it. */
export function stands(
  { apps, rulings }: { readonly apps: Apps; readonly rulings: Rulings },
  stream: OpenStream,
): boolean {
  const { channels, patterns } = stream.subscriber!.feed.selection;
  const grant = standing(stream.grant, [...channels, ...patterns], apps, rulings);
  if (grant !== null) stream.grant = grant;
  return grant !== null;
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

  /** Apps that have or had streams. */
  apps(): Iterable<AppId> {
    return this.#apps.keys();
  }

  of(app: AppId): Iterable<OpenStream> {
    return this.#apps.get(app)?.open.values() ?? [];
  }
}
