import { isChannel } from "./channel.ts";

/**
 * The path of the stream of these names and patterns, with its query up to where further parameters go: it ends with `?`
 * or `&`. One channel has an address of its own.
 */
export function streamPath(names: readonly string[]): string {
  const [only] = names;
  // The names `.` and `..` would be taken for steps of the path.
  if (names.length === 1 && isChannel(only!) && !/^\.\.?$/.test(only!)) {
    return `/channel/${encodeURIComponent(only!)}/stream?`;
  }
  return `/stream?${names.map((name) => `channel=${encodeURIComponent(name)}&`).join("")}`;
}
