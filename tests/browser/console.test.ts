import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { BROWSER_TEST_MS, openBrowser } from "../setup/browser.ts";
import { type Gateway, listened, publish, publishAll, startGateway, subscribe } from "../setup/gateway.ts";
import { startHoldingProxy } from "../setup/holding-proxy.ts";
import { servePages } from "../setup/pages.ts";
import { program } from "../setup/programs.ts";

const chromium = program("chromium");
if (chromium !== null) describe("the console in Chromium", () => isUsed(chromium));

const QUICKLY = { settings: { SOCKET_RETRY: "100ms" } };

/** The console, past its door; `typed` is the secret, a token, or an address. */
async function enter(page: Page, url: string, typed: string): Promise<void> {
  await page.goto(`${url}/console`);
  await open(page, typed);
  await page.getByRole("link", { name: "Listen" }).waitFor();
}

async function open(page: Page, typed: string): Promise<void> {
  await page.getByLabel("App secret, token").fill(typed);
  await page.getByRole("button", { name: "Open", exact: true }).click();
}

/** Listens to these channels, past the first `socket:live`. */
async function listen(page: Page, channels: string, beginning = "last=20"): Promise<void> {
  await page.getByRole("button", { name: "Remove channel news" }).click();
  await page.getByLabel("Channels and patterns").fill(channels);
  await page.locator("#beginning").selectOption(beginning);
  await page.getByRole("button", { name: "Listen", exact: true }).click();
  await page.locator(".row.live").first().waitFor();
}

async function view(page: Page, name: string): Promise<void> {
  await page.getByRole("link", { name }).click();
  await page.getByRole("main", { name, exact: true }).waitFor();
}

/** Resolves with the data of the messages that are shown, newest first, once they are so many. */
async function shown(page: Page, count: number): Promise<readonly string[]> {
  const rows = page.locator(".row.message:not([hidden])");
  await rows.nth(count - 1).waitFor({ state: "attached" });
  return rows.locator(".data").allTextContents();
}

/** All that goes wrong in the page, as it comes: errors of scripts, and what a policy forbade. */
function wrongIn(page: Page): readonly string[] {
  const wrong: string[] = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  return wrong;
}

/** Runs a line in a shell that has the app's secret; what it wrote when `until` was in it, or when it ended. */
async function shell(gateway: Gateway, line: string, until?: string): Promise<string> {
  const env = { PATH: process.env["PATH"] ?? "", APP_SECRET: gateway.secret };
  const child = Bun.spawn(["sh", "-c", line], { env, cwd: gateway.folder, stdin: "ignore", stderr: "ignore" });
  try {
    let output = "";
    const decoder = new TextDecoder();
    for await (const bytes of child.stdout) {
      output += decoder.decode(bytes, { stream: true });
      if (until !== undefined && output.includes(until)) break;
    }
    return output;
  } finally {
    child.kill();
    await child.exited;
  }
}

function inBrowser(words: string, run: () => Promise<void>): void {
  test(words, run, BROWSER_TEST_MS);
}

