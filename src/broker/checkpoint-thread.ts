/**
 * The thread that moves the write-ahead log into the file: it copies pages and waits for the disk, which took 20 to
 * 500 ms on a busy one, while the event loop goes on. Answers every message that names the file with one checkpoint:
 * null when it was made, else what failed. A message of null ends it.
 */
import { Database } from "bun:sqlite";
import { parentPort } from "node:worker_threads";

let db: Database | null = null;

parentPort?.on("message", (path: string | null) => {
  if (path === null) {
    db?.close();
    parentPort?.close();
    return;
  }
  let failed: string | null = null;
  try {
    if (db === null) {
      db = new Database(path, { create: false, readwrite: true });
      db.run("PRAGMA synchronous = NORMAL");
    }
    // passive: waits for nobody, and nobody waits for it
    db.run("PRAGMA wal_checkpoint(PASSIVE)");
  } catch (error) {
    failed = String(error);
  }
  parentPort?.postMessage(failed, []);
});
