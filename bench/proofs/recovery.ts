import { Listener } from "./listener.ts";
import type { Report } from "./report.ts";
import { pathOf } from "./selection.ts";

const LOOK_MS = 20;

/** One listener on each node, which tells when messages of each source are heard there again. */
export class Recovery {
  readonly #listeners: Listener[];
  /** Of each listener and source, when the newest message that was heard was first sent. */
  readonly #heard: Map<string, number>[];
  readonly #sources: readonly string[];

  constructor(
    report: Report,
    places: readonly { readonly port: number; readonly selection: readonly string[] }[],
    sources: readonly string[],
    app: string | null,
  ) {
    this.#sources = sources;
    this.#heard = places.map(() => new Map());
    const right = report.claim("streams are answered, and say what they may say");
    this.#listeners = places.map(({ port, selection }, nth) => {
      const path = pathOf(selection, app);
      return new Listener({
        port,
        path,
        ears: {
          message: ({ data }) => {
            const [series = "", , sentMs] = data.split(" ", 3);
            this.#heard[nth]!.set(series.split("/")[1]!, Number(sentMs));
          },
          told: () => undefined,
          fault: (why) => right.check(false, () => `${path}: ${why}`),
        },
      });
    });
  }

  open(): void {
    for (const listener of this.#listeners) listener.open();
  }

  close(): void {
    for (const listener of this.#listeners) listener.close();
  }

  /**
   * Resolves once every listener has heard, of every source, a message that was first sent after that time, with the
   * milliseconds since; with Infinity when it is given up before.
   */
  async since(beganMs: number, isGivenUp: (tookMs: number) => boolean): Promise<number> {
    for (;;) {
      const isBack = this.#heard.every((heard) => this.#sources.every((one) => (heard.get(one) ?? 0) > beganMs));
      const tookMs = performance.now() - beganMs;
      if (isBack) return tookMs;
      if (isGivenUp(tookMs)) return Infinity;
      await Bun.sleep(LOOK_MS);
    }
  }
}
