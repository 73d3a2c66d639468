import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import { BROWSER_TEST_MS, openBrowser } from "../setup/browser.ts";
import { makeCertificate } from "../setup/certificate.ts";
import { startGateway } from "../setup/gateway.ts";
import { program } from "../setup/programs.ts";

const chromium = program("chromium");
if (chromium !== null) describe("over HTTP/2, in Chromium", () => listens(chromium));

const STREAMS = 50;

function listens(path: string): void {
  test(
    "one page has 50 streams at once, and all of them run",
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "service-socket-http2-"));
      const { cert, key } = makeCertificate("localhost");
      const files = { SOCKET_TLS_CERT: join(folder, "cert.pem"), SOCKET_TLS_KEY: join(folder, "key.pem") };
      await writeFile(files.SOCKET_TLS_CERT, cert);
      await writeFile(files.SOCKET_TLS_KEY, key);
      try {
        await using gateway = await startGateway({ settings: { ...files, SOCKET_PUBLIC_CHANNELS: "**" } });
        await using browser = await openBrowser(path);
        await using page = await browser.newPage({ ignoreHTTPSErrors: true });
        await page.goto(`${gateway.url}/healthz`);
        await page.evaluate((count) => {
          const heard = Array.from({ length: count }, (_, i) => {
            const one: { live: boolean; data: string[] } = { live: false, data: [] };
            const source = new EventSource(`/channel/room.${i}/stream`);
            source.addEventListener("socket:live", () => (one.live = true));
            source.addEventListener("message", ({ data }) => one.data.push(String(data)));
            return one;
          });
          Object.assign(globalThis, { heard });
        }, STREAMS);
        await page.waitForFunction(() => (globalThis as unknown as Heard).heard.every(({ live }) => live));
        const messages = Array.from({ length: STREAMS }, (_, i) => ({ channel: `room.${i}`, data: `to ${i}` }));
        const headers = { Authorization: `key=${gateway.secret}`, "Content-Type": "application/json" };
        const options = { method: "POST", headers, body: JSON.stringify(messages), tls: { rejectUnauthorized: false } };
        expect((await fetch(`${gateway.url}/chat/send-multi`, options)).status).toBe(200);
        await page.waitForFunction(() => (globalThis as unknown as Heard).heard.every(({ data }) => data.length > 0));
        const heard = await page.evaluate(() => (globalThis as unknown as Heard).heard.map(({ data }) => data));
        expect(heard).toEqual(messages.map(({ data }) => [data]));
        const protocols = await page.evaluate(() =>
          performance
            .getEntriesByType("navigation")
            .map((entry) => (entry as PerformanceResourceTiming).nextHopProtocol),
        );
        expect(protocols).toEqual(["h2"]);
      } finally {
        await rm(folder, { recursive: true });
      }
    },
    BROWSER_TEST_MS,
  );
}

interface Heard {
  readonly heard: readonly { readonly live: boolean; readonly data: readonly string[] }[];
}
