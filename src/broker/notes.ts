import type { AppId, Note } from "./broker.ts";
import type { Query, Statements } from "./statements.ts";
import type { Store } from "./store.ts";

/** The notes of all apps, in the file. They are few, and read only when the process starts. */
export class Notes {
  readonly #store: Store;
  readonly #all: Query<[string, string, string, number]>;
  readonly #insert: Query<[]>;
  readonly #old: Query<[number]>;
  readonly #drop: Query<[]>;

  constructor(store: Store, statements: Statements) {
    this.#store = store;
    this.#all = statements.prepare(
      "SELECT apps.name, key, value, until FROM notes JOIN apps ON apps.id = notes.app WHERE until >= ?",
    );
    this.#insert = statements.prepare("INSERT OR REPLACE INTO notes (app, key, value, until) VALUES (?, ?, ?, ?)");
    this.#old = statements.prepare("SELECT id FROM notes WHERE until < ? ORDER BY until LIMIT ?");
    this.#drop = statements.prepare("DELETE FROM notes WHERE id = ?");
  }

  /** Every note that holds still, with its app. */
  all(now: number): readonly (readonly [AppId, Note])[] {
    return this.#all.rows(now).map(([app, key, value, until]) => [app, { key, value, until }]);
  }

  keep(app: AppId, { key, value, until }: Note): void {
    this.#store.transaction(() => this.#insert.run(this.#store.history(app).id, key, value, until));
  }

  /** Forgets at most `limit` notes that hold no more, within a transaction; answers how many. */
  trim(now: number, limit: number): number {
    const rows = this.#old.rows(now, limit);
    for (const [id] of rows) this.#drop.run(id);
    return rows.length;
  }
}
