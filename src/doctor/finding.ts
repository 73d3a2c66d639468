/** One thing that was looked at, in words for whoever runs the proxy. */
export interface Finding {
  readonly about:
    "reach" | "stream" | "http" | "buffering" | "cut" | "compression" | "cors" | "address" | "missing_gateway";
  /** `note` is nothing to repair; `unknown` could not be looked at. */
  readonly level: "ok" | "note" | "problem" | "unknown";
  readonly says: string;
  /** Lines to write; of nginx where they end with `;`, else settings of the gateway. A comment begins with `#`. */
  readonly fix: readonly string[];
}

export function finding(
  about: Finding["about"],
  level: Finding["level"],
  says: string,
  fix: readonly string[] = [],
): Finding {
  return { about, level, says, fix };
}

/** `0.02 s`, `4.9 s`, `62 s`. */
export function seconds(ms: number): string {
  const places = ms < 1000 ? 2 : ms < 10_000 ? 1 : 0;
  return `${(ms / 1000).toFixed(places)} s`;
}
