import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser } from "playwright-core";
import { BROWSER_TEST_MS, openBrowser } from "../setup/browser.ts";
import { publish, startGateway, subscribe } from "../setup/gateway.ts";
import { program } from "../setup/programs.ts";

const chromium = program("chromium");
if (chromium !== null) describe("markup in what is published, shown by the console", () => attacks(chromium));

/** What would run if any of it became markup, an address or an attribute. */
const ATTACKS = [
  '<img src=x onerror="window.hit=1">',
  '"><svg onload=window.hit=1>',
  "</script><script>window.hit=1</script>",
  '<a href="javascript:window.hit=1">click</a>',
  "javascript:window.hit=1",
  "' onmouseover='window.hit=1",
  "{{constructor.constructor('window.hit=1')()}}",
];

function attacks(path: string): void {
  let browser: Browser;
  beforeAll(async () => void (browser = await openBrowser(path)), BROWSER_TEST_MS);
  afterAll(() => browser.close());

  test(
    "stays text, as data, as JSON, as a channel, an event, a user and a key of an object",
    async () => {
      await using gateway = await startGateway();
      await using page = await browser.newPage();
      const wrong: string[] = [];
      page.on("pageerror", (error) => wrong.push(String(error)));
      page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
      page.on("dialog", (dialog) => wrong.push(dialog.message()));
      const open = new AbortController();
      const answers: Response[] = []; // one that nobody holds is ended
      for (const [i, attack] of ATTACKS.entries()) {
        const channel = attack.replaceAll(/[\s*]/g, "+");
        await publish(gateway, { channel, event: attack, data: attack });
        await publish(gateway, { channel, event: `${i}`, data: { [attack]: [attack] } });
        const { url } = await subscribe(gateway, channel, { user: attack });
        answers.push(await fetch(url, { signal: open.signal }));
      }
      await page.goto(`${gateway.url}/console`);
      await page.getByLabel("App secret, token").fill(gateway.secret);
      await page.getByRole("button", { name: "Open", exact: true }).click();
      await page.getByLabel("Channels and patterns").fill("**");
      await page.getByRole("button", { name: "Listen", exact: true }).click();
      await page.getByRole("button", { name: "Formatted" }).click();
      const rows = page.locator(".row.message");
      await rows.nth(2 * ATTACKS.length - 1).waitFor();
      const data = await rows.locator(".data").allTextContents();
      expect(data.filter((_, i) => i % 2 === 1)).toEqual(ATTACKS.toReversed());
      expect(await rows.locator(".event").allTextContents()).toContain(ATTACKS[0]!);
      await page.getByRole("link", { name: "Channels" }).click();
      await page
        .locator("#channel-rows tr")
        .nth(ATTACKS.length - 1)
        .waitFor();
      await page.getByRole("link", { name: "Streams" }).click();
      await page.locator("#stream-rows tr", { hasText: ATTACKS[0]! }).waitFor();
      open.abort();
      expect(answers.length).toBe(ATTACKS.length);

      // Nothing of it became an element, an address or a handler, and nothing ran.
      const found = await page.evaluate(() => ({
        elements: document.querySelectorAll("main img, main script, main a, main iframe, main svg[onload]").length,
        handlers: [...document.querySelectorAll("*")].filter((of) =>
          of.getAttributeNames().some((name) => name.startsWith("on")),
        ).length,
        hit: "hit" in window,
      }));
      expect(found).toEqual({ elements: 0, handlers: 0, hit: false });
      expect(wrong).toEqual([]);
    },
    BROWSER_TEST_MS,
  );

  test(
    "would not run, or become markup, even if the page made it so: the policy forbids both",
    async () => {
      await using gateway = await startGateway();
      await using page = await browser.newPage();
      await page.goto(`${gateway.url}/console`);
      const ran = await page.evaluate(() => {
        const script = document.createElement("script");
        const attempts: readonly (() => void)[] = [
          () => (document.body.innerHTML = "<b>x</b>"),
          () => (script.text = "window.hit = 1"),
          () => document.body.setAttribute("onclick", "window.hit = 1"),
        ];
        return attempts.filter((attempt) => {
          try {
            attempt();
            return true;
          } catch {
            return false;
          }
        }).length;
      });
      expect(ran).toBe(0);
      expect(await page.evaluate(() => "hit" in window)).toBe(false);
    },
    BROWSER_TEST_MS,
  );
}
