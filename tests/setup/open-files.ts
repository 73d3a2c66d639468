import { readdirSync, readlinkSync } from "node:fs";

/** The paths of the files that a process has open; none where the system does not tell. */
export function openFiles(pid: number): string[] {
  if (process.platform !== "linux") return [];
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // closed meanwhile
    }
  });
}
