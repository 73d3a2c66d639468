import type { Database } from "bun:sqlite";
import type { BrokerOptions } from "./broker.ts";
import { Fault, unavailable } from "./fault.ts";

/** After how many looks publishes are tried again that a damaged page kept from being stored. */
const DAMAGED_LOOKS = 30;

const LINES = {
  begins: "the store does not take messages: publishes are refused until it does",
  over: "the store takes messages again",
  quietLooks: 2,
};

/** As much as one transaction of publishes: on a disk that is nearly full less would be taken, and they would fail again. */
const TRIAL = [
  "INSERT OR REPLACE INTO notes (app, key, value, until) VALUES (0, 'trial', hex(zeroblob(524288)), 0)",
  "DELETE FROM notes WHERE app = 0",
];

const CHECK = ["UPDATE node SET checked = checked + 1"];

/**
 * Whether the file takes what is published. When it did not, nothing is tried until a look, once a second, finds that it
 * does: after each failure what is held of the apps is read anew.
 */
export class Writes {
  readonly #db: Database;
  readonly #options: BrokerOptions;
  readonly #fault: Fault;
  #refusing = false;
  /** A page that a publish needed is damaged: only one that is kept shows that it is not any more. */
  #damaged = false;
  #looks = 0;

  constructor(db: Database, options: BrokerOptions) {
    this.#db = db;
    this.#options = options;
    this.#fault = new Fault(LINES, options);
  }

  /** Nothing is to be tried. */
  get refusing(): boolean {
    return this.#refusing;
  }

  failed(error: unknown): void {
    const code = String((error as { code?: unknown }).code);
    this.#refusing = code.startsWith("SQLITE_");
    if (code.startsWith("SQLITE_CORRUPT")) this.#damaged = true;
    this.#fault.failed(error);
  }

  /** Publishes were stored. */
  kept(): void {
    this.#damaged = false;
  }

  /** To be called about once a second. */
  look(): void {
    if (this.#refusing && (!this.#damaged || ++this.#looks % DAMAGED_LOOKS === 0)) this.#try(TRIAL);
    if (!this.#refusing && !this.#damaged && this.#fault.look()) this.#options.reconnected?.();
  }

  /** Throws ApiError `unavailable` when the file takes no publish now: only a write shows it. */
  check(): void {
    if (!this.#damaged) this.#try(this.#refusing ? TRIAL : CHECK);
    if (this.#refusing || this.#damaged) throw unavailable();
  }

  #try(statements: readonly string[]): void {
    try {
      for (const statement of statements) this.#db.run(statement);
      this.#refusing = false;
    } catch (error) {
      this.failed(error);
    }
  }
}
