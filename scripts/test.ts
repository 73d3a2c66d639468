/**
 * `bun run test`: installs what is missing, programs too where it is root on Debian, runs every test that can run here,
 * and ends with the line `N passed, N failed`. Arguments are those of `bun test`.
 */
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ASKED, find, type ProgramName, PROGRAMS } from "../tests/setup/programs.ts";
import { install, ROOT } from "./install.ts";

install("all");
installPrograms();
process.exit(await runTests(process.argv.slice(2)));

function installPrograms(): void {
  const missing = (Object.keys(PROGRAMS) as ProgramName[]).filter((name) => find(name) === null);
  if (missing.length === 0 || !isRootOnDebian()) return;
  const packages = missing.flatMap((name) => PROGRAMS[name].packages);
  console.error(`Installing ${packages.join(", ")} …`);
  const failed =
    aptGet("update", "--quiet") ?? aptGet("install", "--quiet", "--yes", "--no-install-recommends", ...packages);
  // No reason to stop: their tests are left out then, and the run says so.
  if (failed !== null) console.error(failed);
}

/** Null when it worked, else all that it said. */
function aptGet(...args: string[]): string | null {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["apt-get", ...args], {
    stdin: "ignore",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  return exitCode === 0
    ? null
    : `apt-get ${args.join(" ")} ended with ${exitCode}:\n${stdout.toString()}${stderr.toString()}`;
}

function isRootOnDebian(): boolean {
  if (process.getuid?.() !== 0 || Bun.which("apt-get") === null || !existsSync("/etc/os-release")) return false;
  return /^ID=debian$/m.test(readFileSync("/etc/os-release", "utf8"));
}

/** Resolves with the exit code. */
async function runTests(args: readonly string[]): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "service-socket-test-"));
  const report = join(folder, "report.xml");
  try {
    const child = Bun.spawn([process.execPath, "test", "--reporter=junit", `--reporter-outfile=${report}`, ...args], {
      cwd: ROOT,
      stdio: ["inherit", "inherit", "inherit"],
      env: { ...process.env, [ASKED]: "1" },
    });
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => child.kill(signal));
    const exitCode = await child.exited;
    console.log(`\n${totals(report, exitCode)}`);
    return exitCode;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The run's totals, from its report. A run that failed beside its tests, or broke off, counts as one failure. */
function totals(report: string, exitCode: number): string {
  const head = existsSync(report) ? (/<testsuites[^>]*>/.exec(readFileSync(report, "utf8"))?.[0] ?? "") : "";
  const count = (name: string) => Number(new RegExp(` ${name}="([0-9]+)"`).exec(head)?.[1] ?? 0);
  const skipped = count("skipped");
  const failed = count("failures");
  const passed = count("tests") - failed - skipped;
  const line = `${passed} passed, ${exitCode === 0 ? failed : Math.max(failed, 1)} failed`;
  return skipped === 0 ? line : `${line}, ${skipped} skipped`;
}
