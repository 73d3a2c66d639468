import type { App, Apps } from "../auth/app.ts";
import { grantOfTokens, isRevoked } from "../auth/grant.ts";
import { verifyToken } from "../auth/token.ts";
import { ApiError } from "../core/errors.ts";
import { success } from "./answer.ts";
import { corsHeaders } from "./cors.ts";
import type { Gateway } from "./gateway.ts";
import { queryParameters, readParameters } from "./parameters.ts";
import { requestIdOf } from "./request-id.ts";
import { rfc3339 } from "./subscribe.ts";

/**
 * `POST /channel/cookie`: puts a listener's token into a cookie, so that a page of the same site opens streams without a
 * token in their address. The cookie cannot be read by scripts and comes with no request of another site.
 */
export async function setCookie(gateway: Gateway, request: Request): Promise<Response> {
  const { apps, clock, rulings, settings } = gateway;
  const parameters = await readParameters(request, {
    maxBodyBytes: MAX_BODY_BYTES,
    maxJsonDepth: 2,
    room: gateway.rooms.strangers,
  });
  const text = parameters.text("token");
  if (text === undefined) throw new ApiError("parameter_invalid", "`token` takes a listener's token.", "token");
  const now = clock.now();
  const token = verifyToken(apps, text, now, settings.maxTokenTtlMs);
  if (isRevoked(grantOfTokens([token]), rulings)) throw new ApiError("unauthorized", "The token was revoked.");
  checkPage(request, token.app);
  if (NAME.length + token.app.id.length + text.length > MAX_COOKIE_LENGTH) {
    throw new ApiError("parameter_invalid", "The token is longer than what browsers keep in a cookie.", "token");
  }
  return success({ expires_at: rfc3339(token.expiresAt) }, requestIdOf(request), {
    ...corsHeaders(gateway, request, token.app),
    "Set-Cookie": cookie(token.app, text, Math.floor((token.expiresAt - now) / 1000)),
  });
}

/** `DELETE /channel/cookie`: takes the cookie back, of the app that `app` names where there are several. */
export function dropCookie(gateway: Gateway, request: Request): Response {
  const { apps } = gateway;
  const id = queryParameters(request.url).text("app");
  if (id === undefined && apps.only === null) {
    throw new ApiError("parameter_invalid", "`app` takes the id of an app.", "app");
  }
  const app = id === undefined ? apps.only : apps.byId(id);
  checkPage(request, app);
  const headers = { ...corsHeaders(gateway, request, app), "Set-Cookie": cookie(app, "", 0) };
  return success({}, requestIdOf(request), headers);
}

const MAX_BODY_BYTES = 8 * 1024;
/** Name and value (RFC 6265bis 5.6): browsers drop a longer one without a word. */
const MAX_COOKIE_LENGTH = 4096;

/** `__Host-` lets a browser take it only over TLS (or from localhost), for this host alone (RFC 6265bis 4.1.3.2). */
const NAME = "__Host-socket-";

function cookie({ id }: App, value: string, maxAgeS: number): string {
  return `${NAME}${id}=${value}; Path=/; Max-Age=${maxAgeS}; HttpOnly; Secure; SameSite=Strict`;
}

/** The token that a request's cookie holds, of the named app or of the only one whose cookie is there. */
export function cookieOf(apps: Apps, request: Request, wanted: string | null): { app: App; token: string } | null {
  const takers = apps.withCookies;
  const header = takers.length === 0 ? null : request.headers.get("cookie");
  if (header === null) return null;
  const cookies = new Bun.CookieMap(header);
  const found: { app: App; token: string }[] = [];
  for (const app of takers) {
    const token = cookies.get(NAME + app.id);
    if (token !== null && token !== "" && (wanted ?? app.id) === app.id) found.push({ app, token });
  }
  if (found.length <= 1) return found[0] ?? null;
  throw new ApiError("parameter_invalid", "There are cookies of several apps; name one as `?app=`.", "app");
}

/**
 * A cookie comes by itself, so what counts is who asks: a page of a listed origin, or of our own, whose requests may
 * have no `Origin` header; then `Sec-Fetch-Site` (Fetch Metadata) tells them from an image on another page. Throws
 * ApiError `forbidden`.
 */
export function checkCookieOrigin(request: Request, app: App): void {
  const origin = request.headers.get("origin");
  const site = request.headers.get("sec-fetch-site");
  if (origin === null ? site === null || site === "same-origin" : app.cookieOrigins.includes(origin)) return;
  throw new ApiError("forbidden", "Pages of this origin may not open streams by a cookie.");
}

/**
 * Only a page of a listed origin may set the cookie: another could make a listener of its own of whoever visits it. The
 * answer is the same whether the app exists or not. Throws ApiError `forbidden`.
 */
function checkPage(request: Request, app: App | null): asserts app is App {
  const origin = request.headers.get("origin");
  if (origin !== null && app?.cookieOrigins.includes(origin) === true) return;
  const detail = "Only pages of the origins in SOCKET_COOKIE_ORIGINS may set the cookie.";
  throw new ApiError("forbidden", detail);
}
