import { type Api, Refusal } from "./api.ts";
import { at, button, element, field, setText } from "./element.ts";
import { Listening, wordsOf } from "./listening.ts";
import { Plot, plotAt } from "./plot.ts";
import { Poll } from "./poll.ts";
import { agoOf, epochOf, seqOf } from "./position.ts";

const MOST_ASKED = 1000;
const MOST_SHOWN = 200;
/** A channel that need not be there: what is read behind the newest of it tells how far the app is. */
const PROBED = "service-socket.console";

interface Channel {
  readonly channel: string;
  readonly subscribers: number;
  readonly oldest: string | null;
  readonly newest: string | null;
}

interface Row {
  readonly element: HTMLTableRowElement;
  readonly subscribers: HTMLElement;
  readonly newest: HTMLElement;
  readonly age: HTMLElement;
  readonly plot: Plot;
  newestSeq: number;
  /** When this page first saw the newest message. */
  seenAtMs: number | null;
}

export interface ChannelActions {
  listen(channel: string): void;
  publish(channel: string): void;
}

/** The view of channels and totals, as they move. */
export class Channels {
  readonly #api: Api;
  readonly #actions: ChannelActions;
  readonly #poll = new Poll(() => this.#look());
  readonly #rows = new Map<string, Row>();
  readonly #plots = {
    rate: plotAt("total-rate", "Messages a second"),
    streams: plotAt("total-streams", "Open streams"),
    channels: plotAt("total-channels", "Channels"),
  };
  #head: { readonly position: string; readonly atMs: number } | null = null;
  #counted: Map<string, number> | null = null;
  #counting: Listening | null = null;
  #isShown = false;

  constructor(api: Api, actions: ChannelActions) {
    this.#api = api;
    this.#actions = actions;
    field("prefix").addEventListener("input", () => this.#rows.clear());
    field("count").addEventListener("change", () => this.#count());
  }

  set shown(shown: boolean) {
    this.#isShown = shown;
    this.#poll.wanted = shown && this.#api.hasSecret;
    this.#count();
    if (!this.#api.hasSecret) setText(at("channels-note"), "The list of channels takes the app’s secret.");
  }

  /** Opens a stream of everything, or ends it: only what is looked at is paid for. */
  #count(): void {
    const isWanted = this.#isShown && field("count").checked && this.#api.hasSecret;
    setText(at("activity-head"), field("count").checked ? "Messages a second" : "Published to");
    if (isWanted === (this.#counting !== null)) return;
    this.#counting?.stop();
    this.#counting = null;
    this.#counted = null;
    if (!isWanted) return;
    this.#counted = new Map();
    this.#counting = new Listening(
      this.#api,
      { channels: ["**"], format: "envelope", events: [], beginning: "" },
      {
        entry: (entry) => {
          if (entry.kind !== "message") return;
          this.#counted?.set(entry.channel, (this.#counted.get(entry.channel) ?? 0) + 1);
        },
        state: () => undefined,
      },
    );
  }

  async #look(): Promise<void> {
    try {
      const prefix = field("prefix").value;
      const [{ channels, next }, head, { streams, next: more }] = await Promise.all([
        this.#api.get<{ channels: readonly Channel[]; next: string | null }>("/channels", {
          limit: String(MOST_ASKED),
          ...(prefix === "" ? {} : { prefix }),
        }),
        this.#api.get<{ through: string }>(`/channel/${PROBED}/history`, {
          limit: "1",
          ...(this.#head === null ? {} : { after: this.#head.position }),
        }),
        this.#api.get<{ streams: readonly unknown[]; next: unknown }>("/streams", { limit: "1000" }),
      ]);
      this.#showTotals(channels.length, next !== null, streams.length, more !== null, head.through);
      this.#showRows(channels);
      setText(at("channels-note"), noteOf(channels.length, next !== null));
    } catch (error) {
      setText(at("channels-note"), wordsOf(error));
      if (error instanceof Refusal && !error.passes) this.#poll.wanted = false;
    }
  }

  #showTotals(channels: number, moreChannels: boolean, streams: number, moreStreams: boolean, through: string): void {
    const nowMs = performance.now();
    const head = this.#head;
    this.#head = { position: through, atMs: nowMs };
    setNumber("total-streams", streams, moreStreams);
    setNumber("total-channels", channels, moreChannels);
    setNumber("total-messages", seqOf(through), false);
    this.#plots.streams.add(streams);
    this.#plots.channels.add(channels);
    setText(at("total-messages").querySelector("small")!, `epoch ${epochOf(through)}`);
    if (head === null) return setNumber("total-rate", 0, false);
    const rate = Math.max(0, Math.round(((seqOf(through) - seqOf(head.position)) * 1000) / (nowMs - head.atMs)));
    setNumber("total-rate", rate, false);
    this.#plots.rate.add(rate);
  }

  #showRows(channels: readonly Channel[]): void {
    const order = ORDERS[field("sort").value] ?? ORDERS["newest"]!;
    const shown = channels.toSorted(order).slice(0, MOST_SHOWN);
    const counted = this.#counted;
    if (counted !== null) this.#counted = new Map();
    const elements = shown.map((channel) => this.#row(channel, counted));
    const names = new Set(channels.map(({ channel }) => channel));
    for (const name of this.#rows.keys()) if (!names.has(name)) this.#rows.delete(name);
    const body = at("channel-rows");
    // Moved only where the order changed, so that what is focused or selected stays so.
    if (elements.some((row, i) => body.children[i] !== row) || body.childElementCount !== elements.length) {
      body.replaceChildren(...elements);
    }
    at("channels-empty").hidden = channels.length > 0;
    setText(
      at("channels-empty"),
      field("prefix").value === "" ? "No channel holds a message or is listened to." : "No channel begins like this.",
    );
  }

  #row({ channel, subscribers, newest }: Channel, counted: ReadonlyMap<string, number> | null): HTMLTableRowElement {
    const row = this.#rows.get(channel) ?? this.#made(channel);
    this.#rows.set(channel, row);
    const seq = newest === null ? 0 : seqOf(newest);
    const nowMs = performance.now();
    const isFirst = row.newestSeq === -1;
    const moved = !isFirst && seq !== row.newestSeq;
    if (moved) row.seenAtMs = nowMs;
    row.newestSeq = seq;
    setText(row.subscribers, subscribers.toLocaleString("en"));
    setText(row.newest, newest === null ? "none" : `#${seq}`);
    row.newest.title = newest ?? "";
    setText(row.age, row.seenAtMs === null ? "" : agoOf(nowMs - row.seenAtMs));
    row.plot.add(counted === null ? Number(moved) : (counted.get(channel) ?? 0));
    return row.element;
  }

  #made(channel: string): Row {
    const [subscribers, newest, age, plot] = [
      element("span"),
      element("code"),
      element("small"),
      new Plot(`Published to ${channel}`, "bars"),
    ];
    const row = element(
      "tr",
      {},
      element("th", { scope: "row", title: channel }, channel),
      element("td", { class: "number", "data-label": "Subscribers" }, subscribers),
      element("td", { "data-label": "Newest" }, newest, " ", age),
      element("td", { class: "activity" }, plot.element),
      element(
        "td",
        { class: "actions" },
        button("Listen", { class: "quiet", "aria-label": `Listen to ${channel}` }, () => this.#actions.listen(channel)),
        button("Publish", { class: "quiet", "aria-label": `Publish to ${channel}` }, () =>
          this.#actions.publish(channel),
        ),
      ),
    );
    return { element: row, subscribers, newest, age, plot, newestSeq: -1, seenAtMs: null };
  }
}

const ORDERS: Readonly<Record<string, (a: Channel, b: Channel) => number>> = {
  newest: (a, b) => newestOf(b) - newestOf(a),
  subscribers: (a, b) => b.subscribers - a.subscribers,
  name: () => 0,
};

function newestOf({ newest }: Channel): number {
  return newest === null ? -1 : seqOf(newest);
}

function noteOf(count: number, isMore: boolean): string {
  if (isMore)
    return `The first ${MOST_ASKED.toLocaleString("en")} by name are looked at: type the beginning of a name.`;
  return count > MOST_SHOWN
    ? `${MOST_SHOWN} of ${count.toLocaleString("en")} are shown: type the beginning of a name.`
    : "";
}

function setNumber(id: string, value: number, isMore: boolean): void {
  const shown = at(id).querySelector("b");
  if (shown !== null) setText(shown, `${value.toLocaleString("en")}${isMore ? "+" : ""}`);
}
