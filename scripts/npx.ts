/**
 * Ends the server with its npx.
 *
 * npx runs its command below `sh -c`, and hands SIGTERM to that shell alone: the shell ends (dash does not hand it on),
 * and a server that nobody knows of would keep the port. So a server that stands below npm looks whether the processes
 * between them are still there, and else takes it as a SIGTERM: it drains and exits. On Linux only; the `sh` of other
 * systems makes way for the command.
 */
import { readFileSync } from "node:fs";

const LOOK_MS = 500;
/** Between npm and the server stand a shell and `bun start`. */
const FARTHEST = 4;

/** A process's name and parent, from `pid (name) state ppid …` (proc(5)); null where there is none. */
function look(pid: number): { name: string; parent: number } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const end = stat.lastIndexOf(")"); // a name may hold parentheses itself
    return { name: stat.slice(stat.indexOf("(") + 1, end), parent: Number(stat.slice(end + 2).split(" ")[1]) };
  } catch {
    return null;
  }
}

/** From this process up to the npm that it stands below; empty when there is none. */
function chainToNpm(): readonly number[] {
  const chain = [process.pid];
  for (let parent = process.ppid; chain.length <= FARTHEST;) {
    const above = look(parent);
    if (above === null) return [];
    chain.push(parent);
    if (above.name.startsWith("npm ")) return chain;
    parent = above.parent;
  }
  return [];
}

const chain = chainToNpm();
if (chain.length > 0) {
  const timer = setInterval(() => {
    if (chain.every((pid, i) => i === chain.length - 1 || look(pid)?.parent === chain[i + 1])) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, LOOK_MS);
  timer.unref();
}
