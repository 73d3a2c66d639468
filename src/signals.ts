import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";

/** Within this time the same signal is the same request. */
const SAME_SIGNAL_MS = 100;

/** What signals ask of the process. */
export interface Asked {
  /** Aborted by the first signal that asks for an end, with its name. */
  readonly stop: AbortController;
  /** Run at each request for a reload; does nothing until it is set, since a start reads everything. */
  onReload: () => void;
}

/**
 * The second signal that asks for an end, of whichever kind, ends the process at once.
 *
 * A Ctrl-C comes twice where the server has a parent: from the terminal, to every process, and from `bun start`, which
 * hands on what it gets itself. So does systemd's SIGTERM. A SIGHUP reloads, unless it says that the terminal was closed.
 */
export function listenForSignals(): Asked {
  const stop = new AbortController();
  const asked: Asked = { stop, onReload: () => undefined };
  const hadTerminal = process.stderr.isTTY;
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
  process.on("SIGHUP", () => {
    if (!hadTerminal || hasTerminal()) asked.onReload();
    else stop.abort("SIGHUP");
  });
  return asked;
}

/** Opening it fails once the terminal has hung up (tty(4)). */
function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
