import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { startBackend } from "../setup/backend.ts";
import { BROWSER_TEST_MS, openBrowser } from "../setup/browser.ts";
import { listened, publish, startGateway } from "../setup/gateway.ts";
import { program } from "../setup/programs.ts";

const chromium = program("chromium");
if (chromium !== null) describe("the React page, in StrictMode", () => listens(chromium));

async function isLive(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelector("#state")?.textContent === "live");
}

/** Resolves with what the page shows, once that is at least so many messages. */
async function shown(page: Page, count: number): Promise<readonly string[]> {
  await page.waitForFunction((wanted) => document.querySelectorAll("#news li").length >= wanted, count);
  return page.locator("#news li").allTextContents();
}

function listens(path: string): void {
  let browser: Browser;
  beforeAll(async () => void (browser = await openBrowser(path)), BROWSER_TEST_MS);
  afterAll(() => browser.close());

  test(
    "runs its effect twice, keeps one stream, and shows each message once",
    async () => {
      await using gateway = await startGateway();
      await using backend = await startBackend("react/server.ts", gateway);
      await using page = await browser.newPage();
      let asked = 0;
      const opened: string[] = [];
      page.on("request", (request) => {
        if (request.url().endsWith("/address")) asked += 1;
        if (request.url().includes("/stream?")) opened.push(request.url());
      });
      await page.goto(backend.url);
      await isLive(page);
      expect(asked).toBe(2); // else this proves nothing: StrictMode did not run the effect again
      expect(opened).toHaveLength(1);
      await listened(gateway, "news", 1);
      const published = ["one", "two", "three"];
      for (const data of published) await publish(gateway, { channel: "news", data });
      expect(await shown(page, 3)).toEqual(published);
    },
    BROWSER_TEST_MS,
  );

  test(
    "goes on with a new address when its token ends, and misses nothing that came in between",
    async () => {
      await using gateway = await startGateway();
      await using backend = await startBackend("react/server.ts", gateway, { ttl: 2 });
      await using page = await browser.newPage();
      const published: string[] = [];
      const next = async () => {
        published.push(`message ${published.length}`);
        return await publish(gateway, { channel: "news", data: published.at(-1) });
      };
      const goneOn = Promise.withResolvers<void>();
      let asked = 0;
      await page.route("**/address", async (route) => {
        asked += 1;
        // From the third on it has a position, and no stream here.
        if (asked > 2) for (let i = 0; i < 3; i++) expect((await next()).subscribers).toBe(0);
        if (asked === 4) goneOn.resolve();
        await route.continue();
      });
      await page.goto(backend.url);
      await goneOn.promise;
      expect(await shown(page, published.length)).toEqual(published);
    },
    BROWSER_TEST_MS,
  );
}
