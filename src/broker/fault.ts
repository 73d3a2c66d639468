import { ApiError } from "../core/errors.ts";
import type { BrokerOptions } from "./broker.ts";

/** What a fault is called when it begins and when it is over. */
export interface FaultLines {
  readonly begins: string;
  readonly over: string;
  /** It is over once it was asked so often, about once a second, without a failure between. */
  readonly quietLooks: number;
}

/** Something of the store that fails: told once when it begins and once when it is over, however often it fails. */
export class Fault {
  readonly #lines: FaultLines;
  readonly #options: Pick<BrokerOptions, "log" | "now">;
  #sinceMs: number | null = null;
  #quiet = 0;

  constructor(lines: FaultLines, options: Pick<BrokerOptions, "log" | "now">) {
    this.#lines = lines;
    this.#options = options;
  }

  failed(error: unknown): void {
    this.#quiet = 0;
    if (this.#sinceMs !== null) return;
    this.#sinceMs = this.#options.now();
    this.#options.log("error", this.#lines.begins, { error: oneLine(error) });
  }

  /** True when it is over since now. */
  look(): boolean {
    if (this.#sinceMs === null || ++this.#quiet < this.#lines.quietLooks) return false;
    this.#options.log("info", this.#lines.over, { lasted_ms: this.#options.now() - this.#sinceMs });
    this.#sinceMs = null;
    return true;
  }
}

export function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ");
}

export function unavailable(): ApiError {
  return new ApiError("unavailable", "The store cannot be read or written now.");
}
