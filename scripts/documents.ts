/**
 * `bun scripts/documents.ts`: writes the tables of the documents that the code decides, each between its markers, from
 * the code. A test compares them.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeSettings } from "../src/config.ts";
import { ERRORS } from "../src/core/errors.ts";
import { METRICS } from "../src/metrics/table.ts";

const ROOT = join(import.meta.dir, "..");

replace("README.md", "settings", [
  ["Variable", "Flag", "Default", "What it is", "Takes", "Per app"],
  ...describeSettings().map(({ env, flag, default: value, description, takes, perApp }) => [
    code(env),
    flag === null ? "none" : code(flag),
    shown(value),
    description,
    takes,
    perApp ? "yes" : "",
  ]),
]);
replace("docs/errors.md", "errors", [
  ["Type", "Status", "Message"],
  ...Object.entries(ERRORS).map(([type, { status, message }]) => [code(type), String(status), message]),
]);
replace("docs/metrics.md", "metrics", [
  ["Metric", "Type", "Labels", "What it is"],
  ...METRICS.map(({ name, type, labels, help }) => [code(name), type, labels.join(", "), help]),
]);

function replace(file: string, name: string, rows: readonly (readonly string[])[]): void {
  const path = join(ROOT, file);
  const [head, ...body] = rows.map((cells) => `| ${cells.map(cell).join(" | ")} |`);
  const rule = `|${" --- |".repeat(rows[0]?.length ?? 0)}`;
  const text = readFileSync(path, "utf8");
  const table = new RegExp(`(<!-- ${name}:[^>]*-->\n)[^]*?(<!-- /${name} -->)`);
  if (!table.test(text)) throw new Error(`${file} has no markers for ${name}.`);
  writeFileSync(
    path,
    text.replace(table, (_all, from: string, to: string) => `${from}${[head, rule, ...body].join("\n")}\n${to}`),
  );
}

/** A value stands as code, a phrase as it is. */
function shown(value: string): string {
  return /[ `]/.test(value) || value === "none" ? value : code(value);
}

function code(text: string): string {
  return `\`${text}\``;
}

/** `|` parts cells; `*` outside of code would be emphasis. */
function cell(text: string): string {
  const parts = text.replaceAll("|", "\\|").split(/(`[^`]*`)/);
  return parts.map((part) => (part.startsWith("`") ? part : part.replaceAll("*", "\\*"))).join("");
}