function isUsed(path: string): void {
  let browser: Browser;
  beforeAll(async () => void (browser = await openBrowser(path)), BROWSER_TEST_MS);
  afterAll(() => browser.close());

  inBrowser("listens and publishes by clicks, and the secret stands in no address and no log line", async () => {
    await using gateway = await startGateway({ settings: { SOCKET_LOG_LEVEL: "debug" } });
    await using page = await browser.newPage();
    const wrong = wrongIn(page);
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(gateway.url);
    expect(page.url()).toBe(`${gateway.url}/console`);
    await enter(page, gateway.url, gateway.secret);
    await listen(page, "news,room.*");
    await publish(gateway, { channel: "room.1", event: "joined", data: "ann" });
    expect(await shown(page, 1)).toEqual(["ann"]);

    await view(page, "Publish");
    await page.getByLabel("Channel", { exact: true }).fill("news");
    await page.getByLabel("Data", { exact: true }).fill("from the page");
    await page.getByRole("button", { name: "Publish", exact: true }).click();
    await page.getByText("1 stream", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Batch" }).click();
    await page.getByRole("button", { name: "Make one" }).click();
    await page.getByRole("button", { name: "Publish", exact: true }).click();
    await page.getByText("2 published").waitFor();
    await page.getByRole("button", { name: "Publish", exact: true }).click(); // the same key: nothing further
    await page.locator(".answer").nth(2).waitFor();

    await view(page, "Listen");
    expect(await shown(page, 4)).toEqual(['{ "user": "ann" }', "hello", "from the page", "ann"]);
    expect(await page.locator("#state").textContent()).toBe("live");
    expect(wrong).toEqual([]);
    expect(asked.filter((url) => !url.startsWith(gateway.url) || url.includes(gateway.secret))).toEqual([]);
    expect(gateway.output).not.toContain(gateway.secret);
  });

  inBrowser("refuses JSON that is none before it is sent, and shows what the gateway refuses", async () => {
    await using gateway = await startGateway();
    await using page = await browser.newPage();
    await enter(page, gateway.url, gateway.secret);
    await view(page, "Publish");
    await page.getByLabel("Data", { exact: true }).fill('{"n": 12345678901234567890');
    await page.getByRole("button", { name: "JSON", exact: true }).click();
    await page.getByRole("button", { name: "Publish", exact: true }).click();
    expect(await page.locator("#publish-wrong").textContent()).toContain("Not JSON");
    await page.getByLabel("Data", { exact: true }).fill('{"n": 12345678901234567890}');
    await page.getByLabel("Event", { exact: true }).fill("socket:open");
    await page.getByRole("button", { name: "Publish", exact: true }).click();
    await page.getByText("The event name is not valid").waitFor();
    await page.getByLabel("Event", { exact: true }).fill("");
    await page.getByRole("button", { name: "Publish", exact: true }).click();
    await page.locator(".answer").waitFor();
    const answer = await fetch(`${gateway.url}/channel/news/history`, {
      headers: { Authorization: `key=${gateway.secret}` },
    });
    expect(await answer.text()).toContain('"data":{"n": 12345678901234567890}');
  });

  inBrowser("folds JSON, with the digits that were given", async () => {
    await using gateway = await startGateway();
    await using page = await browser.newPage();
    const answer = await fetch(`${gateway.url}/chat/send`, {
      method: "POST",
      headers: { Authorization: `key=${gateway.secret}`, "Content-Type": "application/json" },
      body: '{"channel":"news","data":{"n":12345678901234567890,"deep":{"list":[1,2]}}}',
    });
    expect(answer.status).toBe(200);
    await enter(page, gateway.url, gateway.secret);
    await page.getByRole("button", { name: "Listen", exact: true }).click();
    await page.getByRole("button", { name: "Formatted" }).click();
    await page.getByText("12345678901234567890", { exact: true }).waitFor();
    expect(await page.getByText("2 items").isVisible()).toBe(false);
    await page.locator(".json summary", { hasText: '"list"' }).click();
    await page.getByText("2 items").waitFor();
  });

  inBrowser("shows a hundred members of a large message, and the rest when it is asked to", async () => {
    await using gateway = await startGateway();
    await using page = await browser.newPage();
    await publish(gateway, { channel: "news", data: { list: Array.from({ length: 5000 }, (_, i) => ({ i })) } });
    await enter(page, gateway.url, gateway.secret);
    await page.getByRole("button", { name: "Listen", exact: true }).click();
    await page.getByRole("button", { name: "Formatted" }).click();
    await page.getByRole("button", { name: "4900 more" }).click();
    await page.getByRole("button", { name: "4800 more" }).waitFor();
    expect(await page.locator(".json *").count()).toBeLessThan(5000);
  });

  inBrowser("holds back what comes while it is paused, and filters what is there", async () => {
    await using gateway = await startGateway();
    await using page = await browser.newPage();
    await enter(page, gateway.url, gateway.secret);
    await listen(page, "news");
    await publish(gateway, { channel: "news", data: "one" });
    await shown(page, 1);
    await page.getByRole("button", { name: "Pause" }).click();
    await publishAll(gateway, [
      { channel: "news", data: "two" },
      { channel: "news", data: "three" },
    ]);
    await page.getByText("2 held back").waitFor();
    expect(await shown(page, 1)).toEqual(["one"]);
    await page.getByRole("button", { name: "Resume" }).click();
    expect(await shown(page, 3)).toEqual(["three", "two", "one"]);

    await page.getByLabel("Filter rows by text").fill("TW");
    await page.getByText("1 of 5 rows match").waitFor(); // open and live are rows too
    expect(await shown(page, 1)).toEqual(["two"]);
    await publish(gateway, { channel: "news", data: "twenty" });
    expect(await shown(page, 2)).toEqual(["twenty", "two"]);
    await page.getByLabel("Filter rows by text").fill("");
    expect(await shown(page, 4)).toEqual(["twenty", "three", "two", "one"]);
  });

  inBrowser("keeps 2,000 rows of a flood, the newest", async () => {
    await using gateway = await startGateway();
    await using page = await browser.newPage();
    await enter(page, gateway.url, gateway.secret);
    await listen(page, "flood");
    for (let i = 0; i < 2500; i += 100) {
      await publishAll(
        gateway,
        Array.from({ length: 100 }, (_, j) => ({ channel: "flood", data: String(i + j) })),
      );
    }
    await page.getByText("2,500 messages, the newest 2,000 rows kept").waitFor();
    const rows = await shown(page, 2000);
    expect(rows.length).toBe(2000);
    expect([rows[0], rows.at(-1)]).toEqual(["2499", "500"]);
  });

  inBrowser("shows a restart as a reconnect, and what was published meanwhile once", async () => {
    await using gateway = await startGateway(QUICKLY);
    await using page = await browser.newPage();
    await enter(page, gateway.url, gateway.secret);
    await listen(page, "news");
    const { id } = await publish(gateway, { channel: "news", data: "before" });
    await shown(page, 1);
    await gateway.kill();
    await page.locator(".row.reconnect", { hasText: `asks for what follows ${id}` }).waitFor();
    expect(await page.locator("#state").textContent()).toBe("reconnecting");
    await gateway.start();
    await publish(gateway, { channel: "news", data: "meanwhile" });
    await page.locator(".row.open", { hasText: "nothing is missing" }).waitFor();
    expect(await shown(page, 2)).toEqual(["meanwhile", "before"]);
    expect(await page.locator(".row.gap").count()).toBe(0);
  });

  inBrowser("says in plain words that a store was lost", async () => {
    await using gateway = await startGateway({ settings: { SOCKET_RETRY: "100ms", SOCKET_BROKER: "memory:" } });
    await using page = await browser.newPage();
    await enter(page, gateway.url, gateway.secret);
    await listen(page, "news");
    await publish(gateway, { channel: "news", data: "before" });
    await shown(page, 1);
    await gateway.kill();
    await gateway.start();
    await page.locator(".row.gap", { hasText: "the store was lost, or came back older" }).waitFor();
    await page.locator(".row.open", { hasText: "the gap says what" }).waitFor();
  });

  inBrowser("goes on with a fresh token when a proxy's error made EventSource give up", async () => {
    await using gateway = await startGateway(QUICKLY);
    await using page = await browser.newPage();
    await enter(page, gateway.url, gateway.secret);
    await listen(page, "news");
    await publish(gateway, { channel: "news", data: "before" });
    await shown(page, 1);
    await page.route("**/channel/news/stream*", (route) => route.fulfill({ status: 502, body: "Bad Gateway" }));
    await gateway.kill();
    await gateway.start();
    await page.locator(".row.refused", { hasText: "answered 502" }).waitFor();
    await publish(gateway, { channel: "news", data: "meanwhile" });
    await page.unroute("**/channel/news/stream*");
    expect(await shown(page, 2)).toEqual(["meanwhile", "before"]);
  });

  inBrowser("renews its token, and says when the stream was revoked", async () => {
    await using gateway = await startGateway({ settings: { SOCKET_TOKEN_TTL: "5s", SOCKET_RETRY: "100ms" } });
    await using page = await browser.newPage();
    await enter(page, gateway.url, gateway.secret);
    await listen(page, "news");
    await page.locator(".row.token", { hasText: "Renewed" }).waitFor();
    const headers = { Authorization: `key=${gateway.secret}` };
    const { data } = (await (await fetch(`${gateway.url}/streams`, { headers })).json()) as {
      data: { streams: readonly { user: string }[] };
    };
    const body = new URLSearchParams({ user: data.streams[0]!.user });
    await fetch(`${gateway.url}/channel/revoke`, { method: "POST", headers, body });
    await page.locator(".row.close", { hasText: "revoked" }).waitFor();
    expect(await page.locator("#state").textContent()).toBe("not listening");
    await page.getByRole("button", { name: "Listen", exact: true }).waitFor();
  });

  inBrowser("listens by a token, by the address of a stream, and to public channels by nothing", async () => {
    await using gateway = await startGateway({ settings: { SOCKET_PUBLIC_CHANNELS: "open.*" } });
    await publishAll(gateway, [
      { channel: "news", data: "granted" },
      { channel: "open.1", data: "public" },
    ]);
    const { token, url } = await subscribe(gateway, "news");
    for (const typed of [token, url]) {
      await using page = await browser.newPage();
      await enter(page, gateway.url, typed);
      await page.getByRole("button", { name: "Listen", exact: true }).click();
      expect(await shown(page, 1)).toEqual(["granted"]);
      await view(page, "Channels");
      await page.getByText("The list of channels takes the app’s secret").waitFor();
    }
    await using page = await browser.newPage();
    await page.goto(`${gateway.url}/console`);
    await page.getByRole("button", { name: "Go on without" }).click();
    await view(page, "Listen");
    await page.getByRole("button", { name: "Listen", exact: true }).click();
    await page.locator(".row.refused", { hasText: "credential" }).waitFor();
    await listen(page, "open.1");
    expect(await shown(page, 1)).toEqual(["public"]);
  });

  inBrowser("keeps the secret over a reload only where that was ticked, and forgets it on signing out", async () => {
    await using gateway = await startGateway();
    await using page = await browser.newPage();
    await page.goto(`${gateway.url}/console`);
    await open(page, "not-the-secret-of-any-app-of-this-node");
    await page.getByText("The credential is missing or not valid").waitFor();
    await open(page, gateway.secret);
    await page.getByRole("link", { name: "Listen" }).waitFor();
    await page.reload();
    await page.getByLabel("App secret, token").waitFor();
    expect(await page.evaluate(() => sessionStorage.length + localStorage.length)).toBe(0);

    await page.getByLabel("Keep it in this tab").check();
    await open(page, gateway.secret);
    await page.getByRole("link", { name: "Listen" }).waitFor();
    await page.reload();
    await page.getByRole("link", { name: "Listen" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("App secret, token").waitFor();
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
  });

  inBrowser("shows channels, subscribers and rates as they move", async () => {
    await using gateway = await startGateway();
    await using page = await browser.newPage();
    await enter(page, gateway.url, gateway.secret);
    await view(page, "Channels");
    await page.getByText("No channel holds a message").waitFor();
    await page.getByLabel("Count messages").check();
    await listened(gateway, "orders.eu"); // by the page's `**`
    for (let i = 0; i < 3; i++) await publish(gateway, { channel: "orders.eu", data: i });
    const row = page.getByRole("row", { name: "orders.eu" });
    await row.getByText("#3").waitFor();
    await page.locator("#total-messages", { hasText: "3" }).waitFor();
    await page.locator("#total-streams", { hasText: "1" }).waitFor();
    expect(Number(await row.locator("td").first().textContent())).toBe(1);
    await row.locator(".plot[aria-label*='at most 3'], .plot[aria-label*='at most 2']").waitFor();
    await publish(gateway, { channel: "news", data: "x" });
    await page.getByRole("row", { name: "news" }).waitFor();
    await page.getByLabel("Beginning of a channel’s name").fill("ord");
    await page.getByRole("row", { name: "news" }).waitFor({ state: "detached" });

    await row.getByRole("button", { name: "Listen to orders.eu" }).click();
    expect(await shown(page, 3)).toEqual(["2", "1", "0"]);
    await listened(gateway, "orders.eu"); // what counted is closed with its view
  });

  inBrowser("shows who listens, and finds them by user and by channel", async () => {
    await using gateway = await startGateway();
    await using page = await browser.newPage();
    const open = new AbortController();
    const answers: Response[] = []; // one that nobody holds is ended
    for (const [channel, user] of [
      ["news", "ann"],
      ["room.*", "bob"],
    ] as const) {
      const { url } = await subscribe(gateway, channel, { user });
      answers.push(await fetch(url, { signal: open.signal }));
    }
    await enter(page, gateway.url, gateway.secret);
    await view(page, "Streams");
    await page.getByText("2 on this node, 0 behind").waitFor();
    await page.getByRole("row", { name: "ann live news" }).waitFor();
    await page.getByLabel("Streams of this user").fill("bob");
    await page.getByRole("row", { name: "ann live" }).waitFor({ state: "detached" });
    await page.getByLabel("Streams of this user").fill("");
    await page.getByLabel("Streams that a message on this channel reaches").fill("room.1");
    await page.getByRole("row", { name: "bob live room.*" }).waitFor();
    open.abort();
    await page.getByText("No stream is found by this").waitFor();
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  });

  inBrowser("copies lines that run as they are", async () => {
    await using gateway = await startGateway();
    const context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
    try {
      const page = await context.newPage();
      await enter(page, gateway.url, gateway.secret);
      await publish(gateway, { channel: "it's$(touch${IFS}pwned)`touch${IFS}pwned`\"", data: "odd" });
      await publish(gateway, { channel: "news", data: "kept" });
      await listen(page, "news,it's$(touch${IFS}pwned)`touch${IFS}pwned`\"");
      await page.getByText("The same as code").click();
      const copied = async (name: string): Promise<string> => {
        await page.getByRole("button", { name, exact: true }).click();
        await page.getByText("Copied").waitFor();
        await page.getByText("Copied").waitFor({ state: "detached" });
        return page.evaluate(() => navigator.clipboard.readText());
      };
      expect(await shell(gateway, await copied("Copy curl"), '"data":"kept"')).toContain('"data":"odd"');
      expect(await shell(gateway, await copied("Copy An address for a page"))).toContain('"code":0');
      const script = await copied("Copy EventSource");
      expect(script).not.toContain(gateway.secret);
      using pages = servePages();
      const other = await context.newPage();
      await other.goto(pages.origin);
      const said = other.waitForEvent("console");
      await other.addScriptTag({ content: script });
      expect((await (await said).args()[0]!.jsonValue()) as unknown).toMatchObject({ data: "odd" });

      await view(page, "Publish");
      await page.getByLabel("Channel", { exact: true }).fill("news");
      await page.getByLabel("Data", { exact: true }).fill("it's $(touch pwned)");
      await page.getByLabel("Idempotency key").fill("a'b");
      const line = await copied("Copy as curl");
      expect(await shell(gateway, line)).toContain('"channel":"news"');
      await view(page, "Listen");
      expect((await shown(page, 3))[0]).toBe("it's $(touch pwned)");
      expect(await Bun.file(`${gateway.folder}/pwned`).exists()).toBe(false);
    } finally {
      await context.close();
    }
  });

  inBrowser("is in the single file that `bun build --compile` makes", async () => {
    await using gateway = await startGateway();
    const file = `${gateway.folder}/service-socket`;
    const built = Bun.spawn([process.execPath, "build", "--compile", "src/main.ts", "--outfile", file], {
      cwd: `${import.meta.dir}/../..`,
      stdio: ["ignore", "ignore", "ignore"],
    });
    expect(await built.exited).toBe(0);
    const own = await (await fetch(`${gateway.url}/console`)).text();
    await gateway.kill();
    const env = {
      PORT: String(gateway.port),
      APP_SECRET: gateway.secret,
      SOCKET_HOST: "127.0.0.1",
      SOCKET_BROKER: "memory:",
    };
    const child = Bun.spawn([file], { cwd: gateway.folder, env, stdio: ["ignore", "pipe", "ignore"] });
    try {
      await child.stdout.getReader().read(); // its start-up text: it listens
      const page = await browser.newPage();
      const wrong = wrongIn(page);
      await enter(page, gateway.url, gateway.secret);
      expect(await (await fetch(`${gateway.url}/console`)).text()).toBe(own);
      expect(wrong).toEqual([]);
      await page.close();
    } finally {
      child.kill();
      await child.exited;
    }
  });

  for (const [words, holding, found] of [
    [
      "nothing stands between",
      {},
      ["Not held back", "Stayed open for 5.0 s", "HTTP/1.1", "Not compressed", "CORS: Pages of every origin"],
    ],
    ["a proxy holds it back", { holdMs: 2000 }, ["Held back by up to"]],
    ["a proxy cuts it", { cutMs: 3500 }, ["Cut after"]],
  ] as const) {
    inBrowser(`the doctor says that ${words}`, async () => {
      await using gateway = await startGateway();
      await using proxy = startHoldingProxy({ to: gateway.url, ...holding });
      await using page = await browser.newPage();
      await enter(page, proxy.url, gateway.secret);
      await view(page, "Doctor");
      await page.getByLabel("For how long").selectOption("5");
      await page.getByRole("button", { name: "Examine" }).click();
      await page.locator(".finding").first().waitFor();
      const titles = await page.locator(".finding h3").allTextContents();
      for (const title of found) expect(titles.join("; ")).toContain(title);
      const troubles = await page.locator(".finding.bad").count();
      expect(troubles).toBe(words === "nothing stands between" ? 0 : 1);
    });
  }

  for (const colorScheme of ["light", "dark"] as const) {
    inBrowser(
      `is seen in ${colorScheme}, on a desk and on a phone, with nothing wrong and nothing cut off`,
      async () => {
        await using gateway = await startGateway();
        await publishAll(gateway, [
          { channel: "news", data: { text: "x".repeat(500), nested: [{ a: 1 }] } },
          { channel: `long.${"n".repeat(190)}`, event: "e".repeat(200), data: "y".repeat(2000) },
        ]);
        for (const viewport of [
          { width: 1280, height: 800 },
          { width: 360, height: 740 },
        ]) {
          const context = await browser.newContext({ viewport, colorScheme, isMobile: viewport.width < 400 });
          try {
            const page = await context.newPage();
            const wrong = wrongIn(page);
            await enter(page, gateway.url, gateway.secret);
            await listen(page, "**");
            await page.getByRole("button", { name: "Formatted" }).click();
            await shown(page, 2);
            const images = new Set<string>();
            for (const name of ["Listen", "Publish", "Channels", "Streams", "Doctor"]) {
              await view(page, name);
              if (name === "Channels") await page.getByRole("row", { name: "news" }).waitFor();
              if (name === "Streams") await page.getByText("1 on this node").waitFor();
              images.add((await page.screenshot()).toString("base64"));
              expect([name, await page.evaluate(() => document.documentElement.scrollWidth)]).toEqual([
                name,
                viewport.width,
              ]);
            }
            expect(images.size).toBe(5);
            const [r = 0] = await page.evaluate(() =>
              getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g)!.map(Number),
            );
            expect(r > 128).toBe(colorScheme === "light");
            expect(wrong).toEqual([]);
          } finally {
            await context.close();
          }
        }
      },
    );
  }
}
