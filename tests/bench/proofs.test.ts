import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { PROOFS } from "../../bench/proofs/list.ts";
import { program } from "../setup/programs.ts";

const ROOT = join(import.meta.dir, "..", "..");
const PROOF_TEST_MS = 180_000;

async function prove(...args: string[]): Promise<{ code: number; said: string }> {
  await using child = Bun.spawn([process.execPath, "run", "prove", ...args], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, said: said.join("") };
}

// Where one of them is missing the proof says so, and goes on without it.
program("nginx");
program("chromium");

if (program("cc") !== null) {
  describe("bun run prove", () => {
    for (const { name, needs = [] } of PROOFS) {
      if (needs.some((needed) => program(needed) === null)) continue;
      test(
        `a quick run of ${name} holds`,
        async () => {
          const { code, said } = await prove(name, "--quick");
          expect([code, said]).toEqual([0, expect.stringContaining(`${name} `)]);
          expect(said).not.toContain("BROKEN");
        },
        PROOF_TEST_MS,
      );
    }

    test("says what there is, and that nothing was proved", async () => {
      const { code, said } = await prove("everything");
      expect(code).toBe(2);
      for (const { name } of PROOFS) expect(said).toContain(`  ${name}: `);
    });
  });
}
