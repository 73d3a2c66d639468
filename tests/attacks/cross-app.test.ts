import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { loadConfig } from "../../src/config.ts";
import type { Addresses } from "../../src/http/address.ts";
import type { Gateway } from "../../src/http/gateway.ts";
import { routes } from "../../src/http/routes.ts";
import { post, type Sent, serve, type Server } from "../api/fixture.ts";
import { listen, type Listening } from "../api/listening.ts";
import { claims, sign } from "../api/tokens.ts";

const SHOP = "secret-of-the-shop-in-these-tests-1";
const BLOG = "secret-of-the-blog-in-these-tests-1";
/** Data, an event and a channel of the shop: what the blog must never be told. */
const SEEN = "seen-only-by-the-shop";
const CHANNEL = "orders.of-the-shop";

/** Stands for the id of a stream of the shop. */
const STREAM = "$STREAM";

/** A token for everything that the blog signed. */
function forged(kid: string): string {
  return sign({ ...claims(["**"]), sub: SEEN }, BLOG, { alg: "HS256", kid });
}

/** One request of an attacker who has what the blog has. */
interface Ask {
  readonly path: string;
  readonly method?: string;
  readonly body?: unknown;
}

/**
 * Every route with all the ways to ask it for what is the shop's. The shop's own secret in place of the blog's shows
 * `SEEN`, where the route tells anything of an app at all, so that these cases ask for the right thing. Streams come
 * last, since the blog's own would be counted.
 */
const CASES: Readonly<Record<string, { readonly tells: boolean; readonly asks: readonly Ask[] }>> = {
  "POST /chat/send": { tells: false, asks: [{ path: "/chat/send", body: { channel: "orders.forged", app: "shop" } }] },
  "POST /chat/send-multi": {
    tells: false,
    asks: [{ path: "/chat/send-multi", body: { body: [{ channel: "orders.forged" }], app: "shop" } }],
  },
  "POST /channel/subscribe": {
    tells: false,
    asks: [{ path: "/channel/subscribe", body: { channel: CHANNEL, app: "shop", kid: "shop" } }],
  },
  "POST /channel/renew": {
    tells: false,
    asks: ["blog", "shop"].map((kid) => ({ path: "/channel/renew", body: { stream: STREAM, token: forged(kid) } })),
  },
  "POST /channel/revoke": {
    tells: false,
    asks: [{ stream: STREAM }, { user: SEEN }, { token: SEEN }, { token: forged("shop") }].map((body) => ({
      path: "/channel/revoke",
      body: { ...body, app: "shop" },
    })),
  },
  "POST /channel/cookie": {
    tells: false,
    asks: ["blog", "shop"].map((kid) => ({ path: "/channel/cookie", body: { token: forged(kid), app: "shop" } })),
  },
  "DELETE /channel/cookie": { tells: false, asks: [{ path: "/channel/cookie", body: { app: "shop" } }] },
  "GET /channel/:channel": {
    tells: true,
    asks: [{ path: `/channel/${CHANNEL}` }, { path: `/channel/${CHANNEL}?app=shop` }],
  },
  "GET /channel/:channel/history": {
    tells: true,
    asks: [{ path: `/channel/${CHANNEL}/history` }, { path: `/channel/${CHANNEL}/history?after=@&app=shop` }],
  },
  "GET /channels": {
    tells: true,
    asks: [{ path: "/channels" }, { path: "/channels?prefix=orders" }, { path: "/channels?app=shop&limit=1000" }],
  },
  "GET /streams": {
    tells: true,
    asks: [{ path: "/streams" }, { path: `/streams?channel=${CHANNEL}` }, { path: "/streams?app=shop" }],
  },
  "GET /console": { tells: false, asks: [{ path: "/console" }] },
  "GET /": { tells: false, asks: [{ path: "/" }] },
  "GET /healthz": { tells: false, asks: [{ path: "/healthz?app=shop" }] },
  "GET /readyz": { tells: false, asks: [{ path: "/readyz?app=shop" }] },
  "GET /openapi": { tells: false, asks: [] }, // which are the same for all, see below
  "GET /openapi/:file": { tells: false, asks: [] },
  "GET /stream": {
    tells: true,
    asks: ["last=100", "since=earliest", "last_event_id=@", "last_event_id=@&format=envelope"].flatMap((query) =>
      [`channel=${CHANNEL}`, "channel=**", "channel=orders.*"].map((names) => ({ path: `/stream?${names}&${query}` })),
    ),
  },
  "GET /channel/:channel/stream": {
    tells: true,
    asks: ["last=100", "since=earliest", "last_event_id=@"].map((query) => ({
      path: `/channel/${CHANNEL}/stream?${query}`,
    })),
  },
};

