import { type Browser, chromium } from "playwright-core";
import { EventSource } from "eventsource";
import { Gateway } from "./gateway.ts";
import { Heard } from "./heard.ts";
import { Ledger, readHistory } from "./ledger.ts";
import { type Front, nginx, straight } from "./front.ts";
import type { Proof } from "./proof.ts";
import { Publisher } from "./publisher.ts";
import { type Report, whole } from "./report.ts";

const CHANNELS = ["news", "room.1", "room.2"];
/** What the listeners of `eventsource`, and those in Chromium, listen to. A browser opens six streams to an origin. */
const SELECTIONS = [["news"], ["room.*"], ["news", "room.1"], ["**"]];
const PUBLISHERS = 4;

const SETTINGS = { SOCKET_DRAIN: "2s", SOCKET_RETRY: "500ms", SOCKET_HISTORY_COUNT: "0", SOCKET_HISTORY_BYTES: "0" };

/** How long every process serves before the next takes over, at least. */
const SERVES_MS = 1000;
/** How long the last message may take to reach a listener, which may be waiting to come back. */
const LAST_WITHIN_MS = 30_000;

export const rolling: Proof<"rounds"> = {
  name: "rolling",
  title: "processes take turns on one store and one port under publishing, with and without nginx in front",
  options: { rounds: { what: "how often a process takes over, each way", full: 6, quick: 1 } },
  limitS: ({ rounds }) => 120 + rounds * 30,

  async prove(report, { rounds }) {
    const path = ["chromium", "chromium-browser", "google-chrome"].map((name) => Bun.which(name)).find(Boolean);
    if (path == null) report.say("Chromium is left out: not installed. On Debian: apt-get install chromium");
    const browser = path == null ? null : await chromium.launch({ executablePath: path, args: ["--no-sandbox"] });
    try {
      await roll(report, rounds, this.limitS({ rounds }), straight, browser);
      if (Bun.which("nginx") !== null) await roll(report, rounds, this.limitS({ rounds }), nginx, browser);
      else report.say("nginx is left out: not installed. On Debian: apt-get install nginx-light");
    } finally {
      await browser?.close();
    }
  },
};

async function roll(
  report: Report,
  rounds: number,
  lifeS: number,
  inFront: (gateway: Gateway) => Promise<Front>,
  browser: Browser | null,
): Promise<void> {
  let gateway = new Gateway(report, SETTINGS, lifeS);
  await gateway.start();
  const front = await inFront(gateway);
  const ledger = new Ledger(report);
  const addressOf = (names: readonly string[]) =>
    `http://127.0.0.1:${front.port}/stream?${names.map((name) => `channel=${name}`).join("&")}`;
  const sources = SELECTIONS.map((names) => listen(report, names, addressOf(names)));
  const inPage = browser === null ? [] : await listenInPage(report, browser, addressOf);
  const ears = [...sources.map(({ heard }) => heard), ...inPage];

  const stopping = { now: false };
  const publishing = Array.from({ length: PUBLISHERS }, (_, i) =>
    publishUntil(stopping, new Publisher(front.port), ledger, i),
  );
  for (let round = 0; round < rounds; round++) {
    await Bun.sleep(SERVES_MS);
    const next = new Gateway(report, SETTINGS, lifeS, { predecessor: gateway });
    // Either the next one waits beside the one that drains, or it is started when that has gone.
    if (round % 2 === 0) next.spawn();
    await gateway.drain();
    if (round % 2 === 1) next.spawn();
    await next.ready();
    gateway = next;
    report.say(`${front.name}: ${round + 1} of ${rounds}, ${whole(ledger.acknowledged)} acknowledged`);
  }
  await Bun.sleep(SERVES_MS);
  stopping.now = true;
  await Promise.all(publishing);
  const last = CHANNELS.map((channel) => ({ channel, data: `the end of ${channel}` }));
  await ledger.publish(new Publisher(front.port), last, "the-end");
  await Promise.race([Promise.all(ears.map((one) => one.hears("the end of"))), Bun.sleep(LAST_WITHIN_MS)]);
  const kept = await readHistory(gateway.port, CHANNELS);
  for (const { source } of sources) source.close();
  await Promise.all(browser?.contexts().map((context) => context.close()) ?? []);
  await gateway.stop();
  await front.end();

  report.figure(`${front.name}: take-overs`, whole(rounds));
  report.figure(`${front.name}: messages acknowledged, all with keys`, whole(ledger.acknowledged));
  report.figure(`${front.name}: publishes tried again`, whole(ledger.unanswered));
  report.figure(`${front.name}: listeners`, `${sources.length} of eventsource, ${inPage.length} in Chromium`);
  ledger.compare(kept);
  for (const one of ears) one.compare(kept);
}

/** A listener of the npm package `eventsource`. */
function listen(report: Report, names: readonly string[], address: string): { heard: Heard; source: EventSource } {
  const heard = new Heard(report, names);
  const source = new EventSource(address);
  const open = report.claim("no EventSource gives up, and none is told a gap");
  source.addEventListener("message", ({ lastEventId, data }) => {
    open.check(true, () => "");
    heard.hear(lastEventId, data as string);
  });
  source.addEventListener("socket:open", ({ lastEventId }) => heard.begins(lastEventId));
  source.addEventListener("socket:gap", ({ data }) =>
    open.check(false, () => `${names.join()} in eventsource: ${data}`),
  );
  source.addEventListener("error", () =>
    open.check(source.readyState !== EventSource.CLOSED, () => `${names.join()} in eventsource gave up`),
  );
  return { heard, source };
}

/** Listeners in a page of another origin. */
async function listenInPage(
  report: Report,
  browser: Browser,
  addressOf: (names: readonly string[]) => string,
): Promise<Heard[]> {
  const page = await (await browser.newContext()).newPage();
  const open = report.claim("no EventSource gives up, and none is told a gap");
  const all = SELECTIONS.map((names) => new Heard(report, names));
  await page.exposeFunction("tell", (i: number, kind: string, id: string, data: string) => {
    if (kind === "message") all[i]!.hear(id, data);
    else if (kind === "open") all[i]!.begins(id);
    open.check(kind === "message" || kind === "open", () => `${SELECTIONS[i]!.join()} in Chromium: ${kind} ${data}`);
  });
  using pages = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("<!doctype html>", HTML) });
  await page.goto(pages.url.href);
  await page.evaluate(
    (addresses) => {
      const { tell } = globalThis as unknown as { tell: (i: number, kind: string, id: string, data: string) => void };
      addresses.forEach((address, i) => {
        const source = new globalThis.EventSource(address);
        const on = (event: string, kind: string) =>
          source.addEventListener(event, (message) => tell(i, kind, message.lastEventId, message.data as string));
        on("message", "message");
        on("socket:open", "open");
        on("socket:gap", "gap");
        source.addEventListener("error", () => {
          if (source.readyState === globalThis.EventSource.CLOSED) tell(i, "gave up", "", "");
        });
      });
    },
    SELECTIONS.map((names) => addressOf(names)),
  );
  return all;
}

const HTML = { headers: { "Content-Type": "text/html" } };

/** One message after another, each with a key, until it is acknowledged. */
async function publishUntil(
  stopping: { readonly now: boolean },
  publisher: Publisher,
  ledger: Ledger,
  nth: number,
): Promise<void> {
  for (let count = 0; !stopping.now; count++) {
    const data = `${nth}.${count}`;
    await ledger.publish(publisher, [{ channel: CHANNELS[count % CHANNELS.length]!, data }], data);
    await Bun.sleep(2);
  }
  publisher.close();
}
