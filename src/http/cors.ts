import type { App } from "../auth/app.ts";
import { ApiError } from "../core/errors.ts";
import { nextRequestId } from "./answer.ts";
import type { Gateway } from "./gateway.ts";

/** How long a browser may remember a preflight; Chromium takes at most two hours. */
const PREFLIGHT_AGE_S = "7200";

/** The addresses that pages of other origins may open. */
export function isListening(path: string): boolean {
  return path === "/stream" || /^\/channel\/[^/]+\/stream$/.test(path);
}

/**
 * What lets a page of another origin read an answer (WHATWG Fetch, "CORS protocol"), without credentials. `app` is null
 * before it is known: then every app's origins count.
 */
export function corsHeaders(gateway: Gateway, request: Request, app: App | null): Record<string, string> {
  const origins = app === null ? [...gateway.apps].flatMap((one) => one.origins) : app.origins;
  const expose = { "Access-Control-Expose-Headers": "X-Request-Id" };
  if (origins.includes("*")) return { "Access-Control-Allow-Origin": "*", ...expose };
  const origin = request.headers.get("origin");
  if (origin === null || !origins.includes(origin)) return { Vary: "Origin" };
  return { "Access-Control-Allow-Origin": origin, Vary: "Origin", ...expose };
}

/** Throws ApiError `forbidden` for a page of an origin that the app does not list. */
export function checkOrigin(request: Request, app: App): void {
  const origin = request.headers.get("origin");
  if (origin === null || app.origins.includes("*") || app.origins.includes(origin)) return;
  throw new ApiError("forbidden", "Pages of this origin may not open streams of the app.");
}

/** The answer to OPTIONS; for a stream also what a preflight asks. */
export function options(gateway: Gateway, request: Request, path: string, allow: string): Response {
  const headers: Record<string, string> = { Allow: allow, "X-Request-Id": nextRequestId() };
  if (isListening(path)) {
    Object.assign(headers, corsHeaders(gateway, request, null), {
      "Access-Control-Allow-Methods": "GET, HEAD",
      "Access-Control-Allow-Headers": "Authorization, Cache-Control, Last-Event-ID",
      "Access-Control-Max-Age": PREFLIGHT_AGE_S,
    });
  }
  return new Response(null, { status: 204, headers });
}
