import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser } from "playwright-core";
import { BROWSER_TEST_MS, openBrowser } from "../setup/browser.ts";
import { startGateway } from "../setup/gateway.ts";
import { program } from "../setup/programs.ts";

const chromium = program("chromium");
if (chromium !== null) describe("the page at /openapi", () => isUsed(chromium));

function isUsed(path: string): void {
  let browser: Browser;
  beforeAll(async () => void (browser = await openBrowser(path)), BROWSER_TEST_MS);
  afterAll(() => browser.close());

  test(
    "shows every operation, publishes by clicking, and asks no other host for anything",
    async () => {
      await using gateway = await startGateway();
      await using page = await browser.newPage();
      const [wrong, hosts]: [string[], Set<string>] = [[], new Set()];
      page.on("pageerror", (error) => wrong.push(String(error)));
      page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
      page.on("request", (request) => {
        const { protocol, host } = new URL(request.url());
        if (protocol !== "data:") hosts.add(host);
      });
      await page.goto(`${gateway.url}/openapi`);
      await page.locator(".opblock").nth(14).waitFor();

      await page.locator(".btn.authorize").first().click();
      const bearer = page.locator("form", { has: page.getByLabel("auth-bearer-value") });
      await bearer.getByLabel("auth-bearer-value").fill(gateway.secret);
      await bearer.getByRole("button", { name: "Apply credentials" }).click();
      await page.locator(".close-modal").click();
      const send = page.locator("#operations-Publishing-send");
      await send.locator(".opblock-summary-control").click();
      await send.getByRole("button", { name: "Try it out" }).click();
      await send.getByRole("button", { name: "Execute" }).click();
      const answer = send.locator(".live-responses-table .response-col_description .microlight").first();
      await answer.waitFor();
      expect(JSON.parse((await answer.textContent())!)).toMatchObject({ code: 0, data: { channel: "news" } });
      expect([...hosts]).toEqual([new URL(gateway.url).host]);
      expect(wrong).toEqual([]);
    },
    BROWSER_TEST_MS,
  );
}
