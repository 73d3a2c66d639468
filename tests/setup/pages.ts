/** What a page of its own origin is served from. */
export interface Pages extends Disposable {
  /** `http://127.0.0.1:40123`. */
  readonly origin: string;
}

/**
 * A server with one empty page, for scripts that a test runs in it. `hostname` is part of the origin: `127.0.0.1` and
 * `localhost` are two.
 */
export function servePages(html = "<!doctype html><title>A page</title>"): Pages {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(html, { headers: { "Content-Type": "text/html; charset=utf-8" } }),
  });
  return { origin: `http://127.0.0.1:${server.port}`, [Symbol.dispose]: () => void server.stop(true) };
}
