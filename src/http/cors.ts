import type { App } from "../auth/app.ts";
import { ApiError } from "../core/errors.ts";
import { requestIdOf } from "./request-id.ts";
import type { Gateway } from "./gateway.ts";

/** How long a browser may remember a preflight; Chromium takes at most two hours. */
const PREFLIGHT_AGE_S = "7200";

/** What pages of other origins may do. */
const PAGES: readonly (readonly [path: RegExp, methods: string])[] = [
  [/^(\/channel\/[^/]+)?\/stream$/, "GET, HEAD"],
  [/^\/channel\/renew$/, "POST"],
  [/^\/channel\/cookie$/, "POST, DELETE"],
];

/** Whether pages of other origins have a use for the address: what takes an app's secret is for none. */
export function isForPages(path: string): boolean {
  return methodsOf(path) !== undefined;
}

function methodsOf(path: string): string | undefined {
  return PAGES.find(([form]) => form.test(path))?.[1];
}

/**
 * What lets a page of another origin read an answer (WHATWG Fetch, "CORS protocol"); with its cookie only where the
 * origin is listed for that. `app` is null before it is known: then every app's origins count.
 */
export function corsHeaders(gateway: Gateway, request: Request, app: App | null): Record<string, string> {
  const apps = app === null ? [...gateway.apps] : [app];
  const origin = request.headers.get("origin");
  const expose = { "Access-Control-Expose-Headers": "X-Request-Id" };
  if (origin !== null && apps.some(({ cookieOrigins }) => cookieOrigins.includes(origin))) {
    const allow = { "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true" };
    return { ...allow, Vary: "Origin", ...expose };
  }
  if (apps.some(({ origins }) => origins.includes("*"))) {
    const varies = gateway.apps.withCookies.length > 0 ? { Vary: "Origin" } : {};
    return { "Access-Control-Allow-Origin": "*", ...varies, ...expose };
  }
  if (origin === null || !apps.some(({ origins }) => origins.includes(origin))) return { Vary: "Origin" };
  return { "Access-Control-Allow-Origin": origin, Vary: "Origin", ...expose };
}

/** Throws ApiError `forbidden` for a page of an origin that the app does not list. */
export function checkOrigin(request: Request, app: App): void {
  const origin = request.headers.get("origin");
  const { origins, cookieOrigins } = app;
  if (origin === null || origins.includes("*") || origins.includes(origin) || cookieOrigins.includes(origin)) return;
  throw new ApiError("forbidden", "Pages of this origin may not open streams of the app.");
}

/** The answer to OPTIONS; for what pages use also what a preflight asks. */
export function options(gateway: Gateway, request: Request, path: string, allow: string): Response {
  const headers: Record<string, string> = { Allow: allow, "X-Request-Id": requestIdOf(request) };
  const methods = methodsOf(path);
  if (methods !== undefined) {
    Object.assign(headers, corsHeaders(gateway, request, null), {
      "Access-Control-Allow-Methods": methods,
      "Access-Control-Allow-Headers": "Authorization, Cache-Control, Content-Type, Last-Event-ID",
      "Access-Control-Max-Age": PREFLIGHT_AGE_S,
    });
  }
  return new Response(null, { status: 204, headers });
}
