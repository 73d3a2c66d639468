/**
 * Where a listener stands in an app's one sequence of messages, and the SSE `id` on the wire: `<epoch>-<seq>`.
 *
 * `seq` counts 1, 2, 3 … over all channels of an app and goes on over a change of epoch. `epoch` is random text that
 * changes when the store was lost or came back older, so that an old position can never pass for a new one.
 *
 * The form keeps to characters that are CORS-safe in a `Last-Event-ID` header (WHATWG Fetch, "CORS-safelisted
 * request-header"), so that a reconnect to another origin needs no preflight.
 */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

const FORM = /^([0-9a-z]{1,32})-(0|[1-9][0-9]{0,15})$/;

export function formatPosition(position: Position): string {
  return `${position.epoch}-${position.seq}`;
}

/** Null when the text is no position of ours. */
export function parsePosition(text: string): Position | null {
  const match = FORM.exec(text);
  if (match === null) return null;
  const seq = Number(match[2]);
  return Number.isSafeInteger(seq) ? { epoch: match[1]!, seq } : null;
}

/**
 * What a `Last-Event-ID` that is no position of ours is read as. It belongs to no epoch, so that reading after it tells
 * a gap (reason `unknown_position`) and gives all that is kept.
 */
export const FOREIGN: Position = { epoch: "", seq: 0 };
