import { describe, expect, test } from "bun:test";
import { EventSource } from "eventsource";
import { listen } from "../api/listening.ts";
import { type Front, startCaddy, startNginx } from "../setup/front.ts";
import { type Gateway, publish, startGateway, subscribe } from "../setup/gateway.ts";
import { program } from "../setup/programs.ts";

const TIMEOUT_MS = 30_000;
const SETTINGS = { SOCKET_TRUSTED_PROXIES: "127.0.0.1", SOCKET_RETRY: "100ms" };

for (const [name, path, start] of [
  ["nginx", program("nginx"), startNginx],
  ["Caddy", program("caddy"), startCaddy],
] as const) {
  if (path !== null) describe(`behind ${name}`, () => goesThrough((gateway) => start(path, gateway)));
}

/** What a backend asks for, by way of the proxy: the address that `subscribe` gives leads through it. */
async function addressOf(front: Front, { secret }: Gateway, channel: string): Promise<string> {
  return (await subscribe({ url: front.url, secret } as Gateway, channel)).url;
}

function goesThrough(inFront: (gateway: Gateway) => Promise<Front>): void {
  test(
    "a stream comes as it is written, at the address that users see, whatever the channel's name",
    async () => {
      await using gateway = await startGateway({ settings: SETTINGS });
      await using front = await inFront(gateway);
      for (const channel of ["news", "a/b", "a%2Fb", "x?y#z", "/"]) {
        const address = await addressOf(front, gateway, channel);
        expect(address).toStartWith(`${front.url}/channel/`);
        await using stream = await (await listen(address, { authorization: null })).live();
        expect((await publish(gateway, { channel, data: "at once" })).subscribers).toBe(1);
        expect(await stream.next()).toMatchObject({ data: "at once" });
      }
    },
    TIMEOUT_MS,
  );

  test(
    "a body of a megabyte gets to the gateway, and an answer of as much back",
    async () => {
      await using gateway = await startGateway({ settings: { SOCKET_MAX_DATA_BYTES: "1MiB", ...SETTINGS } });
      await using front = await inFront(gateway);
      const data = "x".repeat(1_000_000);
      const through = { url: front.url, secret: gateway.secret } as Gateway;
      await publish(through, { channel: "news", data });
      const headers = { Authorization: `key=${gateway.secret}` };
      const history = await fetch(`${front.url}/channel/news/history`, { headers });
      expect(await history.text()).toContain(data);
    },
    TIMEOUT_MS,
  );

  test(
    "an EventSource outlives a gateway that was away, and misses nothing; all others are told that it is away",
    async () => {
      await using gateway = await startGateway({ settings: SETTINGS });
      await using front = await inFront(gateway);
      const address = await addressOf(front, gateway, "news");
      const source = new EventSource(address);
      const heard: string[] = [];
      let changed = Promise.withResolvers<void>();
      const listener = (event: MessageEvent<string>) => {
        heard.push(event.data);
        changed.resolve();
        changed = Promise.withResolvers();
      };
      const until = async (data: string) => {
        while (heard.at(-1) !== data) await changed.promise;
      };
      source.addEventListener("message", listener);
      try {
        await new Promise((resolve) => source.addEventListener("socket:live", resolve, { once: true }));
        await publish(gateway, { channel: "news", data: "before" });
        await until("before");
        await gateway.kill();

        const away = await fetch(address);
        expect([away.status, away.headers.get("Content-Type")]).toEqual([200, "text/event-stream"]);
        expect(away.headers.get("Access-Control-Allow-Origin")).toBe("*");
        expect(away.headers.get("Cache-Control")).toBe("no-store, no-transform");
        expect(await away.text()).toMatch(/^retry: [23]\d{3}\n\n$/);
        expect((await fetch(`${front.url}/readyz`)).status).toBe(502);

        await gateway.start();
        await publish(gateway, { channel: "news", data: "after" });
        await until("after");
        expect(heard).toEqual(["before", "after"]);
      } finally {
        source.close();
      }
    },
    TIMEOUT_MS,
  );

  test(
    "the gateway's own refusals pass through, and no token gets into the proxy's logs, whatever happens",
    async () => {
      await using gateway = await startGateway({ settings: SETTINGS });
      await using front = await inFront(gateway);
      const address = await addressOf(front, gateway, "news");
      const token = new URL(address).searchParams.get("token")!;
      const refused = await fetch(address.replace("/news/", "/other/"));
      expect([refused.status, await refused.json()]).toMatchObject([403, { code: 403, Error: { type: "forbidden" } }]);
      await using stream = await (await listen(address, { authorization: null })).live();
      await gateway.kill(); // breaks the stream
      await stream.end();
      await fetch(address); // cannot be passed on
      expect(await front.logs()).not.toContain(token.slice(0, 20));
      expect(await front.logs()).toContain("/channel/other/stream"); // it does log
    },
    TIMEOUT_MS,
  );
}
