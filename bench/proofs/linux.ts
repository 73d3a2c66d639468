import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { median } from "../figure.ts";

const PAGE_KIB = 4;
const LOOKS = 100;

/** The process' open descriptors: connections (and what it listens on), and all others. */
export function descriptors(pid: number): { readonly sockets: number; readonly files: number } {
  const open = readdirSync(`/proc/${pid}/fd`)
    .map((fd) => target(pid, fd))
    .filter((one) => one !== "");
  const sockets = open.filter((one) => one.startsWith("socket:")).length;
  return { sockets, files: open.length - sockets };
}

/** Empty where it was closed meanwhile. */
function target(pid: number, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return "";
  }
}

/** Its resident memory. */
export function rssMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kib === undefined) throw new Error(`/proc/${pid}/status tells no VmRSS`);
  return Number(kib) / 1024;
}

/** Its resident memory over so many seconds: garbage collection moves it up and down. */
export async function memoryOver(pid: number, seconds: number) {
  const samples: number[] = [];
  for (let i = 0; i < LOOKS; i++) {
    await Bun.sleep((seconds * 1000) / LOOKS);
    samples.push(rssMiB(pid));
  }
  return { median: median(samples), least: Math.min(...samples), most: Math.max(...samples) };
}

/** What TCP holds in buffers, of all connections of the kernel: in every network namespace. */
export function tcpMemoryKiB(): number {
  const pages = /^TCP: .*\bmem (\d+)/m.exec(readFileSync("/proc/net/sockstat", "utf8"))?.[1];
  return Number(pages ?? 0) * PAGE_KIB;
}
