import { readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dir, "..", "..");

export function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

/** A fenced block: ` ```sh runnable=publish ` has the language `sh` and the words `runnable=publish`. */
export interface Block {
  readonly language: string;
  readonly words: readonly string[];
  readonly text: string;
  readonly line: number;
}

export function blocksOf(markdown: string): readonly Block[] {
  return [...markdown.matchAll(/^```(\w+)([^\n]*)\n([^]*?)^```$/gm)].map((match) => ({
    language: match[1]!,
    words: match[2]!.trim().split(" "),
    text: match[3]!,
    line: markdown.slice(0, match.index).split("\n").length,
  }));
}

/** What stands after `name=` in the words of a block. */
export function named(block: Block, name: string): string | undefined {
  return block.words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** The cells of the table between `<!-- name: … -->` and `<!-- /name -->`, without its head. */
export function tableOf(markdown: string, name: string): readonly (readonly string[])[] {
  const table = new RegExp(`<!-- ${name}:[^>]*-->\n([^]*?)<!-- /${name} -->`).exec(markdown)?.[1];
  if (table === undefined) throw new Error(`There is no table of ${name}.`);
  const rows = table.trim().split("\n").slice(2);
  return rows.map((row) => row.slice(1, -1).split("|").map(cellText));
}

/** What a reader sees of a cell. */
function cellText(cell: string): string {
  const text = cell.trim();
  const code = /^`([^`]*)`$/.exec(text)?.[1];
  return code ?? text.replaceAll("\\*", "*");
}
