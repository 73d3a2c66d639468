import { existsSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dir, "..");

/**
 * Brings `node_modules` to what the lockfile says; takes some milliseconds and no network when it is that already.
 * Quiet unless it takes long or fails; a failure ends the process. `production` leaves out what only tests need, but
 * removes none of it.
 */
export function install(dependencies: "all" | "production"): void {
  if (!existsSync(join(ROOT, "node_modules"))) console.error("Installing what is missing …");
  const only = dependencies === "production" ? ["--production"] : [];
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, "install", "--frozen-lockfile", ...only], {
    cwd: ROOT,
    stdin: "ignore",
  });
  if (exitCode === 0) return;
  process.stderr.write(stdout);
  process.stderr.write(stderr);
  process.exit(exitCode);
}
