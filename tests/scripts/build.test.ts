import { expect, test } from "bun:test";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Gateway, publish, publishAll } from "../setup/gateway.ts";

const ROOT = join(import.meta.dir, "..", "..");

/** What is more than the store's log holds before it is moved into its file. */
const BATCHES = 30;
const BATCH = Array.from({ length: 15 }, (_, i) => ({ channel: `c${i}`, data: "x".repeat(60_000) }));

test("the single file serves by itself, with its threads, and takes no settings from the folder where it runs", async () => {
  const folder = await mkdtemp(join(tmpdir(), "service-socket-build-"));
  try {
    const program = join(folder, "service-socket");
    const { exitCode, stderr } = Bun.spawnSync([process.execPath, "scripts/build.ts", "--outfile", program], {
      cwd: ROOT,
    });
    expect(stderr.toString()).toBe("");
    expect(exitCode).toBe(0);
    await writeFile(join(folder, ".env"), "SOCKET_RETRY=no-duration\n");

    await using gateway = new Gateway(await mkdtemp(join(folder, "run-")), { program });
    await writeFile(join(gateway.folder, ".env"), "SOCKET_RETRY=no-duration\n");
    await gateway.start();
    for (let i = 0; i < BATCHES; i++) await publishAll(gateway, BATCH);
    const database = join(gateway.folder, "data", "messages.db");
    while ((await stat(database)).size < 8 * 1024 * 1024) await publish(gateway, { channel: "clock" });
    await gateway.kill();
    await gateway.start();
    const { id } = await publish(gateway, { channel: "news" });
    expect(Number(id.split("-")[1])).toBeGreaterThan(BATCHES * BATCH.length);
    expect(gateway.output).not.toContain('"level":50');
    expect(await gateway.stop()).toBe(0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 60_000);
