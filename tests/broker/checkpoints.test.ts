import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { Checkpoints } from "../../src/broker/checkpoints.ts";
import { Settings, folder } from "./fixture.ts";

test("a checkpoint that fails is told once, holds up no commit, and is over with the next that is made", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const link = join(kept.path, "link.db"); // by which the thread finds the store, once it is there
  using db = new Database(path, { create: true });
  db.run("PRAGMA journal_mode = WAL");
  db.run("CREATE TABLE t (x)");
  const { size } = statSync(path);
  const settings = new Settings();
  let resumed = Promise.withResolvers<void>();
  const checkpoints = new Checkpoints(link, db, settings, () => resumed.resolve());

  const grow = async (): Promise<void> => {
    resumed = Promise.withResolvers();
    checkpoints.wrote(0, 0, 10_000);
    await resumed.promise;
    expect(checkpoints.held).toBe(false);
  };
  await grow();
  await grow();
  expect(settings.logged).toEqual(["error: the store's log is not moved into its file, and grows"]);
  expect(statSync(path).size).toBe(size); // all is in the log still

  symlinkSync(path, link);
  await grow();
  await grow();
  expect(settings.logged.slice(1)).toEqual(["info: the store's log is moved into its file again"]);
  expect(statSync(path).size).toBeGreaterThan(size);
  await checkpoints.close();
});
