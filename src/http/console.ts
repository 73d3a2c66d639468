import { type Bundle, bundle } from "../console/bundle.ts";
import { requestIdOf } from "./request-id.ts";

let made: Promise<Bundle> | null = null;

/**
 * `GET /console`: one page that listens, publishes and looks on. It holds no secret, needs no other host, and can reach
 * none.
 */
export async function consolePage(request: Request): Promise<Response> {
  made ??= bundle().catch((error: unknown) => {
    made = null;
    throw error;
  });
  const { html, scriptDigest, styleDigest } = await made;
  return new Response(html, {
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Content-Security-Policy": policy(scriptDigest, styleDigest),
      "Cross-Origin-Opener-Policy": "same-origin",
      "Referrer-Policy": "no-referrer",
      "X-Content-Type-Options": "nosniff",
      "Cache-Control": "no-cache",
      "X-Request-Id": requestIdOf(request),
    },
  });
}

/** `GET /`: there is nothing else for a browser here. Relative, so that it leads there below a path of a proxy too. */
export function toConsole(request: Request): Response {
  return new Response(null, {
    status: 302,
    headers: { Location: "console", "Cache-Control": "no-cache", "X-Request-Id": requestIdOf(request) },
  });
}

/** Nothing runs but what the page came with, nothing of it makes markup of a string, and nobody puts it in a frame. */
function policy(scriptDigest: string, styleDigest: string): string {
  return [
    "default-src 'none'",
    `script-src '${scriptDigest}'`,
    `style-src '${styleDigest}'`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}
