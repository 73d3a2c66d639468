import type { Hub } from "./hub/hub.ts";

/** Streams that are ended in one turn of the event loop: about half a millisecond's work. */
const TURN_STREAMS = 64;
const STEP_MS = 100;

/**
 * Ends every stream, evenly over the window, so that they do not all come back at once. Resolves when the window is
 * over, also where there was no stream to end: those who publish learn late that the node is being stopped.
 */
export async function drain(
  hub: Pick<Hub, "streams" | "closeSome">,
  windowMs: number,
  elapsed: () => number,
): Promise<void> {
  const streams = hub.streams();
  const endsAtMs = elapsed() + windowMs;
  for (;;) {
    const leftMs = endsAtMs - elapsed();
    const stay = leftMs <= 0 ? 0 : Math.floor((streams * leftMs) / windowMs);
    await end(hub, hub.streams() - stay);
    if (leftMs <= 0) return;
    await new Promise((resolve) => setTimeout(resolve, Math.min(STEP_MS, leftMs)));
  }
}

async function end(hub: Pick<Hub, "closeSome">, count: number): Promise<void> {
  for (let left = count; left > 0; left -= TURN_STREAMS) {
    hub.closeSome(Math.min(left, TURN_STREAMS), "drain", true);
    await new Promise(setImmediate);
  }
}
