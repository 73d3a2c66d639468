import type { Kept } from "./ledger.ts";
import { epochOf, seqOf } from "./position.ts";
import type { Report } from "./report.ts";
import { selects } from "./selection.ts";

/** All that one listener heard, over all of its streams. */
export class Heard {
  readonly #report: Report;
  readonly #selection: readonly string[];
  readonly #heard: { readonly id: string; readonly data: string }[] = [];
  #begin: string | null = null;
  #wanted = "";
  readonly #hears = Promise.withResolvers<void>();

  constructor(report: Report, selection: readonly string[]) {
    this.#report = report;
    this.#selection = selection;
  }

  /** A stream was opened from that position; true for the first. */
  begins(id: string): boolean {
    const first = this.#begin === null;
    this.#begin ??= id;
    return first;
  }

  hear(id: string, data: string): void {
    this.#heard.push({ id, data });
    if (this.#wanted !== "" && data.startsWith(this.#wanted)) this.#hears.resolve();
  }

  /** Resolves when a message comes, or has come as the last one, whose data begins like this. */
  hears(beginning: string): Promise<void> {
    this.#wanted = beginning;
    if (this.#heard.at(-1)?.data.startsWith(beginning) === true) this.#hears.resolve();
    return this.#hears.promise;
  }

  /** Resolves when the last of what is kept of its channels comes, or has come as the last one. */
  reaches(kept: readonly Kept[]): Promise<void> {
    const selected = selects(this.#selection);
    return this.hears(kept.findLast(({ channel }) => selected(channel))?.data ?? "");
  }

  /** Compares what it heard with what the server keeps: all of its selection after its beginning, in that order. */
  compare(kept: readonly Kept[]): void {
    const claim = this.#report.claim("a listener hears what is kept of its channels: all of it, in order, each once");
    const begin = this.#begin ?? "";
    const selected = selects(this.#selection);
    const wanted = kept.filter(
      ({ id, channel }) => epochOf(id) === epochOf(begin) && seqOf(id) > seqOf(begin) && selected(channel),
    );
    for (let i = 0; i < Math.max(wanted.length, this.#heard.length); i++) {
      const [want, heard] = [wanted[i], this.#heard[i]];
      const same = want?.id === heard?.id && want?.data === heard?.data;
      claim.check(
        same,
        () => `${this.#selection.join(" ")}: wanted ${JSON.stringify(want)}, heard ${JSON.stringify(heard)}`,
      );
      if (!same) return; // all that follows is shifted
    }
  }
}
