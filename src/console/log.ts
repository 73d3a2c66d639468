import { copyButton } from "./copy.ts";
import { element, setText } from "./element.ts";
import { clockTime, type Entry } from "./entry.ts";
import { isTree, jsonTree, parseJson } from "./json.ts";

/** Rows that are kept, and messages that are held back while paused; the oldest go first. */
export const MOST_ROWS = 2000;
/** At 11,000 messages a second a page that made a row of each at once stood still for seconds. */
const ROWS_A_FRAME = 50;
const PREVIEW_CHARACTERS = 400;

interface Row {
  readonly entry: Entry;
  readonly element: HTMLElement;
}

export interface LogCounts {
  /** Messages since the beginning, those included that are no longer kept. */
  readonly received: number;
  readonly kept: number;
  readonly shown: number;
  /** Held back since the pause. */
  readonly held: number;
}

/** What was heard, newest first. Of a flood only some is drawn as it passes; once it has passed, its newest rows are. */
export class Log {
  readonly #list: HTMLElement;
  readonly #changed: (counts: LogCounts) => void;
  #rows: Row[] = [];
  #waiting: Entry[] = [];
  #received = 0;
  #held = 0;
  #shown = 0;
  #paused = false;
  #formatted = false;
  #wanted = "";
  #isDue = false;

  constructor(list: HTMLElement, changed: (counts: LogCounts) => void) {
    this.#list = list;
    this.#changed = changed;
    this.#draw();
  }

  add(entry: Entry): void {
    if (entry.kind === "message") this.#received++;
    if (this.#paused) this.#held++;
    this.#waiting.push(entry);
    if (this.#waiting.length > 2 * MOST_ROWS) this.#waiting = newest(this.#waiting);
    this.#draw();
  }

  set paused(paused: boolean) {
    this.#paused = paused;
    if (!paused) this.#held = 0;
    this.#draw();
  }

  /** Shows rows that hold this text in channel, event, data or id. */
  set filter(text: string) {
    this.#wanted = text.toLowerCase();
    for (const { entry, element: row } of this.#rows) row.hidden = !this.#matches(entry);
    this.#shown = this.#rows.filter((row) => !row.element.hidden).length;
    this.#draw();
  }

  set formatted(formatted: boolean) {
    this.#formatted = formatted;
    for (const row of this.#list.querySelectorAll<HTMLDetailsElement>(".message > details")) row.open = formatted;
  }

  clear(): void {
    this.#rows = [];
    this.#waiting = [];
    this.#held = 0;
    this.#received = 0;
    this.#shown = 0;
    this.#list.replaceChildren();
    this.#draw();
  }

  #draw(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      if (!this.#paused) this.#take();
      const { length: kept } = this.#rows;
      this.#changed({ received: this.#received, kept, shown: this.#shown, held: this.#held });
    });
  }

  #take(): void {
    if (this.#waiting.length > MOST_ROWS) this.#waiting = newest(this.#waiting);
    const fresh = this.#waiting.splice(0, ROWS_A_FRAME).map((entry) => this.#row(entry));
    if (fresh.length === 0) return;
    if (this.#waiting.length > 0) this.#draw();
    this.#list.prepend(...fresh.map((row) => row.element).toReversed());
    this.#rows.push(...fresh);
    this.#shown += fresh.filter((row) => !row.element.hidden).length;
    const over = this.#rows.splice(0, Math.max(0, this.#rows.length - MOST_ROWS));
    for (const row of over) row.element.remove();
    this.#shown -= over.filter((row) => !row.element.hidden).length;
  }

  #row(entry: Entry): Row {
    const inner =
      entry.kind === "message" || entry.data !== "" ? this.#foldable(entry) : element("p", {}, ...head(entry));
    const made = element(
      "li",
      { class: `row ${entry.kind === "message" ? "message" : `notice ${entry.kind}`}` },
      inner,
    );
    made.hidden = !this.#matches(entry);
    return { entry, element: made };
  }

  #foldable(entry: Entry): HTMLElement {
    const made = element("details", {}, element("summary", {}, ...head(entry)));
    // What is not looked at is not made.
    made.addEventListener("toggle", () => made.open && made.childElementCount === 1 && made.append(body(entry)));
    made.open = this.#formatted && entry.kind === "message";
    return made;
  }

  #matches(entry: Entry): boolean {
    if (this.#wanted === "") return true;
    const parts =
      entry.kind === "message"
        ? [entry.channel, entry.event, entry.data, entry.id]
        : [entry.kind, entry.words, entry.data];
    return parts.some((part) => part.toLowerCase().includes(this.#wanted));
  }
}

/** The newest entries, and of what is older no message: a gap is not lost among them. */
function newest(entries: readonly Entry[]): Entry[] {
  const older = entries.slice(0, -MOST_ROWS).filter(({ kind }) => kind !== "message");
  return [...older, ...entries.slice(-MOST_ROWS)];
}

function head(entry: Entry): readonly HTMLElement[] {
  const time = element("time", { datetime: new Date(entry.timeMs).toISOString() }, clockTime(entry.timeMs));
  if (entry.kind !== "message") {
    return [time, element("b", { class: "kind" }, entry.kind), element("span", { class: "words" }, entry.words)];
  }
  const { channel, event, data, id } = entry;
  const preview = data === "" ? element("i", {}, "no data") : data.slice(0, PREVIEW_CHARACTERS).replaceAll(/\s+/g, " ");
  return [
    time,
    element("span", { class: "channel", title: channel }, channel),
    element("span", { class: event === "message" ? "event usual" : "event", title: event }, event),
    element("span", { class: "data" }, preview),
    element("span", { class: "seq", title: id }, `#${id.slice(id.indexOf("-") + 1)}`),
  ];
}

function body(entry: Entry): HTMLElement {
  const { data, id, timeMs } = entry;
  const facts = element("p", { class: "facts" });
  if (id !== "") facts.append(element("span", {}, "id ", element("code", {}, id)));
  facts.append(element("span", {}, clockTime(timeMs, 3)));
  facts.append(element("span", {}, `${new TextEncoder().encode(data).length.toLocaleString("en")} bytes`));
  facts.append(copyButton("Copy data", "Copy the data", () => data));
  const value = parseJson(data);
  const shown = isTree(value) ? jsonTree(value) : element("pre", {}, data);
  return element("div", { class: "body" }, facts, shown);
}

/** Sets a count in words beside the list. */
export function showCounts(of: Element, { received, kept, shown }: LogCounts, isFiltered: boolean): void {
  const all = `${received.toLocaleString("en")} message${received === 1 ? "" : "s"}`;
  const rows = isFiltered ? `, ${shown.toLocaleString("en")} of ${kept.toLocaleString("en")} rows match` : "";
  const bound = received > MOST_ROWS && !isFiltered ? `, the newest ${MOST_ROWS.toLocaleString("en")} rows kept` : "";
  setText(of, `${all}${rows}${bound}`);
}
