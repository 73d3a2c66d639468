import type { Log } from "./gateway.ts";

/**
 * What is told of errors, and the net below the runtime's calls: in Bun a throw in a timer, in the `cancel` of a stream
 * or in a listener, and a rejection that nobody handles, end the process.
 */
export class Unexpected {
  /** Errors that were logged since the start. */
  count = 0;
  /** The log that was given, but it never throws, and an error carries how many there have been, as `errors`. */
  readonly log: Log;

  constructor(log: Log) {
    this.log = (level, message, fields) => {
      const counted = level === "error" ? { ...fields, errors: ++this.count } : fields;
      try {
        log(level, message, counted);
      } catch {
        // there is nowhere left to tell it
      }
    };
  }

  /** A callback for the runtime: what `run` throws is logged and goes no further. */
  guard(run: () => void): () => void {
    return () => {
      try {
        run();
      } catch (error) {
        this.log("error", "unexpected error", { error });
      }
    };
  }
}
