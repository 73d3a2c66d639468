import type { AppId, BrokerOptions, Listener } from "../broker.ts";
import { oneLine } from "../fault.ts";
import { messageOf, type Written } from "./messages.ts";

export interface HearingOptions extends Pick<BrokerOptions, "log"> {
  readonly listener: Listener;
  /** What was followed is void. Called before anything of what comes after. */
  readonly broken: () => void;
}

/**
 * What was announced of one app, handed over in order. All of it comes on one connection in the order in which it was
 * kept, some of it twice: on a message's channel and on the one for all.
 */
export class Hearing {
  readonly #app: AppId;
  readonly #options: HearingOptions;
  #epoch: string | null = null;
  /** Everything up to here was handed over. */
  #through = 0;

  constructor(app: AppId, options: HearingOptions) {
    this.#app = app;
    this.#options = options;
  }

  /** What comes from now on stands in no connection with what came before. */
  lost(): void {
    this.#epoch = null;
    this.#through = 0;
  }

  /** Messages were announced. Never throws. */
  messages(text: string): void {
    const [epoch, ...written] = JSON.parse(text) as [string, ...Written[]];
    this.epoch(epoch);
    const fresh = written.filter(([seq]) => seq > this.#through);
    if (fresh.length === 0) return;
    const messages = fresh.map((one) => messageOf(epoch, one));
    this.#through = messages.at(-1)!.seq;
    const { listener, log, broken } = this.#options;
    try {
      listener.deliver(this.#app, messages);
      listener.mark(this.#app, { epoch, seq: this.#through });
    } catch (error) {
      log("error", "a delivery failed", { app: this.#app, error: oneLine(error) });
      broken(); // what it missed is read from the store
    }
  }

  /** Everything up to here was announced before. */
  mark(epoch: string, seq: number): void {
    this.epoch(epoch);
    if (seq < this.#through) return;
    this.#through = seq;
    this.#options.listener.mark(this.#app, { epoch, seq });
  }

  /**
   * The head was read, of this epoch: whether it is the one that is heard of, which it is from now on where none was yet.
   * It may be older, or one whose beginning has not been heard of yet.
   */
  agrees(epoch: string): boolean {
    this.#epoch ??= epoch;
    return this.#epoch === epoch;
  }

  /** Another epoch than the one before: what is known of that one is void. */
  epoch(epoch: string): void {
    if (epoch === this.#epoch) return;
    const isNew = this.#epoch !== null;
    this.#epoch = epoch;
    this.#through = 0;
    if (isNew) this.#options.broken();
  }
}
