import { Heard } from "./heard.ts";
import { Listener } from "./listener.ts";
import type { Port } from "./port.ts";
import type { Report } from "./report.ts";
import { pathOf } from "./selection.ts";

/** A listener of our own, with all that it heard over all of its streams. */
export class Hearing extends Heard {
  readonly #listener: Listener;

  constructor(report: Report, port: Port, selection: readonly string[]) {
    super(report, selection);
    const path = pathOf(selection);
    const gaps = report.claim("a stream that comes back is told that nothing is missing, and no gap");
    const right = report.claim("streams are answered, and say what they may say");
    this.#listener = new Listener({
      port,
      path,
      ears: {
        message: ({ id, data }) => {
          right.check(true, () => "");
          this.hear(id, data);
        },
        told: (event, facts, id) => {
          if (event === "socket:gap") gaps.check(false, () => `${path} ${JSON.stringify(facts)}`);
          if (event !== "socket:open") return;
          const first = this.begins(id ?? "");
          gaps.check(facts["recovered"] === (first ? null : true), () => `${path} ${id} ${JSON.stringify(facts)}`);
        },
        fault: (why) => right.check(false, () => `${path}: ${why}`),
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