/** Credentials that the blog can make, some that claim to be the shop's. */
const FOREIGN: readonly [string, string | null][] = [
  ["its secret", `key=${BLOG}`],
  ["its secret as a bearer", `Bearer ${BLOG}`],
  ["its token for everything", `Bearer ${forged("blog")}`],
  ["its token that names the shop", `Bearer ${forged("shop")}`],
  ["its token that names the shop twice", `Bearer ${sign({ ...claims(["**"]), app: "shop" }, BLOG, { alg: "HS256" })}`],
  ["nothing", null],
];

let server: Server;
let shop: Listening;
let id = "";
beforeAll(async () => {
  server = await serve({
    apps: [
      { id: "shop", secrets: [SHOP] },
      { id: "blog", secrets: [BLOG] },
    ],
  });
  const path = `${server.url}/stream?channel=**`;
  shop = await (await listen(path, { authorization: `key=${SHOP}` })).live();
  const json = { channel: CHANNEL, data: SEEN, event: SEEN };
  ({ id } = (await post<Sent>(server, "/chat/send", { secret: SHOP, json })).data);
  await shop.messages(1);
});
afterAll(async () => {
  expect(shop.ended).toBe(false);
  expect(shop.frames).toHaveLength(3); // open, live, and its own message: nothing was published to it
  await shop[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** All that is answered; of a stream, what comes before it is live. */
async function answerTo({ path, method = "GET", body }: Ask, authorization: string | null): Promise<string> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (authorization !== null) headers["Authorization"] = authorization;
  const abort = new AbortController();
  const response = await fetch(server.url + path.replace("@", id.replace(/-.*/, "-0")), {
    method,
    headers,
    body: body === undefined ? null : JSON.stringify(body).replace(STREAM, shop.response.headers.get("X-Request-Id")!),
    signal: abort.signal,
  });
  let text = [...response.headers].map((header) => header.join(": ")).join("\n");
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    if (text.includes("event: socket:live")) break;
  }
  abort.abort();
  return text;
}

/** What is the shop's in an answer, but for what the request itself holds. */
function told(text: string, { path, body }: Ask): readonly string[] {
  const asked = path + JSON.stringify(body);
  const found = [SEEN, CHANNEL, id, SHOP].filter((one) => text.includes(one) && !asked.includes(one));
  return /"subscribers":(?!0[,}])/.test(text) ? [...found, "a count"] : found;
}

test("every route has its cases", () => {
  const app = routes({ settings: loadConfig() } as Gateway, {} as Addresses, () => false);
  const listed = app.routes.map(({ method, path }) => `${method} ${path}`);
  expect(listed.sort()).toEqual(Object.keys(CASES).sort());
});

test("the OpenAPI document is the same whoever asks, and names no app's id, channel or position", async () => {
  for (const path of ["/openapi", "/openapi/json"]) {
    const text = async (Authorization: string) =>
      await (await fetch(server.url + path, { headers: { Authorization } })).text();
    const own = await text(`key=${SHOP}`);
    for (const [, authorization] of FOREIGN) expect(await text(authorization ?? "")).toBe(own);
    for (const one of [SEEN, CHANNEL, id, SHOP, '"shop"']) expect(own).not.toContain(one);
  }
});

for (const [route, { tells, asks }] of Object.entries(CASES)) {
  const method = route.split(" ")[0]!;
  describe(`another app's credentials are told nothing of an app by ${route}:`, () => {
    for (const [name, authorization] of FOREIGN) {
      test(name, async () => {
        for (const ask of asks) {
          for (const more of ["", `${ask.path.includes("?") ? "&" : "?"}app=shop`]) {
            const path = ask.path.includes("app=") ? ask.path : ask.path + more;
            expect(told(await answerTo({ ...ask, path, method }, authorization), { ...ask, path })).toEqual([]);
          }
        }
      });
    }
  });

  if (tells) {
    test(`and its own are, by ${route}`, async () => {
      for (const ask of asks) expect(told(await answerTo({ ...ask, method }, `key=${SHOP}`), ask)).not.toEqual([]);
    });
  }
}
