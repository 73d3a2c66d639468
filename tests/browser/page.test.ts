import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { BROWSER_TEST_MS, openBrowser } from "../setup/browser.ts";
import { type Gateway, publish, publishAll, startGateway, subscribe } from "../setup/gateway.ts";
import { program } from "../setup/programs.ts";

const chromium = program("chromium");
if (chromium !== null) describe("the page at /", () => isUsed(chromium));

const MESSAGES = "#log li:not(.told, .bad)";

async function listen(page: Page, gateway: Gateway, secret: string, beginning = ""): Promise<void> {
  await page.goto(gateway.url);
  await page.getByLabel("App secret").fill(secret);
  await page.getByLabel("Beginning").selectOption(beginning);
  await page.getByRole("button", { name: "Listen" }).click();
}

/** Resolves with the data of the messages that the page shows, newest first, once they are so many. */
async function shown(page: Page, count: number): Promise<readonly string[]> {
  await page
    .locator(MESSAGES)
    .nth(count - 1)
    .waitFor();
  return page.locator(`${MESSAGES} pre`).allTextContents();
}

function isUsed(path: string): void {
  let browser: Browser;
  beforeAll(async () => void (browser = await openBrowser(path)), BROWSER_TEST_MS);
  afterAll(() => browser.close());

  test(
    "listens and publishes by typing and clicking",
    async () => {
      await using gateway = await startGateway();
      await using page = await browser.newPage();
      const wrong: string[] = [];
      page.on("pageerror", (error) => wrong.push(String(error)));
      page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
      await listen(page, gateway, gateway.secret);
      await page.locator("#state.live").waitFor();
      await page.getByLabel("Event").fill("price");
      await page.getByLabel("Data").fill('<img src=x onerror="throw 1">');
      await page.getByRole("button", { name: "Publish" }).click();
      expect(await shown(page, 1)).toEqual(['<img src=x onerror="throw 1">']);
      expect(await page.locator(`${MESSAGES} b`).textContent()).toBe("price");
      await publish(gateway, { channel: "news", data: { a: [1, "two"] } });
      expect(await shown(page, 2)).toEqual(['{"a":[1,"two"]}', '<img src=x onerror="throw 1">']);
      expect(wrong).toEqual([]);
    },
    BROWSER_TEST_MS,
  );

  test(
    "shows what is kept, from the address of a stream",
    async () => {
      await using gateway = await startGateway();
      await using page = await browser.newPage();
      await publishAll(gateway, [
        { channel: "news", data: "one" },
        { channel: "news", data: "two" },
      ]);
      await listen(page, gateway, (await subscribe(gateway, "news")).url, "since=earliest");
      expect(await shown(page, 2)).toEqual(["two", "one"]);
    },
    BROWSER_TEST_MS,
  );

  test(
    "says why when the secret is wrong",
    async () => {
      await using gateway = await startGateway();
      await using page = await browser.newPage();
      await listen(page, gateway, "not-the-secret-of-any-app-of-this-node");
      await page.locator("#log li.bad").waitFor();
      expect(await page.locator("#log li.bad pre").textContent()).toContain("credential");
      expect(await page.locator("#state").textContent()).toBe("not listening");
    },
    BROWSER_TEST_MS,
  );

  test(
    "goes on by itself after kill -9 and a restart",
    async () => {
      await using gateway = await startGateway({ settings: { SOCKET_RETRY: "100ms" } });
      await using page = await browser.newPage();
      await listen(page, gateway, gateway.secret);
      await page.locator("#state.live").waitFor();
      await publish(gateway, { channel: "news", data: "before" });
      await shown(page, 1);
      await gateway.kill();
      await page.getByText("reconnecting").waitFor();
      await gateway.start();
      await publish(gateway, { channel: "news", data: "after" });
      expect(await shown(page, 2)).toEqual(["after", "before"]);
    },
    BROWSER_TEST_MS,
  );

  test(
    "fits a phone",
    async () => {
      await using gateway = await startGateway();
      await using page = await browser.newPage({ viewport: { width: 360, height: 740 }, isMobile: true });
      await listen(page, gateway, gateway.secret);
      await publish(gateway, { channel: "news", data: "x".repeat(500) });
      await page.locator("#state.live").waitFor();
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
    },
    BROWSER_TEST_MS,
  );
}
