import { type Figure, verdict } from "./figure.ts";

function short(value: number): string {
  if (Number.isNaN(value)) return "-";
  const digits = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
}

function spread(runs: readonly number[]): string {
  if (runs.length < 2) return "";
  return ` (${short(Math.min(...runs))} – ${short(Math.max(...runs))})`;
}

function line(row: string, figure: Figure): string {
  const { what, unit, ours, oursRuns, against, other, otherRuns, ratio, target } = figure;
  const cells = [
    `\`${row}\``,
    what,
    `${short(ours)} ${unit}${spread(oursRuns)}`,
    `${against}: ${short(other)} ${unit}${spread(otherRuns)}`,
    short(ratio),
    target === null ? "" : `${target.is} ${target.ratio}`,
    verdict(figure),
  ];
  return `| ${cells.join(" | ")} |`;
}

/** The result in Markdown: medians, in brackets the least and the most of all runs. */
export function table(rows: readonly { name: string; figures: readonly Figure[] }[]): string {
  const lines = [
    "| row | what | ours | against | ratio | target | |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...rows.flatMap(({ name, figures }) => figures.map((figure) => line(name, figure))),
  ];
  for (const { name, figures } of rows) {
    for (const { what, against, faults, otherFaults } of figures) {
      if (faults.length > 0) lines.push("", `\`${name}\`, ${what}: ${faults.join("; ")}`);
      if (otherFaults.length > 0) lines.push("", `\`${name}\`, ${what}, ${against}: ${otherFaults.join("; ")}`);
    }
  }
  return lines.join("\n");
}
