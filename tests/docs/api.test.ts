import { describe, expect, test } from "bun:test";
import { program } from "../setup/programs.ts";
import { read } from "./markdown.ts";
import { groupsOf, type Language, LANGUAGES, runPage } from "./page.ts";

const TIMEOUT_MS = 60_000;

/** The page with what it includes, as its reader has it. */
const PAGE = `${read("docs/api.md")}\n${read("docs/errors.md")}`;

/** The part of the page under each heading of the first or second level. */
const SECTIONS = PAGE.replace(/^---\n[^]*?\n---\n/, "")
  .split(/^(?=##? )/m)
  .slice(1);

const RUNS: Readonly<Record<Language, () => boolean>> = {
  shell: () => Bun.which("bash") !== null && Bun.which("curl") !== null,
  ruby: () => program("ruby") !== null,
  python: () => program("python") !== null,
  javascript: () => true,
};

for (const language of LANGUAGES.filter((one) => RUNS[one]())) {
  test(
    `every snippet in ${language} answers what stands below it`,
    async () => {
      expect(await runPage(PAGE, language)).toBeGreaterThan(SECTIONS.filter(hasAddress).length);
    },
    TIMEOUT_MS,
  );
}

function hasAddress(section: string): boolean {
  return section.includes("\n### HTTP Request\n");
}

describe("the page", () => {
  test("has the headings that it was begun with, in their order", () => {
    const headings = [...PAGE.matchAll(/^##? .+$/gm)].map(([heading]) => heading);
    const begun = [
      "# Introduction",
      "# Authentication",
      "# Channel",
      "## Subscribe",
      "# Chat",
      "## send",
      "## sendMulti",
    ];
    expect(headings.filter((heading) => begun.includes(heading))).toEqual(begun);
    expect(headings.at(-1)).toBe("# Errors");
  });

  test("has every address of the API, in a section with all four languages", () => {
    const routes = [...read("src/http/routes.ts").matchAll(/\.(get|post|delete)\(\s*"([^"]+)"/g)];
    expect(routes.length).toBeGreaterThan(5);
    for (const [, method, path] of routes) {
      if (path === "/" || path === "/console") continue; // the page is no answer of the API
      const address = `\n\`${method!.toUpperCase()} ${path}\`\n`;
      const section = SECTIONS.find((text) => hasAddress(text) && text.includes(address)) ?? "";
      const groups = groupsOf(section);
      const missing = LANGUAGES.filter((language) => !groups.some(({ snippets }) => snippets.has(language)));
      expect([address, missing]).toEqual([address, []]);
    }
  });

  test("a snippet without an answer below it is found", () => {
    expect(() => groupsOf("```shell\ntrue\n```\n")).toThrow("Line 1");
    expect(() => groupsOf("```shell\ntrue\n```\n```shell\ntrue\n```\n")).toThrow("Line 4");
  });
});
