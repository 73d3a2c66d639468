/**
 * Channel names and patterns.
 *
 * A name is 1 to 200 printable ASCII characters without space and `*`; its segments are parted by `.`.
 * A pattern is a name in which a whole segment may be `*` (exactly one segment, whatever it is) and in which the last
 * segment may be `**` (one or more segments).
 */

const NAME = /^[\x21-\x29\x2b-\x7e]{1,200}$/;
const PATTERN = /^[\x21-\x7e]{1,200}$/;

export function isChannel(text: string): boolean {
  return NAME.test(text);
}

/** True for a pattern that has at least one `*` or `**` segment; a plain name is no pattern. */
export function isPattern(text: string): boolean {
  if (!PATTERN.test(text) || !text.includes("*")) return false;
  const segments = text.split(".");
  return segments.every((segment, i) => {
    if (!segment.includes("*")) return true;
    return segment === "*" || (segment === "**" && i === segments.length - 1);
  });
}

/**
 * Whether everything that `wanted` (a name or a pattern) can match is also matched by `granted` (a name or a pattern).
 * `room.**` covers `room.*`, `room.1` and `room.1.chat`; `room.1` covers no pattern; `room.*` does not cover `room.**`.
 */
export function covers(granted: string, wanted: string): boolean {
  if (!granted.includes("*")) return granted === wanted;
  const have = granted.split(".");
  const want = wanted.split(".");
  for (let i = 0; i < have.length; i++) {
    if (have[i] === "**") return want.length > i;
    if (i >= want.length) return false;
    if (have[i] === "*" ? want[i] === "**" : have[i] !== want[i]) return false;
  }
  return have.length === want.length;
}

/** The channels and patterns that a stream listens to: sorted, each once, so that equal selections have equal keys. */
export interface Selection {
  readonly channels: readonly string[];
  readonly patterns: readonly string[];
  /** Equal for equal selections. */
  readonly key: string;
}

/** Shared: most selections have no pattern, and there are as many as streams. */
const NONE: readonly string[] = [];

/** Sorts and deduplicates names and patterns, which must be valid already. */
export function selectionOf(names: readonly string[]): Selection {
  const unique = [...new Set(names)].sort();
  const key = unique.join(" "); // a space can stand in no name
  const patterns = unique.filter((name) => name.includes("*"));
  if (patterns.length === 0) return { channels: unique, patterns: NONE, key };
  return { channels: unique.filter((name) => !name.includes("*")), patterns, key };
}

/** Whether a message on `channel` belongs to the selection. */
export function selects(selection: Selection, channel: string): boolean {
  return selection.channels.includes(channel) || selection.patterns.some((pattern) => covers(pattern, channel));
}
