import { dlopen, ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The switch of a listening socket. It must not be used once the socket is closed. */
export interface Accepting {
  /** New connections wait in the kernel's queue; those that are open go on. False when that cannot be. */
  pause(): boolean;
  resume(): boolean;
}

/**
 * Calls `listen`, which opens one listening socket in this turn, and gives the switch of it; null where there is none,
 * which is anywhere but on Linux. Throws what `listen` throws.
 *
 * The runtime has no such switch: `server.stop()` closes what is idle and refuses what comes. So the socket is taken
 * out of the event loop's epoll and put back as it was, as nginx does when descriptors run out
 * (`ngx_disable_accept_events`).
 */
export function acceptingOf(listen: () => void): Accepting | null {
  const before = new Set(polledSockets().map(({ fd }) => fd));
  listen();
  const [socket, ...others] = polledSockets().filter(({ fd }) => !before.has(fd));
  const control = epollControl();
  if (socket === undefined || others.length > 0 || control === null) return null;
  const { epoll, fd, event } = socket;
  return {
    pause: () => control(epoll, EPOLL_CTL_DEL, fd, ptr(event)) === 0,
    resume: () => control(epoll, EPOLL_CTL_ADD, fd, ptr(event)) === 0,
  };
}

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;

interface Polled {
  readonly epoll: number;
  readonly fd: number;
  /** The `struct epoll_event` with which the runtime added it. */
  readonly event: Uint8Array;
}

/** The sockets in all epoll sets of this process; none where the system does not tell. */
function polledSockets(): Polled[] {
  try {
    const links = new Map(readdirSync("/proc/self/fd").map((fd) => [Number(fd), linkOf(fd)]));
    const epolls = [...links].filter(([, link]) => link === "anon_inode:[eventpoll]");
    return epolls
      .flatMap(([epoll]) => polledIn(epoll))
      .filter(({ fd }) => links.get(fd)?.startsWith("socket:") === true);
  } catch {
    return []; // no /proc
  }
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return ""; // the one by which the folder itself was read
  }
}

/** proc_pid_fdinfo(5) has the line. */
function polledIn(epoll: number): Polled[] {
  const info = readFileSync(`/proc/self/fdinfo/${epoll}`, "utf8");
  return [...info.matchAll(/^tfd: *(\d+) events: *([0-9a-f]+) data: *([0-9a-f]+)/gm)].map(([, fd, events, data]) => ({
    epoll,
    fd: Number(fd),
    event: eventOf(events!, data!),
  }));
}

/** The struct is packed on x86-64 and nowhere else (epoll_ctl(2), <sys/epoll.h>). */
function eventOf(events: string, data: string): Uint8Array {
  const event = new DataView(new ArrayBuffer(16));
  event.setUint32(0, Number.parseInt(events, 16), true);
  event.setBigUint64(process.arch === "x64" ? 4 : 8, BigInt(`0x${data}`), true);
  return new Uint8Array(event.buffer);
}

type EpollControl = (epoll: number, operation: number, fd: number, event: ReturnType<typeof ptr>) => number;

/** Of the C library that the runtime has loaded already, glibc's or musl's. */
function epollControl(): EpollControl | null {
  const types = { epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" } } as const;
  const musl = `libc.musl-${process.arch === "x64" ? "x86_64" : "aarch64"}.so.1`;
  for (const name of ["libc.so.6", musl]) {
    try {
      return dlopen(name, types).symbols.epoll_ctl;
    } catch {
      continue;
    }
  }
  return null;
}
