/** How many messages of the app had been accepted at a position; of what is none, 0. */
export function seqOf(position: string): number {
  const seq = Number(position.slice(position.indexOf("-") + 1));
  return Number.isSafeInteger(seq) ? seq : 0;
}

/** Which history a position is of. */
export function epochOf(position: string): string {
  return position.slice(0, Math.max(0, position.indexOf("-")));
}

/** `now`, `12 s ago`, `3 min ago`. */
export function agoOf(ageMs: number): string {
  return ageMs < 1500 ? "now" : `${spanOf(ageMs)} ago`;
}

/** `12 s`, `3 min`, `5 h`, `2 d`. */
export function spanOf(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
