import { constants } from "node:os";

/** Within this time the same signal is the same request. */
const SAME_SIGNAL_MS = 100;

/**
 * Aborted by the first signal that asks for an end, with its name. The second, of whichever kind, ends the process at
 * once.
 *
 * A Ctrl-C comes twice where the server has a parent: from the terminal, to every process, and from `bun start`, which
 * hands on what it gets itself. So does systemd's SIGTERM.
 */
export function stopOnSignal(): AbortController {
  const stop = new AbortController();
  let firstAtMs = 0;
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      if (!stop.signal.aborted) {
        firstAtMs = performance.now();
        stop.abort(name);
      } else if (stop.signal.reason !== name || performance.now() - firstAtMs > SAME_SIGNAL_MS) {
        process.exit(128 + constants.signals[name]);
      }
    });
  }
  return stop;
}
