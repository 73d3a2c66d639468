import type { AppId, Note } from "../broker.ts";
import type { RedisApp } from "./app.ts";
import { Away } from "./errors.ts";
import type { Link } from "./link.ts";
import { SCRIPTS } from "./scripts.ts";
import type { Timers } from "./timers.ts";

/** Notes that are fetched by one command. */
const NOTES_AT_ONCE = 1000;

export interface NotingOptions {
  readonly timers: Timers;
  readonly now: () => number;
  readonly noted: (app: AppId, note: Note) => void;
}

/**
 * The notes of one app. What is announced of them comes in the order in which they were kept. After a break all are read
 * again, and what is announced meanwhile comes after.
 */
export class Noting {
  readonly #app: RedisApp;
  readonly #options: NotingOptions;
  /** What was announced while the kept ones are being read; null while nothing is. */
  #held: { readonly note: Note; readonly number: string }[] | null = [];
  #loaded = Promise.withResolvers<void>();
  #isLoaded = false;
  #numbers = 0;
  /** Notes of this node that it was not told of yet, and whether each is kept for certain. */
  readonly #own = new Map<string, { readonly told: () => void; isKept: boolean }>();

  constructor(app: RedisApp, options: NotingOptions) {
    this.#app = app;
    this.#options = options;
  }

  /** Every note that is kept was told since the last break. */
  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** Resolves once that is so for the first time. */
  get loaded(): Promise<void> {
    return this.#loaded.promise;
  }

  /** Keeps a note. Resolves once this node was told of it, in its place among the others. */
  async note(note: Note, node: string): Promise<void> {
    const number = `${node} ${++this.#numbers}`;
    const { until } = this.#app;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const own = { told: resolve, isKept: false };
    this.#own.set(number, own);
    const callOff = this.#options.timers.after(until - this.#options.timers.elapsed(), () => reject(new Away(true)));
    promise.catch(() => undefined);
    try {
      const { key, value } = note;
      const told = JSON.stringify(["note", key, value, note.until, number]);
      await this.#app.run(SCRIPTS.note, [key, value, String(note.until), this.#app.keys.forEveryNode, told], until);
      own.isKept = true;
      await promise;
    } finally {
      callOff();
      this.#own.delete(number);
    }
  }

  /** A note was announced. */
  heard(note: Note, number: string): void {
    if (this.#held !== null) {
      this.#held.push({ note, number });
      return;
    }
    this.#tell(note);
    this.#own.get(number)?.told();
  }

  lost(): void {
    this.#held ??= [];
    this.#isLoaded = false;
  }

  /** Reads all that are kept, once what is announced is heard. */
  async load(link: Link): Promise<void> {
    const { notes } = this.#app.keys;
    // What is announced of these was lost, maybe, but they are among what is read.
    const kept = [...this.#own.values()].filter(({ isKept }) => isKept);
    let cursor = "0";
    do {
      const reply = await link.command(["HSCAN", notes, cursor, "COUNT", String(NOTES_AT_ONCE)]);
      const [next, fields] = reply as [string, string[]];
      if (this.#app.link !== link) throw new Away(false);
      cursor = next;
      for (let i = 0; i < fields.length; i += 2) this.#tellKept(fields[i]!, fields[i + 1]!);
    } while (cursor !== "0");
    const held = this.#held ?? [];
    this.#held = null;
    for (const { note, number } of held) this.heard(note, number);
    for (const { told } of kept) told();
    this.#isLoaded = true;
    this.#loaded.resolve();
  }

  #tellKept(key: string, kept: string): void {
    const [until, ...value] = kept.split(" ");
    if (Number(until) >= this.#options.now()) this.#tell({ key, value: value.join(" "), until: Number(until) });
  }

  #tell(note: Note): void {
    this.#options.noted(this.#app.id, note);
  }
}
