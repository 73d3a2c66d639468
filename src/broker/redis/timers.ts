/** A clock that never goes back, and what is to be done after a while. */
export interface Timers {
  readonly elapsed: () => number;
  /** Answers a function that calls it off. */
  readonly after: (ms: number, run: () => void) => () => void;
}

export const TIMERS: Timers = {
  elapsed: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
