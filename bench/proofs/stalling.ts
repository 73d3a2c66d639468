import type { Socket } from "bun";
import type { Accepted } from "./sockets.ts";

/** Opens streams that take nothing after their first bytes. Resolves when all have stalled. */
export async function openStalled(port: number, path: string, count: number): Promise<Socket[]> {
  const opened: Socket[] = [];
  for (let i = 0; i < count; i++) {
    const began = Promise.withResolvers<void>();
    const connection = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (self) => {
          self.pause();
          began.resolve();
        },
        close: () => began.reject(new Error("a stream was not answered")),
        error: () => undefined, // the reset by which it is cut
      },
    });
    connection.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`);
    await began.promise;
    opened.push(connection);
  }
  return opened;
}

/** A queue that has not grown for so long, while messages are published, is full. */
const FULL_MS = 1000;

/**
 * What becomes of stalled connections, as the kernel tells. The first write that finds one full is not seen from outside;
 * that its queue grows no more is.
 */
export class Stalling {
  readonly #there: Map<string, { queuedBytes: number; grownAtMs: number }>;
  /** Of those that are gone: seconds from when their queue was seen to have grown, to when they were seen last. */
  readonly thereForS: number[] = [];
  /** What the kernel held at most: for one of them, and for all. */
  heldKiB = 0;
  allHeldMiB = 0;
  #lookedMs = 0;

  constructor(connections: readonly Socket[]) {
    this.#there = new Map(
      connections.map(({ localPort }) => [`127.0.0.1:${localPort}`, { queuedBytes: 0, grownAtMs: Infinity }]),
    );
  }

  get left(): number {
    return this.#there.size;
  }

  full(nowMs: number): boolean {
    return this.#there.values().every(({ grownAtMs }) => grownAtMs + FULL_MS < nowMs);
  }

  /** To be called often: how exact times are depends on it. */
  look(nowMs: number, accepted: readonly Accepted[]): void {
    const still = new Set<string>();
    let all = 0;
    for (const { peer, queuedBytes, heldBytes } of accepted) {
      const one = this.#there.get(peer);
      if (one === undefined) continue;
      still.add(peer);
      all += heldBytes;
      this.heldKiB = Math.max(this.heldKiB, heldBytes / 1024);
      if (queuedBytes <= one.queuedBytes) continue;
      one.queuedBytes = queuedBytes;
      one.grownAtMs = nowMs;
    }
    this.allHeldMiB = Math.max(this.allHeldMiB, all / 1024 / 1024);
    for (const [peer, { grownAtMs }] of this.#there) {
      if (still.has(peer)) continue;
      this.thereForS.push((this.#lookedMs - grownAtMs) / 1000);
      this.#there.delete(peer);
    }
    this.#lookedMs = nowMs;
  }
}
