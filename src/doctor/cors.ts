import { finding, type Finding } from "./finding.ts";

/**
 * Whether a page of an origin can read a stream that answered with these headers (WHATWG Fetch, "CORS check"), with an
 * EventSource that sends credentials and with one that does not. `headers` by their names in lower case.
 */
export function corsOf(headers: Readonly<Record<string, string>>, origin: string, url: string): Finding {
  if (new URL(url).origin === origin)
    return finding("cors", "ok", "CORS: the page is of the stream's own origin and needs none");
  const allowed = headers["access-control-allow-origin"];
  const cannot = `CORS: a page of ${origin} cannot read streams`;
  if (allowed === undefined) {
    return finding("cors", "problem", `${cannot}: there is no Access-Control-Allow-Origin`, [
      `SOCKET_CORS_ORIGINS=${origin}`,
    ]);
  }
  if (allowed.includes(",")) {
    return finding("cors", "problem", `${cannot}: Access-Control-Allow-Origin came more than once (${allowed})`, [
      "# the gateway sends it: take the proxy's own add_header Access-Control-Allow-Origin out, or",
      "proxy_hide_header Access-Control-Allow-Origin;",
    ]);
  }
  if (allowed === "*") {
    return finding("cors", "ok", "CORS: pages of any origin can read streams, but not with { withCredentials: true }");
  }
  if (allowed !== origin) {
    return finding("cors", "problem", `${cannot}: Access-Control-Allow-Origin is ${allowed}`, [
      `SOCKET_CORS_ORIGINS=${origin}`,
    ]);
  }
  const also = headers["access-control-allow-credentials"] === "true" ? "also" : "but not";
  return finding("cors", "ok", `CORS: pages of ${origin} can read streams, ${also} with { withCredentials: true }`);
}
