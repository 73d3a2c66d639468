import html from "./page.html" with { type: "text" };
import { requestIdOf } from "./request-id.ts";
import type { Gateway } from "./gateway.ts";

const text = html as unknown as string; // the types take every .html for a bundle

/** Scripts and styles of the page by their digests (CSP 3, 2.3.1), so that nothing else can run in it. */
const POLICY = [
  "default-src 'none'",
  `script-src ${digests(text, "script")}`,
  `style-src ${digests(text, "style")}`,
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Of the elements that stand in a page, as a policy names them. */
export function digests(page: string, element: "script" | "style"): string {
  const found = page.matchAll(new RegExp(`<${element}>([^]*?)</${element}>`, "g"));
  const hashes = [...found].map(([, content]) => `'sha256-${Bun.SHA256.hash(content!, "base64")}'`);
  return hashes.length === 0 ? "'none'" : hashes.join(" ");
}

/**
 * `GET /`: a page to listen and publish by hand. It holds no secret and works without any other host, but for the one of
 * the address that users see: streams are opened there.
 */
export function page({ settings: { publicUrl } }: Gateway, request: Request): Response {
  const connect = publicUrl === null ? "'self'" : `'self' ${new URL(publicUrl).origin}`;
  return new Response(text, {
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Content-Security-Policy": `${POLICY}; connect-src ${connect}`,
      "Referrer-Policy": "no-referrer",
      "X-Content-Type-Options": "nosniff",
      "Cache-Control": "no-cache",
      "X-Request-Id": requestIdOf(request),
    },
  });
}
