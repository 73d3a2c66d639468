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
export class Stalled {
  readonly #there: Map<number, { queuedBytes: number; grownAtMs: number }>;
  /** Of those that are gone: seconds since their queue grew last. */
  readonly goneAfterS: number[] = [];
  heldKiB = 0;
  allHeldMiB = 0;

  /** Their own ports. */
  constructor(ports: ReadonlySet<number>) {
    this.#there = new Map([...ports].map((port) => [port, { queuedBytes: 0, grownAtMs: Infinity }]));
  }

  get left(): number {
    return this.#there.size;
  }

  full(nowMs: number): boolean {
    return this.#there.values().every(({ grownAtMs }) => grownAtMs + FULL_MS < nowMs);
  }

  look(nowMs: number, accepted: readonly Accepted[]): void {
    const still = new Set<number>();
    let all = 0;
    for (const { port, queuedBytes, heldBytes } of accepted) {
      const one = this.#there.get(port);
      if (one === undefined) continue;
      still.add(port);
      all += heldBytes;
      this.heldKiB = Math.max(this.heldKiB, heldBytes / 1024);
      if (queuedBytes <= one.queuedBytes) continue;
      one.queuedBytes = queuedBytes;
      one.grownAtMs = nowMs;
    }
    this.allHeldMiB = Math.max(this.allHeldMiB, all / 1024 / 1024);
    for (const [port, { grownAtMs }] of this.#there) {
      if (still.has(port)) continue;
      this.goneAfterS.push((nowMs - grownAtMs) / 1000);
      this.#there.delete(port);
    }
  }
}
