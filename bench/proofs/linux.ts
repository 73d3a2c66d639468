import { readdirSync, readFileSync } from "node:fs";

const PAGE_KIB = 4;

/** The process' open descriptors. */
export function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Its resident memory. */
export function rssKiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kib === undefined) throw new Error(`/proc/${pid}/status tells no VmRSS`);
  return Number(kib);
}

/** What TCP holds in buffers, of all connections of the kernel: in every network namespace. */
export function tcpMemoryKiB(): number {
  const pages = /^TCP: .*\bmem (\d+)/m.exec(readFileSync("/proc/net/sockstat", "utf8"))?.[1];
  return Number(pages ?? 0) * PAGE_KIB;
}

/** One end of a connection, as the kernel has it. */
export interface Connection {
  /** The other end's. */
  readonly port: number;
  /** Sent by the process and not taken by the other end. */
  readonly queuedBytes: number;
}

/** TIME_WAIT: what is left of a connection that has ended, without buffers and without a descriptor. */
const TIME_WAIT = "06";
const LISTENING = "0A";

/** The accepted ends of all connections to a port of this machine, also those that no process has any more. */
export function connectionsTo(port: number): Connection[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  const found: Connection[] = [];
  for (const line of readFileSync("/proc/net/tcp", "utf8").split("\n").slice(1)) {
    const [, local, remote, state, queues] = line.trim().split(/\s+/);
    if (local === undefined || !local.endsWith(`:${wanted}`) || state === TIME_WAIT || state === LISTENING) continue;
    found.push({
      port: parseInt(remote!.slice(-4), 16),
      queuedBytes: parseInt(queues!.slice(0, queues!.indexOf(":")), 16),
    });
  }
  return found;
}
