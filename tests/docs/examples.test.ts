import { expect, test } from "bun:test";
import { loadConfig } from "../../src/config.ts";
import { blocksOf, read } from "./markdown.ts";
import { runExamples } from "./run.ts";

const TIMEOUT_MS = 30_000;

if (Bun.which("bash") !== null && Bun.which("curl") !== null) {
  test.each(["README.md", "docs/troubleshooting.md"])(
    "every example of %s that is marked as runnable does what stands below it",
    async (document) => {
      expect(await runExamples(read(document))).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
} else {
  console.error("Left out: tests of the examples in documents, which need bash and curl.");
}

test("the settings files that the README shows can be loaded", () => {
  const files = blocksOf(read("README.md")).filter(({ language }) => language === "toml");
  expect(files.length).toBeGreaterThan(0);
  for (const { text } of files) {
    const { apps } = loadConfig({ argv: ["--config", "conf.toml"], readFile: () => text });
    expect(apps.length).toBeGreaterThan(1);
  }
});
