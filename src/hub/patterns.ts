import type { Feed } from "./feed.ts";

/**
 * All patterns that have their wildcards in the same places: the one of them that matches a channel is found by one look.
 * A tree of segments found it too, but 50 long patterns on a stream made 5,000 branches: 1.8 MiB for a request of 10 KB.
 */
class Form {
  readonly #length: number;
  readonly #any: readonly number[];
  readonly #rest: boolean;
  readonly feeds = new Map<string, Set<Feed>>();

  constructor(segments: readonly string[]) {
    this.#rest = segments.at(-1) === "**";
    this.#length = segments.length - (this.#rest ? 1 : 0);
    this.#any = [...segments.keys()].filter((at) => segments[at] === "*");
  }

  /** The pattern of this form that a channel would match. */
  patternOf(channel: readonly string[]): string {
    const segments = channel.slice(0, this.#length);
    for (const at of this.#any) segments[at] = "*";
    if (this.#rest) segments.push("**");
    return segments.join(".");
  }
}

/** The patterns of one app: channel → feeds. */
export class Patterns {
  /** By the number of segments that a channel has, or, of those that end in `**`, must have more than. */
  readonly #exact = new Map<number, Map<string, Form>>();
  readonly #rest = new Map<number, Map<string, Form>>();

  get empty(): boolean {
    return this.#exact.size === 0 && this.#rest.size === 0;
  }

  add(pattern: string, feed: Feed): void {
    const { forms, length, places, segments } = this.#placeOf(pattern);
    let ofLength = forms.get(length);
    if (ofLength === undefined) forms.set(length, (ofLength = new Map()));
    let form = ofLength.get(places);
    if (form === undefined) ofLength.set(places, (form = new Form(segments)));
    const feeds = form.feeds.get(pattern);
    if (feeds === undefined) form.feeds.set(pattern, new Set([feed]));
    else feeds.add(feed);
  }

  remove(pattern: string, feed: Feed): void {
    const { forms, length, places } = this.#placeOf(pattern);
    const ofLength = forms.get(length);
    const form = ofLength?.get(places);
    const feeds = form?.feeds.get(pattern);
    if (ofLength === undefined || form === undefined || feeds === undefined) return;
    feeds.delete(feed);
    if (feeds.size === 0) form.feeds.delete(pattern);
    if (form.feeds.size === 0) ofLength.delete(places);
    if (ofLength.size === 0) forms.delete(length);
  }

  /** Calls for each feed of each pattern that matches the channel. */
  visit(channel: string, call: (feed: Feed) => void): void {
    const segments = channel.split(".");
    visitForms(this.#exact.get(segments.length), segments, call);
    for (const [length, forms] of this.#rest) if (length < segments.length) visitForms(forms, segments, call);
  }

  #placeOf(pattern: string) {
    const segments = pattern.split(".");
    const rest = segments.at(-1) === "**";
    return {
      segments,
      forms: rest ? this.#rest : this.#exact,
      length: segments.length - (rest ? 1 : 0),
      /** Equal for patterns of one form. */
      places: segments.map((segment) => (segment === "*" ? "*" : ".")).join(""),
    };
  }
}

function visitForms(
  forms: ReadonlyMap<string, Form> | undefined,
  channel: readonly string[],
  call: (feed: Feed) => void,
): void {
  if (forms === undefined) return;
  for (const form of forms.values()) {
    const feeds = form.feeds.get(form.patternOf(channel));
    if (feeds !== undefined) for (const feed of feeds) call(feed);
  }
}
