import { readFileSync } from "node:fs";
import { join } from "node:path";
import { track } from "../process.ts";

/** The largest send buffer of a connection in this network namespace: the third number of `tcp_wmem`. */
export function sendBufferBytes(): number {
  return Number(readFileSync("/proc/sys/net/ipv4/tcp_wmem", "utf8").trim().split(/\s+/)[2]);
}

const UP = 'ip link set lo up && echo "4096 16384 $1" >/proc/sys/net/ipv4/tcp_wmem';

/**
 * Runs a proof once more, in a network namespace of its own with that as the largest send buffer. Resolves with its exit
 * code, or with the reason why this machine cannot do it.
 */
export async function proveWithSendBuffer(bytes: number, args: readonly string[]): Promise<number | string> {
  const inside = (script: string, ...rest: string[]) => [
    "unshare",
    "-rn",
    "sh",
    "-c",
    script,
    "sh",
    String(bytes),
    ...rest,
  ];
  if (Bun.which("unshare") === null || Bun.which("ip") === null) return "`unshare` or `ip` is not there";
  const { exitCode, stderr } = Bun.spawnSync(inside(UP));
  if (exitCode !== 0) return `no network namespace can be made here: ${stderr.toString().trim()}`;
  const program = [process.execPath, join(import.meta.dir, "run.ts"), ...args];
  const child = track(
    Bun.spawn(inside(`${UP} && shift && exec "$@"`, ...program), {
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
    }),
  );
  return await child.exited;
}
