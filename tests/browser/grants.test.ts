import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser } from "playwright-core";
import { BROWSER_TEST_MS, openBrowser } from "../setup/browser.ts";
import { freePort, listened, publish, startGateway, subscribe } from "../setup/gateway.ts";
import { Listening } from "../setup/listening.ts";
import { servePages } from "../setup/pages.ts";
import { program } from "../setup/programs.ts";

const chromium = program("chromium");
if (chromium !== null) describe("grants in Chromium, on a page of another origin", () => grants(chromium));

/** Runs in a page: its status, or 0 where the browser does not let the page see it. */
async function setCookie([url, token]: readonly [string, string]): Promise<number> {
  try {
    const body = new URLSearchParams({ token });
    return (await fetch(`${url}/channel/cookie`, { method: "POST", credentials: "include", body })).status;
  } catch {
    return 0;
  }
}

function grants(path: string): void {
  let browser: Browser;
  beforeAll(async () => void (browser = await openBrowser(path)), BROWSER_TEST_MS);
  afterAll(() => browser.close());

  test(
    "a cookie opens the stream of a listed page, and of no other",
    async () => {
      using listed = servePages();
      using other = servePages();
      await using gateway = await startGateway({ settings: { SOCKET_COOKIE_ORIGINS: listed.origin } });
      const { token } = await subscribe(gateway, "news");
      const context = await browser.newContext(); // one user with two pages
      const [page, stranger] = [await context.newPage(), await context.newPage()];
      await page.goto(listed.origin);
      await stranger.goto(other.origin);
      const address = `${gateway.url}/channel/news/stream`;
      expect(await stranger.evaluate(setCookie, [gateway.url, token] as const)).not.toBe(200);
      const early = await Listening.open(page, address, [], true);
      await early.untilState(2);

      expect(await page.evaluate(setCookie, [gateway.url, token] as const)).toBe(200);
      expect(await page.evaluate(() => document.cookie)).toBe("");
      const listening = await Listening.open(page, address, [], true);
      await listening.untilState(1);
      const refused = await Listening.open(stranger, address, [], true);
      await refused.untilState(2);
      expect(await publish(gateway, { channel: "news", data: "for one" })).toMatchObject({ subscribers: 1 });
      expect(await listening.until(1)).toMatchObject([{ data: "for one" }]);
      await context.close();
    },
    BROWSER_TEST_MS,
  );

  test(
    "a renewed stream outlives its token, and its EventSource comes back with the old address after a restart",
    async () => {
      const port = freePort();
      const settings = { SOCKET_RETRY: "100ms", SOCKET_HEARTBEAT: "200ms" };
      await using gateway = await startGateway({ port, settings });
      using pages = servePages();
      await using page = await browser.newPage();
      await page.goto(pages.origin);
      const old = await subscribe(gateway, "news", { ttl: 3, user: "ann" });
      const fresh = await subscribe(gateway, "news", { ttl: 600, user: "ann" });
      const listening = await Listening.open(page, old.url, ["socket:token", "socket:close"]);
      const [told] = await listening.until(1);
      const { stream } = JSON.parse(told!.data) as { stream: string };
      const renewed = await page.evaluate(
        async ([url, form]) => {
          const answer = await fetch(`${url}/channel/renew`, { method: "POST", body: new URLSearchParams(form) });
          return ((await answer.json()) as { data: unknown }).data;
        },
        [gateway.url, { stream, token: fresh.token }] as const,
      );
      expect(renewed).toEqual({ stream, expires_at: fresh.expires_at });
      await gateway.kill();
      // A token's time is the wall clock's, and another process looks at it.
      await new Promise((resolve) => setTimeout(resolve, Date.parse(old.expires_at) - Date.now()));
      await gateway.start();
      await listened(gateway, "news");
      await publish(gateway, { channel: "news", data: "still here" });
      expect((await listening.until(2)).map(({ data }) => data)).toEqual([told!.data, "still here"]);
    },
    BROWSER_TEST_MS,
  );
}
