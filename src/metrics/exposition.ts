import type { Distribution } from "../core/distribution.ts";
import type { Metric, Sample, Source } from "./table.ts";

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * The metrics in the text format of Prometheus 0.0.4.
 *
 * Not by the field's library: its histograms take 0.4 µs for what they count, its own metrics of the process say `Nan` on
 * Bun, and what is left of it is this file.
 */
export function exposition(metrics: readonly Metric[], source: Source): string {
  const lines: string[] = [];
  for (const metric of metrics) {
    const { name, help, type } = metric;
    lines.push(`# HELP ${name} ${help.replaceAll("\\", "\\\\")}`, `# TYPE ${name} ${type}`);
    if (metric.type === "histogram") writeHistogram(lines, name, metric.read(source));
    else for (const [labels, value] of metric.read(source)) lines.push(lineOf(name, labels, value));
  }
  return `${lines.join("\n")}\n`;
}

/** Buckets count all that is not above their bound. */
function writeHistogram(lines: string[], name: string, { bounds, counts, sum }: Distribution): void {
  let count = 0;
  for (const [i, own] of counts.entries()) {
    count += own;
    lines.push(lineOf(`${name}_bucket`, { le: i < bounds.length ? String(bounds[i]) : "+Inf" }, count));
  }
  lines.push(lineOf(`${name}_sum`, {}, sum), lineOf(`${name}_count`, {}, count));
}

function lineOf(name: string, labels: Sample[0], value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value === Infinity ? "+Inf" : value}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
