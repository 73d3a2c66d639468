import type { Settings } from "./config.ts";
import type { Asked } from "./signals.ts";

/** How a process is told that it is a worker, and which: `<index> <port>`. */
export const WORKER_ENV = "SERVICE_SOCKET_WORKER";

/** What a worker tells its parent. */
export type FromWorker = "ready";
/** To read the settings anew, or to stop, by the signal by which the parent was asked to. */
export type ToWorker = "reload" | NodeJS.Signals;

/** The side of a worker: one of several processes that serve on one port. */
export interface Worker {
  readonly index: number;
  /** Tells the parent that it serves. */
  readonly ready: () => void;
}

/**
 * Null in a process that is no worker. Else the parent asks as a signal does, and the end of the parent asks for an end: a
 * worker that was left alone would keep the port from the next start.
 */
export function asWorker(asked: Asked): Worker | null {
  const given = process.env[WORKER_ENV];
  if (given === undefined || process.send === undefined) return null;
  const { stop } = asked;
  process.on("message", (message: ToWorker) => (message === "reload" ? asked.onReload() : stop.abort(message)));
  process.on("disconnect", () => stop.abort("the end of its parent"));
  return { index: Number(given.split(" ")[0]), ready: () => process.send!("ready" satisfies FromWorker) };
}

/**
 * The settings of one worker: the port is the one that its parent found to be free. Each has metrics of its own, on the
 * ports that follow each other from the one that was set.
 */
export function ofWorker(settings: Settings): Settings {
  const [index, port] = process.env[WORKER_ENV]!.split(" ").map(Number) as [number, number];
  const { adminPort } = settings;
  return { ...settings, port, adminPort: adminPort === "off" || adminPort === 0 ? adminPort : adminPort + index };
}
