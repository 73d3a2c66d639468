import { Heard } from "./heard.ts";
import { Listener } from "./listener.ts";
import type { Report } from "./report.ts";

/** A listener of our own, with all that it heard over all of its streams. */
export class Hearing extends Heard {
  readonly #listener: Listener;

  constructor(report: Report, port: number, selection: readonly string[]) {
    super(report, selection);
    const [only] = selection;
    const single = selection.length === 1 && !only!.includes("*");
    const names = selection.map((name) => `channel=${name}`).join("&");
    const gaps = report.claim("a stream that comes back is told that nothing is missing, and no gap");
    const right = report.claim("streams are answered, and say what they may say");
    this.#listener = new Listener({
      port,
      path: single ? `/channel/${only}/stream` : `/stream?${names}`,
      ears: {
        message: ({ id, data }) => {
          right.check(true, () => "");
          this.hear(id, data);
        },
        told: (event, facts, id) => {
          if (event === "socket:gap") gaps.check(false, () => `${names} ${JSON.stringify(facts)}`);
          if (event !== "socket:open") return;
          const first = this.begins(id ?? "");
          gaps.check(facts["recovered"] === (first ? null : true), () => `${names} ${id} ${JSON.stringify(facts)}`);
        },
        fault: (why) => right.check(false, () => `${names}: ${why}`),
      },
    });
  }

  get opened(): number {
    return this.#listener.opened;
  }

  open(): void {
    this.#listener.open();
  }

  reset(againMs: number): void {
    this.#listener.reset(againMs);
  }

  close(): void {
    this.#listener.close();
  }
}
