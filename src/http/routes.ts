import { type AnyElysia, Elysia, NotFoundError } from "elysia";
import { ApiError } from "../core/errors.ts";
import type { Addresses } from "./address.ts";
import { channelHistory, channelList, channelState } from "./channel.ts";
import { dropCookie, setCookie } from "./cookie.ts";
import { options } from "./cors.ts";
import { answerError, MethodNotAllowed } from "./errors.ts";
import type { Gateway } from "./gateway.ts";
import { health, readiness } from "./health.ts";
import { page } from "./page.ts";
import { pathOf, pathStart } from "./path.ts";
import { renew } from "./renew.ts";
import { revoke } from "./revoke.ts";
import { send, sendMulti } from "./send.ts";
import { type Arrival, channelStream, selectionStream } from "./stream.ts";
import { streamList } from "./streams.ts";
import { subscribe } from "./subscribe.ts";

/** Bodies are read by the routes themselves, strictly: the framework's own reading is never used. */
const UNREAD = { parse: "none" } as const;

/** What would be the state of a channel of that name, and is not: such a name is written with a percent there. */
const RESERVED = new Map([
  ["/channel/subscribe", "POST, OPTIONS"],
  ["/channel/renew", "POST, OPTIONS"],
  ["/channel/revoke", "POST, OPTIONS"],
  ["/channel/cookie", "POST, DELETE, OPTIONS"],
]);

type Server = { requestIP(request: Request): { address: string } | null; timeout(request: Request, s: number): void };

/** Every address of the API. The body of this function is the list of them. */
export function routes(gateway: Gateway, addresses: Addresses): AnyElysia {
  function network(server: Server | null, request: Request): () => string {
    return () => addresses.network(peerOf(server, request), request.headers);
  }

  function arrival(server: Server | null, request: Request): Arrival {
    return {
      network: network(server, request),
      base: () => addresses.base(peerOf(server, request), request),
      liftTimeout: () => server?.timeout(request, 0),
    };
  }

  const app = new Elysia({ strictPath: true })
    .onRequest(({ request, set }) => {
      // So that those who publish have left the connections that the end of the drain would break.
      if (gateway.draining) set.headers["Connection"] = "close";
      return beforeRouting(request);
    })
    .onError(({ error, request }) => answerError(gateway, request, pathOf(request), known(error, request)))

    .post("/chat/send", ({ request, server }) => send(gateway, request, network(server, request)), UNREAD)
    .post("/chat/send-multi", ({ request, server }) => sendMulti(gateway, request, network(server, request)), UNREAD)
    .post(
      "/channel/subscribe",
      ({ request, server }) => subscribe(gateway, request, addresses.base(peerOf(server, request), request)),
      UNREAD,
    )
    .post("/channel/renew", ({ request }) => renew(gateway, request), UNREAD)
    .post("/channel/revoke", ({ request }) => revoke(gateway, request), UNREAD)
    .post("/channel/cookie", ({ request }) => setCookie(gateway, request), UNREAD)
    .delete("/channel/cookie", ({ request }) => dropCookie(gateway, request), UNREAD)

    .get("/stream", ({ request, server }) => selectionStream(gateway, request, arrival(server, request)))
    .get("/channel/:channel/stream", ({ request, server, params }) =>
      channelStream(gateway, request, params.channel, arrival(server, request)),
    )

    .get("/channel/:channel", ({ request, params }) => {
      const methods = RESERVED.get(pathOf(request));
      if (methods !== undefined) throw new MethodNotAllowed(methods);
      return channelState(gateway, request, params.channel);
    })
    .get("/channel/:channel/history", ({ request, params }) => channelHistory(gateway, request, params.channel))
    .get("/streams", ({ request }) => streamList(gateway, request))
    .get("/channels", ({ request }) => channelList(gateway, request))

    .get("/", ({ request }) => page(gateway, request))
    .get("/healthz", ({ request }) => health(request))
    .get("/readyz", ({ request }) => readiness(gateway, request));

  const table = app.routes.map(({ method, path }) => ({
    method,
    path: new RegExp(`^${path.replace(/:[a-z]+/g, "[^/]+")}$`),
  }));

  /** The methods of an address as an `Allow` header has them; null where there is no such address. */
  function allowed(path: string): string | null {
    const reserved = RESERVED.get(path);
    if (reserved !== undefined) return reserved;
    const methods = table.filter((route) => route.path.test(path)).map((route) => route.method);
    if (methods.length === 0) return null;
    return [...new Set(methods), ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
  }

  /** What the routes do not answer; undefined for what they do. HEAD is GET to them, and Bun never begins the body. */
  function beforeRouting(request: Request): Response | undefined {
    // The framework looks for the path from the 12th character of the URL on: with a host of three characters or fewer
    // `/a/healthz` would be `/healthz`, and `/nope/` the page.
    const short = pathStart(request.url) < 11;
    if (!short && request.method !== "OPTIONS") return undefined;
    const path = pathOf(request);
    const methods = allowed(path);
    if (methods === null) return short ? answerError(gateway, request, path, unknown()) : undefined;
    return request.method === "OPTIONS" ? options(gateway, request, path, methods) : undefined;
  }

  function known(error: unknown, request: Request): unknown {
    if (!(error instanceof NotFoundError)) return error;
    const path = pathOf(request);
    const methods = allowed(path);
    if (methods === null) return unknown();
    return new MethodNotAllowed(methods);
  }

  return app;
}

function unknown(): ApiError {
  return new ApiError("not_found", "See the API document for the addresses that there are.");
}

function peerOf(server: Server | null, request: Request): string {
  return server?.requestIP(request)?.address ?? "";
}
