import { type Browser, chromium } from "playwright-core";

/** Nothing but the pages of the tests: no look-ups and no downloads of the browser's own. */
const QUIET = [
  "--no-sandbox", // Chromium's sandbox does not run as root
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** How long a test in a browser may take; a page waits for real reconnects. */
export const BROWSER_TEST_MS = 60_000;

/** A headless browser with a profile of its own, which is gone with it. */
export function openBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, headless: true, args: QUIET });
}
