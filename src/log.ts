import pino from "pino";
import { SonicBoom } from "sonic-boom";
import type { Settings } from "./config.ts";
import type { Log } from "./http/gateway.ts";

/** Lines that wait for whoever reads the log; beyond it lines are dropped. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** What goes into a pipe at once is whole there, whoever else writes to it (PIPE_BUF, pipe(7)): workers share one. */
const WHOLE_BYTES = 4096;
/** How long an end waits for them. */
const CLOSE_MS = 1000;

/** The log of a process: JSON lines on standard error. */
export interface OpenLog {
  readonly log: Log;
  /** Resolves once all lines are written, or after a second: a reader may never come. Nothing is logged after it. */
  readonly close: () => Promise<void>;
}

/** `fields` stand in every line. */
export function openLog(
  { logLevel }: Pick<Settings, "logLevel">,
  fields: Readonly<Record<string, unknown>> = {},
): OpenLog {
  // Not `pino.destination`: a write on the event loop waits for a reader that has stopped, and an exit for a full disk.
  const output = new SonicBoom({ fd: 2, sync: false, maxLength: MAX_WAITING_BYTES, maxWrite: WHOLE_BYTES });
  output.on("error", () => undefined); // the reader has gone, or the disk is full: the next line tries again
  const logger = pino({ level: logLevel, base: fields, timestamp: pino.stdTimeFunctions.isoTime }, output);
  return {
    log: (level, message, { error, ...more } = {}) => {
      logger[level]({ ...more, ...(error === undefined ? {} : { err: error }) }, message);
    },
    close: () =>
      new Promise((resolve) => {
        setTimeout(resolve, CLOSE_MS);
        for (const event of ["close", "error"] as const) output.once(event, () => resolve());
        output.end();
      }),
  };
}
