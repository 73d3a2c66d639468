import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser } from "playwright-core";
import { BROWSER_TEST_MS, openBrowser } from "../setup/browser.ts";
import { publish, publishAll, startGateway, subscribe } from "../setup/gateway.ts";
import { Listening } from "../setup/listening.ts";
import { servePages } from "../setup/pages.ts";
import { program } from "../setup/programs.ts";

const chromium = program("chromium");
if (chromium !== null) describe("EventSource in Chromium, on a page of another origin", () => listens(chromium));

function listens(path: string): void {
  let browser: Browser;
  beforeAll(async () => void (browser = await openBrowser(path)), BROWSER_TEST_MS);
  afterAll(() => browser.close());

  test(
    "gets each message with its event, data and id",
    async () => {
      await using gateway = await startGateway();
      using pages = servePages();
      await using page = await browser.newPage();
      await page.goto(pages.origin);
      const listening = await Listening.open(page, (await subscribe(gateway, "news")).url, ["price"]);
      await listening.untilState(1);
      const first = await publish(gateway, { channel: "news", data: "two\nlines: grüße" });
      const second = await publish(gateway, { channel: "news", event: "price", data: { eur: 12 } });
      expect(await listening.until(2)).toEqual([
        { data: "two\nlines: grüße", id: first.id },
        { data: '{"eur":12}', id: second.id },
      ]);
    },
    BROWSER_TEST_MS,
  );

  test(
    "goes on after kill -9 and a restart, with each message once and in order",
    async () => {
      await using gateway = await startGateway({ settings: { SOCKET_RETRY: "100ms" } });
      using pages = servePages();
      await using page = await browser.newPage();
      await page.goto(pages.origin);
      const { url } = await subscribe(gateway, "news");
      const listening = await Listening.open(page, `${url}&since=earliest`);
      await listening.untilState(1);
      const published: string[] = [];
      for (let round = 0; round < 3; round++) {
        const batch = Array.from({ length: 20 }, (_, i) => ({ channel: "news", data: `${round}.${i}` }));
        await publishAll(gateway, batch);
        published.push(...batch.map(({ data }) => data));
        // Killed with the messages on their way: some were seen, some were not.
        await gateway.kill();
        await listening.untilState(0);
        await gateway.start();
        await publish(gateway, { channel: "news", data: `${round}.after` });
        published.push(`${round}.after`);
      }
      const seen = await listening.until(published.length);
      expect(seen.map(({ data }) => data)).toEqual(published);
    },
    BROWSER_TEST_MS,
  );

  test(
    "opens for the origins that the app lists and for no others",
    async () => {
      using listed = servePages();
      using other = servePages();
      await using gateway = await startGateway({ settings: { SOCKET_CORS_ORIGINS: listed.origin } });
      await using page = await browser.newPage();
      await using refused = await browser.newPage();
      await page.goto(listed.origin);
      await refused.goto(other.origin);
      const { url } = await subscribe(gateway, "news");
      const listening = await Listening.open(page, url);
      await listening.untilState(1);
      const given = await Listening.open(refused, url);
      await given.untilState(2);
      expect(await publish(gateway, { channel: "news", data: "for one" })).toMatchObject({ subscribers: 1 });
      expect(await listening.until(1)).toMatchObject([{ data: "for one" }]);
    },
    BROWSER_TEST_MS,
  );

  test(
    "lets no page of another origin publish",
    async () => {
      await using gateway = await startGateway();
      using pages = servePages();
      await using page = await browser.newPage();
      await page.goto(pages.origin);
      const outcome = await page.evaluate(
        async ([url, secret]) => {
          try {
            const headers = { Authorization: `key=${secret}` };
            await fetch(`${url}/chat/send`, {
              method: "POST",
              headers,
              body: new URLSearchParams({ channel: "news" }),
            });
            return "answered";
          } catch {
            return "blocked by the browser";
          }
        },
        [gateway.url, gateway.secret] as const,
      );
      expect(outcome).toBe("blocked by the browser");
      // The next message is the first one: nothing was published.
      expect((await publish(gateway, { channel: "news" })).id).toEndWith("-1");
    },
    BROWSER_TEST_MS,
  );
}
