import { describe, expect, test } from "bun:test";
import { Distribution } from "../../src/core/distribution.ts";
import { exposition } from "../../src/metrics/exposition.ts";
import { METRICS, type Metric, type Source } from "../../src/metrics/table.ts";
import { parse } from "./scrape.ts";

function shown(metric: Metric): string {
  return exposition([metric], {} as Source); // what these metrics read is at hand
}

describe("the text format", () => {
  test("escapes what would break a line", () => {
    const text = 'a "quoted"\\\nvalue';
    const metric: Metric = {
      type: "gauge",
      name: "some",
      help: "A \\ in a sentence.",
      labels: ["label"],
      read: () => [[{ label: text, other: "" }, 0.5]],
    };
    expect(shown(metric)).toBe(
      '# HELP some A \\\\ in a sentence.\n# TYPE some gauge\nsome{label="a \\"quoted\\"\\\\\\nvalue",other=""} 0.5\n',
    );
    expect(parse(shown(metric)).value("some", { label: text, other: "" })).toBe(0.5);
  });

  test("counts in each bucket all that is not above its bound, and everything in the last", () => {
    const distribution = new Distribution([1, 10]);
    for (const value of [0, 1, 1.5, 10, 11, 1000]) distribution.add(value);
    const metric: Metric = { type: "histogram", name: "some", help: "S.", labels: [], read: () => distribution };
    const { series } = parse(shown(metric));
    expect(series.map(({ name, labels, value }) => [name, labels["le"], value])).toEqual([
      ["some_bucket", "1", 2],
      ["some_bucket", "10", 4],
      ["some_bucket", "+Inf", 6],
      ["some_sum", undefined, 1023.5],
      ["some_count", undefined, 6],
    ]);
  });
});

test("metrics are named by the conventions of Prometheus, each once", () => {
  expect(METRICS.length).toBeGreaterThan(20);
  expect(new Set(METRICS.map(({ name }) => name)).size).toBe(METRICS.length);
  for (const { name, type, help } of METRICS) {
    expect(name).toMatch(/^(service_socket|process)_[a-z_]+$/);
    expect([name, name.endsWith("_total")]).toEqual([name, type === "counter"]);
    expect(name).not.toMatch(/(milliseconds|_ms|minutes|kilobytes)/);
    expect(help).toMatch(/^[^\n]+\.$/);
  }
});
