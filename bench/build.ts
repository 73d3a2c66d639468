import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Where everything that the bench makes is put; not under version control. */
export const BUILD = join(import.meta.dir, ".build");

export const LOAD = join(BUILD, "load");
/** All that the load generator said, a line a run, so that a surprising figure can be looked into. */
export const RUNS = join(BUILD, "runs.jsonl");
export const KEEP = join(BUILD, "keep");

/** Only what is missing or older than its parts: another run may be using it. */
function compile(to: string, parts: string[]): void {
  const changedMs = Math.max(...parts.map((part) => statSync(part).mtimeMs));
  if (existsSync(to) && statSync(to).mtimeMs > changedMs) return;
  const done = Bun.spawnSync([
    "cc",
    "-O2",
    "-Wall",
    "-Wextra",
    "-o",
    to,
    ...parts.filter((part) => part.endsWith(".c")),
  ]);
  if (done.exitCode !== 0) throw new Error(`cc failed on ${to}:\n${done.stderr.toString()}`);
}

/** Compiles the load generator and `keep`. False when there is no C compiler. Throws when compiling fails. */
export function build(): boolean {
  if (Bun.which("cc") === null) return false;
  mkdirSync(BUILD, { recursive: true });
  const folder = join(import.meta.dir, "load");
  compile(
    LOAD,
    readdirSync(folder).map((name) => join(folder, name)),
  );
  compile(KEEP, [join(import.meta.dir, "keep.c")]);
  return existsSync(LOAD) && existsSync(KEEP);
}
