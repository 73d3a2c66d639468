import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { KEEP } from "./build.ts";

/** The longest that a program of the bench lives, whatever happens to the bench; a proof gives a life of its own. */
export const LIFE_S = 1800;

const running = new Set<Subprocess>();
const folders = new Set<string>();
const owned = new Set<AsyncDisposable>();

/** A folder that is removed when the bench ends. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "service-socket-bench-"));
  folders.add(made);
  return made;
}

/** What a process needs beside its sockets: the server keeps a fifth of its descriptors free of streams. */
export const SPARE = 1.26;

/** The hard one, to which the programs that are started here raise theirs. */
export function descriptorLimit(): number {
  const line = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  return line?.[1] === undefined || line[1] === "unlimited" ? Number.POSITIVE_INFINITY : Number(line[1]);
}

/** A port of 127.0.0.1 that nobody listens on. */
export function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const port = probe.port;
  probe.stop(true);
  return port;
}

/** Starts a program that ends with the bench, at the latest after `lifeS`. What it prints goes to `log`. */
export function start(
  command: readonly string[],
  env: Record<string, string>,
  log: string,
  lifeS: number = LIFE_S,
): Subprocess {
  const child = Bun.spawn([KEEP, String(lifeS), ...command], {
    cwd: join(import.meta.dir, ".."),
    env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "/", ...env },
    stdin: "ignore",
    stdout: Bun.file(log),
    stderr: Bun.file(`${log}.err`),
  });
  return track(child);
}

/** Makes sure that a program is ended with the bench. */
export function track<T extends Subprocess>(child: T): T {
  running.add(child);
  void child.exited.then(() => running.delete(child));
  return child;
}

/** Makes sure that something is disposed of with the bench, if it was not before. */
export function own<T extends AsyncDisposable>(thing: T): T {
  owned.add(thing);
  return thing;
}

/** Ends a program by its id: politely, and after two seconds for certain. */
export async function end(child: Subprocess): Promise<void> {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 2000);
  await child.exited;
  clearTimeout(timer);
}

/** Ends all that still runs and removes what was made. */
export async function endAll(): Promise<void> {
  await Promise.all([...running].map(end));
  await Promise.all([...owned].map((thing) => thing[Symbol.asyncDispose]()));
  owned.clear();
  for (const made of folders) rmSync(made, { recursive: true, force: true });
  folders.clear();
}

/** The process and everything below it, as a comma list. */
export function family(pid: number): string {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // It ended while the list was read.
    }
  }
  const members = [pid];
  for (const member of members)
    for (const [child, parent] of parents) if (parent === member && !members.includes(child)) members.push(child);
  return members.join(",");
}

/** Of a second. */
const TICKS = 100;

/** The CPU time of the processes, as far as they still run. */
export function cpuSeconds(pids: string): number {
  return ticks(pids) / TICKS;
}

/** The CPU time of the processes in ticks of the kernel, as far as they still run. */
function ticks(pids: string): number {
  let sum = 0;
  for (const pid of pids.split(",")) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      sum += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It ended.
    }
  }
  return sum;
}

/**
 * Waits until the processes have used no CPU for 60 ms, at most two seconds: closing thousands of streams takes a
 * server a while, and would be counted to the next that is measured.
 */
export async function quiet(pids: string): Promise<void> {
  let before = ticks(pids);
  for (let look = 0, still = 0; look < 66 && still < 2; look++) {
    await Bun.sleep(30);
    const now = ticks(pids);
    still = now === before ? still + 1 : 0;
    before = now;
  }
}

/** Asks until the address answers 200, for at most a minute; throws with what the program said otherwise. */
export async function ready(child: Subprocess, address: string, log: string): Promise<void> {
  const until = performance.now() + 60_000;
  while (performance.now() < until && child.exitCode === null) {
    try {
      const answer = await fetch(address, { signal: AbortSignal.timeout(1000), keepalive: false });
      await answer.arrayBuffer();
      if (answer.ok || address.endsWith("/")) return; // any answer to "/" shows that it listens
    } catch {
      // Not listening yet.
    }
    await Bun.sleep(25);
  }
  const said = [log, `${log}.err`].map((path) => readFileSync(path, "utf8").slice(-2000)).join("");
  throw new Error(`${address} did not get ready (exit ${child.exitCode}): ${said}`);
}
