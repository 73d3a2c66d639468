import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { read, ROOT } from "./markdown.ts";

const DOCUMENTS = ["*.md", "docs/*.md", "examples/**/*.md"].flatMap((glob) =>
  [...new Bun.Glob(glob).scanSync(ROOT)].sort(),
);

/** As GitHub makes them of headings. */
function anchorsOf(markdown: string): ReadonlySet<string> {
  const headings = markdown.replaceAll(/^```[^]*?^```$/gm, "").matchAll(/^#+ (.+)$/gm);
  return new Set(
    [...headings].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
}

test.each(DOCUMENTS)("every link of %s within the project leads somewhere", (document) => {
  for (const [, target] of read(document).matchAll(/\]\(([^)]+)\)/g)) {
    if (/^https?:/.test(target!)) continue;
    const [path, anchor] = target!.split("#");
    const file = path === "" ? document : normalize(join(dirname(document), path!));
    expect([document, target, existsSync(join(ROOT, file))]).toEqual([document, target, true]);
    if (anchor !== undefined) {
      expect([document, target, anchorsOf(read(file)).has(anchor)]).toEqual([document, target, true]);
    }
  }
});

test.each(DOCUMENTS)("every file that %s names is there", (document) => {
  for (const [, file] of read(document).matchAll(/`((?:src|tests|scripts|bench|examples|docs)\/[\w./-]+)`/g)) {
    expect([document, file, existsSync(join(ROOT, file!))]).toEqual([document, file, true]);
  }
});
