import { type AnyElysia, type DocumentDecoration, Elysia, NotFoundError } from "elysia";
import { ApiError } from "../core/errors.ts";
import type { Addresses } from "./address.ts";
import { channelHistory, channelList, channelState } from "./channel.ts";
import { consolePage, toConsole } from "./console.ts";
import { dropCookie, setCookie } from "./cookie.ts";
import { options } from "./cors.ts";
import { answerError, MethodNotAllowed } from "./errors.ts";
import type { Gateway } from "./gateway.ts";
import { health, readiness } from "./health.ts";
import { HIDDEN, openApi } from "./openapi/document.ts";
import type { Most, Operation } from "./openapi/operation.ts";
import * as publishing from "./openapi/publishing.ts";
import * as reading from "./openapi/reading.ts";
import * as streaming from "./openapi/streaming.ts";
import * as tokens from "./openapi/tokens.ts";
import { openApiFile, openApiOrViewer } from "./openapi/viewer.ts";
import { pathOf, pathStart } from "./path.ts";
import { renew } from "./renew.ts";
import { revoke } from "./revoke.ts";
import { send, sendMulti } from "./send.ts";
import { type Arrival, channelStream, selectionStream } from "./stream.ts";
import { streamList } from "./streams.ts";
import { longestTtlSeconds, subscribe } from "./subscribe.ts";

/**
 * What a route says of itself for the OpenAPI document. Bodies and queries are read by the routes themselves, strictly:
 * the framework's own reading and checking is never used, whose errors would repeat what was sent.
 */
function says(detail: Operation | typeof HIDDEN) {
  return { parse: "none" as const, detail: detail as DocumentDecoration };
}

/** What would be the state of a channel of that name, and is not: such a name is written with a percent there. */
const RESERVED = new Map([
  ["/channel/subscribe", "POST, OPTIONS"],
  ["/channel/renew", "POST, OPTIONS"],
  ["/channel/revoke", "POST, OPTIONS"],
  ["/channel/cookie", "POST, DELETE, OPTIONS"],
]);

type Server = { requestIP(request: Request): { address: string } | null; timeout(request: Request, s: number): void };

/**
 * Every address of the API. The body of this function is the list of them. While `isLeaving`, each answer closes its
 * connection.
 */
export function routes(gateway: Gateway, addresses: Addresses, isLeaving: () => boolean): AnyElysia {
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

  const most = mostOf(gateway.settings);
  const app = new Elysia({ strictPath: true })
    .onRequest(({ request, set }) => {
      // So that those who publish have left the connections that the end of the drain would break.
      if (isLeaving()) set.headers["Connection"] = "close";
      return beforeRouting(request);
    })
    .onError(({ error, request }) => answerError(gateway, request, pathOf(request), known(error, request)))

    .post(
      "/chat/send",
      ({ request, server }) => send(gateway, request, network(server, request)),
      says(publishing.send),
    )
    .post(
      "/chat/send-multi",
      ({ request, server }) => sendMulti(gateway, request, network(server, request)),
      says(publishing.sendMulti(most)),
    )
    .post(
      "/channel/subscribe",
      ({ request, server }) => subscribe(gateway, request, addresses.base(peerOf(server, request), request)),
      says(tokens.subscribe(most)),
    )
    .post("/channel/renew", ({ request }) => renew(gateway, request), says(tokens.renew))
    .post("/channel/revoke", ({ request }) => revoke(gateway, request), says(tokens.revoke))
    .post("/channel/cookie", ({ request }) => setCookie(gateway, request), says(tokens.setCookie))
    .delete("/channel/cookie", ({ request }) => dropCookie(gateway, request), says(tokens.dropCookie))

    .get(
      "/stream",
      ({ request, server }) => selectionStream(gateway, request, arrival(server, request)),
      says(streaming.selectionStream(most)),
    )
    .get(
      "/channel/:channel/stream",
      ({ request, server, params }) => channelStream(gateway, request, params.channel, arrival(server, request)),
      says(streaming.channelStream(most)),
    )

    .get(
      "/channel/:channel",
      ({ request, params }) => {
        const methods = RESERVED.get(pathOf(request));
        if (methods !== undefined) throw new MethodNotAllowed(methods);
        return channelState(gateway, request, params.channel);
      },
      says(reading.channelState),
    )
    .get(
      "/channel/:channel/history",
      ({ request, params }) => channelHistory(gateway, request, params.channel),
      says(reading.channelHistory),
    )
    .get("/streams", ({ request }) => streamList(gateway, request), says(reading.streamList))
    .get("/channels", ({ request }) => channelList(gateway, request), says(reading.channelList))

    .get("/", ({ request }) => toConsole(request), says(HIDDEN))
    .get("/console", ({ request }) => consolePage(request), says(HIDDEN))
    .get("/healthz", ({ request }) => health(request), says(reading.health))
    .get("/readyz", ({ request }) => readiness(gateway, request), says(reading.readiness))
    .get("/openapi", ({ request }) => openApiOrViewer(gateway, request, document()), says(HIDDEN))
    .get("/openapi/:file", ({ request, params }) => openApiFile(request, params.file, document()), says(HIDDEN));

  /** Made when it is first asked for: a start should not wait for it. */
  let made: string | null = null;
  function document(): string {
    return (made ??= openApi(app.routes, gateway.settings.publicUrl));
  }

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

/** Of what apps may have of their own only what all of them have: no app is told another's limits. */
function mostOf(settings: Gateway["settings"]): Most {
  const common = (limit: "maxChannelsPerStream" | "maxBatch" | "replayLimit") => {
    const [first, ...others] = new Set(settings.apps.map((app) => app.limits[limit]));
    return others.length > 0 || first === 0 ? undefined : first;
  };
  return {
    ttlSeconds: longestTtlSeconds(settings),
    channels: common("maxChannelsPerStream"),
    batch: common("maxBatch"),
    replay: common("replayLimit"),
  };
}

function unknown(): ApiError {
  return new ApiError("not_found", "See the API document for the addresses that there are.");
}

function peerOf(server: Server | null, request: Request): string {
  return server?.requestIP(request)?.address ?? "";
}
