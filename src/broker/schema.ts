import { Database } from "bun:sqlite";

/** "SSck": says that a file is ours before anything in it is touched. */
const APPLICATION_ID = 0x5353636b;

/** How long a statement waits for a tool that has the file open, such as one that makes a backup. */
const BUSY_MS = 500;

/**
 * The way from each version of the file to the next; `user_version` counts those that were taken. A step that was
 * released is never changed: a new one is added.
 *
 * `ordinal` and `volume` count a channel's messages and their bytes from its first one ever, so that what a channel
 * keeps follows from its ends and no row of the channel is written when a message is. Why there are `spans`, and why the
 * index begins with `seq >> 12`, is said in `places.ts`, which reads them.
 */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE node (
     one INTEGER PRIMARY KEY CHECK (one = 1),
     clean INTEGER NOT NULL,
     boot TEXT,
     synchronous TEXT NOT NULL,
     checked INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE TABLE apps (
     id INTEGER PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     epoch TEXT NOT NULL,
     start INTEGER NOT NULL,
     preceding_epoch TEXT,
     preceding_end INTEGER,
     floor INTEGER NOT NULL,
     head INTEGER NOT NULL,
     time INTEGER NOT NULL,
     bytes INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE channels (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     app INTEGER NOT NULL,
     name TEXT NOT NULL,
     first INTEGER NOT NULL,
     trimmed INTEGER NOT NULL DEFAULT 0,
     dropped INTEGER NOT NULL DEFAULT 0,
     dropped_bytes INTEGER NOT NULL DEFAULT 0,
     last INTEGER NOT NULL DEFAULT 0,
     UNIQUE (app, name)
   ) STRICT;
   CREATE TABLE messages (
     app INTEGER NOT NULL,
     seq INTEGER NOT NULL,
     channel INTEGER NOT NULL,
     ordinal INTEGER NOT NULL,
     volume INTEGER NOT NULL,
     time INTEGER NOT NULL,
     json INTEGER NOT NULL,
     event TEXT,
     data TEXT NOT NULL,
     PRIMARY KEY (app, seq)
   ) STRICT, WITHOUT ROWID;
   CREATE UNIQUE INDEX messages_by_channel ON messages (seq >> 12, channel, seq);
   CREATE TABLE spans (
     channel INTEGER NOT NULL,
     span INTEGER NOT NULL,
     PRIMARY KEY (channel, span)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE keys (
     id INTEGER PRIMARY KEY,
     app INTEGER NOT NULL,
     key TEXT NOT NULL,
     digest TEXT NOT NULL,
     epoch TEXT NOT NULL,
     seq INTEGER NOT NULL,
     subscribers TEXT NOT NULL,
     time INTEGER NOT NULL,
     UNIQUE (app, key)
   ) STRICT;
   CREATE INDEX keys_by_time ON keys (time);`,
  `CREATE TABLE notes (
     id INTEGER PRIMARY KEY,
     app INTEGER NOT NULL,
     key TEXT NOT NULL,
     value TEXT NOT NULL,
     until INTEGER NOT NULL,
     UNIQUE (app, key)
   ) STRICT;
   CREATE INDEX notes_by_time ON notes (until);`,
];

export interface OpenOptions {
  readonly synchronous: "normal" | "full";
  /** Names this run of the kernel; null where there is no telling. */
  readonly boot: string | null;
  readonly newEpoch: () => string;
  /** Told once when what the last run acknowledged may be lost, and every app begins a new epoch. */
  readonly renewed: () => void;
}

/**
 * Opens the file, whose lock is held, brings it to this version, and notes that a run began. Throws what `explain` takes.
 */
export function openDatabase(path: string, options: OpenOptions): Database {
  let db: Database | undefined;
  try {
    db = new Database(path, { create: true, readwrite: true });
    db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    identify(db, path);
    db.run("PRAGMA journal_mode = WAL");
    db.run("PRAGMA synchronous = FULL"); // what marks a run must not be lost with the run
    db.run("PRAGMA cache_size = -32768");
    migrate(db);
    begin(db, options);
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    db.run(`PRAGMA synchronous = ${options.synchronous}`);
    db.run("PRAGMA journal_size_limit = 67108864");
    return db;
  } catch (error) {
    db?.close();
    throw error;
  }
}

/** Marks the end of a run in which nothing was lost, and closes the file. */
export function closeDatabase(db: Database): void {
  try {
    db.run("PRAGMA synchronous = FULL");
    db.run("UPDATE node SET clean = 1");
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    db.close();
  }
}

class Refusal extends Error {}

function numberOf(db: Database, sql: string): number {
  return Number(db.query(sql).values()[0]?.[0] ?? 0);
}

function identify(db: Database, path: string): void {
  const version = numberOf(db, "PRAGMA user_version");
  const empty = numberOf(db, "SELECT count(*) FROM sqlite_schema") === 0;
  if (!empty && numberOf(db, "PRAGMA application_id") !== APPLICATION_ID) {
    throw new Refusal(`The store ${path} is the database of another program.`);
  }
  if (version > MIGRATIONS.length) {
    throw new Refusal(
      `The store ${path} was written by a newer version (its schema is ${version}, this version knows ${MIGRATIONS.length}).`,
    );
  }
}

function migrate(db: Database): void {
  for (let version = numberOf(db, "PRAGMA user_version"); version < MIGRATIONS.length; version++) {
    db.transaction(() => {
      db.run(MIGRATIONS[version]!);
      db.run(`PRAGMA application_id = ${APPLICATION_ID}`);
      db.run(`PRAGMA user_version = ${version + 1}`);
    }).immediate();
  }
}

function begin(db: Database, { synchronous, boot, newEpoch, renewed }: OpenOptions): void {
  db.transaction(() => {
    const last = db.query("SELECT clean, boot, synchronous FROM node").values()[0];
    const rolledBack =
      last !== undefined && last[0] === 0 && last[2] === "normal" && (boot === null || last[1] !== boot);
    if (rolledBack) {
      const renew = db.query(
        "UPDATE apps SET preceding_epoch = epoch, preceding_end = head, start = head, epoch = ? WHERE id = ?",
      );
      for (const [id] of db.query("SELECT id FROM apps").values()) renew.run(newEpoch(), id as number);
      renewed();
    }
    db.query("INSERT OR REPLACE INTO node (one, clean, boot, synchronous) VALUES (1, 0, ?, ?)").run(boot, synchronous);
  }).immediate();
}

/** An Error whose message is one line: the file is another program's, broken, not to be written, or of a newer version. */
export function explain(error: unknown, path: string): Error {
  if (error instanceof Refusal) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  const reason = String(message).replaceAll(/\s+/g, " ");
  switch (String(code).replace(/^(SQLITE_[A-Z]+)_.*/, "$1")) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
    case "SQLITE_READONLY":
      return new Error(`The store ${path} cannot be written: it, or what belongs to it, is read-only for this user.`, {
        cause: error,
      });
    case "SQLITE_CANTOPEN":
      return new Error(`The store ${path} cannot be opened: it, or its folder, is not open to this user.`, {
        cause: error,
      });
    case "SQLITE_FULL":
      return new Error(`The store ${path} cannot be written: the disk is full.`, { cause: error });
    case "SQLITE_BUSY":
      return new Error(`The store ${path} is in use by another process.`, { cause: error });
    case "SQLITE_NOTADB":
      return new Error(`The store ${path} is no database.`, { cause: error });
    case "SQLITE_CORRUPT":
      return new Error(`The store ${path} is damaged: ${reason}.`, { cause: error });
    default:
      return new Error(`The store ${path} cannot be opened: ${reason}.`, { cause: error });
  }
}
