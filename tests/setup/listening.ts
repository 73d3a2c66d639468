import type { Page } from "playwright-core";

/** One message as the page's EventSource had it. */
export interface Seen {
  readonly data: string;
  readonly id: string;
}

interface Listener {
  readonly seen: Seen[];
  readonly source: EventSource;
}

/** An EventSource that runs in a page of a real browser. */
export class Listening {
  readonly #page: Page;

  private constructor(page: Page) {
    this.#page = page;
  }

  /** Opens the address in the page; `events` are names beside `message`. Resolves when it was asked for, not opened. */
  static async open(
    page: Page,
    address: string,
    events: readonly string[] = [],
    withCredentials = false,
  ): Promise<Listening> {
    await page.evaluate(
      ([url, names, credentials]) => {
        const source = new EventSource(url, { withCredentials: credentials });
        const listener: Listener = { seen: [], source };
        for (const name of ["message", ...names]) {
          source.addEventListener(name, (event) => {
            const { data, lastEventId } = event as MessageEvent<string>;
            listener.seen.push({ data, id: lastEventId });
          });
        }
        Object.assign(globalThis, { listener });
      },
      [address, events, withCredentials] as const,
    );
    return new Listening(page);
  }

  /** Resolves once the EventSource is in this state: 0 connecting, 1 open, 2 given up for good. */
  async untilState(state: 0 | 1 | 2): Promise<void> {
    await this.#page.waitForFunction(
      (wanted) => (globalThis as unknown as { listener: Listener }).listener.source.readyState === wanted,
      state,
    );
  }

  /** Resolves with all that was seen, once it is at least so many. */
  async until(count: number): Promise<readonly Seen[]> {
    await this.#page.waitForFunction(
      (wanted) => (globalThis as unknown as { listener: Listener }).listener.seen.length >= wanted,
      count,
    );
    return this.#page.evaluate(() => (globalThis as unknown as { listener: Listener }).listener.seen);
  }
}
