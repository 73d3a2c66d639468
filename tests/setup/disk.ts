import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Gateway } from "./gateway.ts";
import { leaveOut } from "./programs.ts";

/** A way to keep a gateway's disk from taking writes while it runs. */
export interface DiskFault {
  readonly name: string;
  /** What the gateway is started under. */
  readonly under: readonly string[];
  /** The data is still there when the process has ended. */
  readonly lasts: boolean;
  begin(gateway: Gateway): void;
  end(gateway: Gateway): void;
}

/** Mounts something at the folder that is named first, in a namespace of its own, and makes way for the command behind. */
function mounted(script: string): readonly string[] {
  return ["unshare", "-rm", "sh", "-ec", `mkdir -p "$SOCKET_DATA"; ${script}; exec "$@"`, "sh"];
}

const SMALL_DISK = mounted('mount -t tmpfs -o size=4m tmpfs "$SOCKET_DATA"');

/** What a start finds when its disk takes nothing, or null where this machine cannot mount one. */
export function unwritable(): { readonly full: readonly string[]; readonly readOnly: readonly string[] } | null {
  if (!canMount()) return null;
  const fill =
    'mount -t tmpfs -o size=64k tmpfs "$SOCKET_DATA"; cat /dev/zero > "$SOCKET_DATA/filler" 2> /dev/null || true';
  return {
    full: mounted(fill),
    readOnly: mounted('mount --bind "$SOCKET_DATA" "$SOCKET_DATA"; mount -o remount,bind,ro "$SOCKET_DATA"'),
  };
}

/** Those that this machine can make; of the others it is told that their tests are left out. */
export function diskFaults(): readonly DiskFault[] {
  const found: DiskFault[] = [];
  if (canMount()) found.push(FULL);
  if (Bun.which("prlimit") !== null) found.push(LIMITED);
  else leaveOut("of files that may not grow", "there is no prlimit");
  if (canFreeze()) found.push(FROZEN);
  else leaveOut("of files that turn read-only", "chattr does not work here (it takes root and ext4)");
  return found;
}

/** A file system with no room left. */
const FULL: DiskFault = {
  name: "a full disk",
  under: SMALL_DISK,
  lasts: false,
  begin: (gateway) => {
    const filler = openSync(fillerOf(gateway), "w");
    try {
      for (let size = 65_536; size >= 1;) {
        try {
          writeSync(filler, Buffer.alloc(size));
        } catch {
          size = Math.floor(size / 2);
        }
      }
    } finally {
      closeSync(filler);
    }
  },
  end: (gateway) => rmSync(fillerOf(gateway)),
};

function fillerOf({ pid, folder }: Gateway): string {
  return join(`/proc/${pid}/root`, folder, "data", "filler");
}

/** The process may not make a file larger than its log is now: EFBIG, and a signal that ends a process by default. */
const LIMITED: DiskFault = {
  name: "a limit of the file's size",
  under: [],
  lasts: true,
  begin: ({ pid, folder }) => limit(pid, String(statSync(join(folder, "data", "messages.db-wal")).size)),
  end: ({ pid }) => limit(pid, "unlimited"),
};

function limit(pid: number, bytes: string): void {
  const { exitCode, stderr } = Bun.spawnSync(["prlimit", "--pid", String(pid), `--fsize=${bytes}:`]);
  if (exitCode !== 0) throw new Error(stderr.toString());
}

/** Nobody may write the log, also not who has it open: EPERM. */
const FROZEN: DiskFault = {
  name: "a file that has turned read-only",
  under: [],
  lasts: true,
  begin: ({ folder }) => chattr("+i", join(folder, "data", "messages.db-wal")),
  end: ({ folder }) => chattr("-i", join(folder, "data", "messages.db-wal")),
};

function chattr(how: string, path: string): void {
  const { exitCode, stderr } = Bun.spawnSync(["chattr", how, path]);
  if (exitCode !== 0) throw new Error(stderr.toString());
}

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "service-socket-mount-"));
  try {
    if (Bun.which("unshare") !== null) {
      const env = { PATH: process.env["PATH"] ?? "", SOCKET_DATA: folder };
      if (Bun.spawnSync([...SMALL_DISK, "true"], { env }).exitCode === 0) return true;
    }
    leaveOut("of full and read-only disks", "`unshare -rm` may not mount here");
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function canFreeze(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "service-socket-frozen-"));
  const file = join(folder, "file");
  writeFileSync(file, "");
  const open = openSync(file, "a");
  try {
    chattr("+i", file);
    try {
      writeSync(open, "x"); // older kernels look only when a file is opened
      return false;
    } catch {
      return true;
    } finally {
      chattr("-i", file);
    }
  } catch {
    return false;
  } finally {
    closeSync(open);
    rmSync(folder, { recursive: true });
  }
}
