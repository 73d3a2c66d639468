/**
 * Loaded before an example that is for a browser: gives it the EventSource that browsers have, and the `Origin` that they
 * send with a page's credentials.
 */
import { EventSource } from "eventsource";

const bare = globalThis.fetch;

function fetchAsPage(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
  if (init.credentials !== "include") return bare(input, init);
  const headers = new Headers(init.headers);
  headers.set("Origin", "https://app.example.com");
  return bare(input, { ...init, headers });
}

Object.assign(globalThis, { EventSource, fetch: fetchAsPage });
