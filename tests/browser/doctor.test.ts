import { join } from "node:path";
import { expect, test } from "bun:test";
import type { Diagnosis } from "../../src/doctor/diagnose.ts";
import { BROWSER_TEST_MS, openBrowser } from "../setup/browser.ts";
import { startGateway } from "../setup/gateway.ts";
import { program } from "../setup/programs.ts";

const chromium = program("chromium");

if (chromium !== null) {
  test(
    "the doctor's core runs in a page as it does in the command",
    async () => {
      const built = await Bun.build({
        entrypoints: [join(import.meta.dir, "..", "..", "src", "doctor", "diagnose.ts")],
        target: "browser",
        format: "esm",
      });
      const source = await built.outputs[0]!.text();
      await using gateway = await startGateway({ settings: { SOCKET_BROKER: "memory:" } });
      await using browser = await openBrowser(chromium);
      const page = await browser.newPage({ bypassCSP: true });
      await page.goto(gateway.url);
      const diagnosis = await page.evaluate(async (module) => {
        const address = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
        const { diagnose } = (await import(address)) as typeof import("../../src/doctor/diagnose.ts");
        return await diagnose({
          url: location.origin,
          forMs: 1000,
          fetch: (at, init) => fetch(at, init),
          elapsed: () => performance.now(),
        });
      }, source);
      expect(diagnosis).toMatchObject({
        verdict: "ok",
        cutAfterMs: null,
        compression: null,
      } satisfies Partial<Diagnosis>);
      expect(diagnosis.seen.ticks.length).toBeGreaterThan(5);
    },
    BROWSER_TEST_MS,
  );
}
