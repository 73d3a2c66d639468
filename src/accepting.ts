import { dlopen, ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/**
 * The listening socket of a server, in the hands of this process and not of its runtime alone. It must not be used once
 * the socket is closed.
 */
export interface Accepting {
  /** New connections wait in the kernel's queue; those that are open go on. False when that cannot be. */
  pause(): boolean;
  resume(): boolean;
  readonly paused: boolean;
  /**
   * Puts the socket of another server, which accepts no more from then on, in the place of this one's: this server
   * accepts what waits in the one queue, so that no connection is lost between them. What the other has open goes on,
   * and closing its socket closes this one no more. False when that cannot be, and nothing has changed.
   */
  adopt(other: Accepting): boolean;
}

/**
 * Calls `listen`, which opens one listening socket in this turn, and gives it; null where there is none, which is
 * anywhere but on Linux. Throws what `listen` throws.
 *
 * The runtime has no such switch: `server.stop()` closes what is idle and refuses what comes. So the socket is taken
 * out of the event loop's epoll and put back as it was, as nginx does when descriptors run out
 * (`ngx_disable_accept_events`).
 */
export function acceptingOf(listen: () => void): Accepting | null {
  const before = new Set(polledSockets().map(({ fd }) => fd));
  listen();
  const [socket, ...others] = polledSockets().filter(({ fd }) => !before.has(fd));
  const system = systemCalls();
  if (socket === undefined || others.length > 0 || system === null) return null;
  return new ListeningSocket(socket, system);
}

class ListeningSocket implements Accepting {
  paused = false;
  readonly #socket: Polled;
  readonly #system: SystemCalls;

  constructor(socket: Polled, system: SystemCalls) {
    this.#socket = socket;
    this.#system = system;
  }

  pause(): boolean {
    return this.#control(EPOLL_CTL_DEL, true);
  }

  resume(): boolean {
    return this.#control(EPOLL_CTL_ADD, false);
  }

  adopt(other: Accepting): boolean {
    if (!(other instanceof ListeningSocket) || !this.pause()) return false;
    if (this.#system.dup3(other.#socket.fd, this.#socket.fd, O_CLOEXEC) === -1) {
      this.resume();
      return false;
    }
    // A descriptor that is closed leaves epoll only when no other is of the same socket (epoll(7)).
    if (other.paused) return true;
    other.pause();
    return this.resume();
  }

  #control(operation: number, paused: boolean): boolean {
    const { epoll, fd, event } = this.#socket;
    if (this.#system.epoll_ctl(epoll, operation, fd, ptr(event)) !== 0) return false;
    this.paused = paused;
    return true;
  }
}

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const O_CLOEXEC = 0x80000; // on every architecture that Bun runs on

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

interface SystemCalls {
  epoll_ctl(epoll: number, operation: number, fd: number, event: ReturnType<typeof ptr>): number;
  dup3(from: number, to: number, flags: number): number;
}

/** Of the C library that the runtime has loaded already, glibc's or musl's. */
function systemCalls(): SystemCalls | null {
  const types = {
    epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
    dup3: { args: ["i32", "i32", "i32"], returns: "i32" },
  } as const;
  const musl = `libc.musl-${process.arch === "x64" ? "x86_64" : "aarch64"}.so.1`;
  for (const name of ["libc.so.6", musl]) {
    try {
      return dlopen(name, types).symbols;
    } catch {
      continue;
    }
  }
  return null;
}
