import style from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
import script from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };
import { ApiError } from "../../core/errors.ts";
import type { Gateway } from "../gateway.ts";
import { requestIdOf } from "../request-id.ts";
import html from "./viewer.html" with { type: "text" };

const page = html as unknown as string; // the types take every .html for a bundle

const TYPES = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

/** Of the scripts that stand in the page (CSP 3, 2.3.1), so that no other can run in it. */
const DIGESTS = [...page.matchAll(/<script>([^]*?)<\/script>/g)]
  .map(([, script]) => `'sha256-${Bun.SHA256.hash(script!, "base64")}'`)
  .join(" ");

/** Scripts and styles come from here and nowhere else; Swagger UI puts some styles into attributes. */
const POLICY = [
  "default-src 'none'",
  `script-src 'self' ${DIGESTS}`,
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/**
 * `GET /openapi`: a page that shows the document to a browser, which says that it takes HTML, and the document itself to
 * everyone else.
 */
export function openApiOrViewer({ settings: { publicUrl } }: Gateway, request: Request, document: string): Response {
  const vary = { Vary: "Accept" };
  if (request.headers.get("accept")?.includes("text/html") !== true) return json(request, document, vary);
  const connect = publicUrl === null ? "'self'" : `'self' ${new URL(publicUrl).origin}`;
  return file(request, page, TYPES.html, {
    ...vary,
    "Content-Security-Policy": `${POLICY}; connect-src ${connect}`,
    "Referrer-Policy": "no-referrer",
  });
}

/** `GET /openapi/:file`: the document, and what its page is made of. Nothing is fetched from another host. */
export function openApiFile(request: Request, name: string, document: string): Response {
  if (name === "json") return json(request, document);
  if (name === "viewer.css") return file(request, Bun.file(style), TYPES.css);
  if (name === "viewer.js") return file(request, Bun.file(script), TYPES.js);
  throw new ApiError("not_found", "The document is at `/openapi/json`.");
}

function json(request: Request, document: string, more?: Readonly<Record<string, string>>): Response {
  return file(request, document, "application/json", more);
}

function file(
  request: Request,
  content: string | Blob,
  type: string,
  more: Readonly<Record<string, string>> = {},
): Response {
  const headers = { "Content-Type": type, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff" };
  return new Response(content, { headers: { ...headers, "X-Request-Id": requestIdOf(request), ...more } });
}
