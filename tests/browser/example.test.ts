import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { startBackend } from "../setup/backend.ts";
import { BROWSER_TEST_MS, openBrowser } from "../setup/browser.ts";
import { listened, publish, startGateway } from "../setup/gateway.ts";
import { program } from "../setup/programs.ts";
import { startProxy } from "../setup/proxy.ts";

const chromium = program("chromium");
if (chromium !== null) describe("the example page", () => goesOn(chromium));

/** Resolves with what the page shows, once that is at least so many messages. */
async function shown(page: Page, count: number): Promise<readonly string[]> {
  await page.waitForFunction((wanted) => document.querySelectorAll("#news li").length >= wanted, count);
  return page.locator("#news li").allTextContents();
}

function goesOn(path: string): void {
  let browser: Browser;
  beforeAll(async () => void (browser = await openBrowser(path)), BROWSER_TEST_MS);
  afterAll(() => browser.close());

  test(
    "goes on with a new address when its token ends, and misses nothing that came in between",
    async () => {
      await using gateway = await startGateway();
      await using backend = await startBackend("backend.ts", gateway, { ttl: 2 });
      await using page = await browser.newPage();
      const published: string[] = [];
      const next = async () => {
        const data = `message ${published.length}`;
        published.push(data);
        return await publish(gateway, { channel: "news", data });
      };
      const addresses = Promise.withResolvers<void>();
      let asked = 0;
      await page.route("**/address", async (route) => {
        // Here the page has no stream. The first time it has no position either, and begins with what comes next.
        if (asked > 0) for (let i = 0; i < 5; i++) expect((await next()).subscribers).toBe(0);
        if (++asked === 4) addresses.resolve();
        await route.continue();
      });
      await page.goto(backend.url);
      await addresses.promise;
      expect(await shown(page, published.length)).toEqual(published);
      await next();
      expect(await shown(page, published.length)).toEqual(published);
    },
    BROWSER_TEST_MS,
  );

  test(
    "goes on after a proxy answered 502 for a while",
    async () => {
      await using gateway = await startGateway({ settings: { SOCKET_RETRY: "100ms" } });
      await using proxy = startProxy(gateway);
      await using backend = await startBackend("backend.ts", gateway, { address: proxy.url });
      await using page = await browser.newPage();
      await page.goto(backend.url);
      const published: string[] = [];
      const next = async () => {
        published.push(`message ${published.length}`);
        return await publish(gateway, { channel: "news", data: published.at(-1) });
      };
      await listened(gateway, "news");
      await next();
      expect(await shown(page, 1)).toEqual(published);

      proxy.fail();
      await proxy.failed(); // to EventSource, which gives up
      await next();
      await proxy.failed(); // to the backend, which asks for an address
      await next();
      proxy.recover();
      expect(await shown(page, published.length)).toEqual(published);
      await next();
      expect(await shown(page, published.length)).toEqual(published);
    },
    BROWSER_TEST_MS,
  );

  test(
    "goes on when its token is refused, because the secret that signed it was withdrawn",
    async () => {
      const lasting = "the-second-secret-of-the-app-that-stays-on";
      await using gateway = await startGateway({ settings: { SOCKET_RETRY: "100ms" } });
      await gateway.kill();
      await gateway.start({ APP_SECRET: `${gateway.secret},${lasting}` }); // the first signs
      await using backend = await startBackend("backend.ts", gateway, { secret: lasting });
      await using page = await browser.newPage();
      await page.goto(backend.url);
      await listened(gateway, "news");
      await publish(gateway, { channel: "news", data: "before" });
      await shown(page, 1);
      await publish(gateway, { channel: "news", data: "on its way" });
      await gateway.kill();
      const asked = page.waitForRequest("**/address");
      await gateway.start({ APP_SECRET: lasting });
      await asked;
      expect(await shown(page, 2)).toEqual(["before", "on its way"]);
    },
    BROWSER_TEST_MS,
  );
}
