export const DURATION_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * `500ms 15s 10m 1h 2d` in milliseconds; a plain `0` is 0, any other plain number is refused for want of a unit.
 * Undefined for what is no duration, or is too long to count exactly.
 */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const match = /^([0-9]{1,15})(ms|s|m|h|d)$/.exec(text);
  if (match === null) return undefined;
  const ms = Number(match[1]) * DURATION_MS[match[2] as keyof typeof DURATION_MS];
  return Number.isSafeInteger(ms) ? ms : undefined;
}
