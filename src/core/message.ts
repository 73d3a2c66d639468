import type { Position } from "./position.ts";

/** What a publisher hands in, checked but not yet numbered. */
export interface Draft {
  readonly channel: string;
  /** The SSE event name; null is the default, `message`, which needs no `event:` line. */
  readonly event: string | null;
  /** The text as it was given: a string's characters, or the JSON text of any other value. */
  readonly data: string;
  /** True when `data` is the JSON text of a value that was not a string. */
  readonly json: boolean;
}

/** A draft that was accepted: it has its place in the app's one order. */
export interface Message extends Draft, Position {
  /** When it was accepted, in milliseconds since 1970; never goes back within an app. */
  readonly time: number;
}

/** The size of a draft for limits and retention: UTF-8 bytes of its data. */
export function sizeOf(draft: Draft): number {
  return Buffer.byteLength(draft.data);
}
