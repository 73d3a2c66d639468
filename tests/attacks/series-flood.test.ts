import { expect, test } from "bun:test";
import { call, request, serve } from "../api/fixture.ts";
import { listen } from "../api/listening.ts";
import { scrape } from "../metrics/scrape.ts";

test("no request makes a new series: neither names of apps, channels, users nor methods, paths and bad words", async () => {
  const apps = [
    { id: "shop", secrets: ["secret-of-the-shop-that-is-long-enough-for-it"], public_channels: ["**"] },
    { id: "blog", secrets: ["secret-of-the-blog-that-is-long-enough-for-it"], public_channels: ["**"] },
  ];
  await using server = await serve({ apps, settings: { SOCKET_ADMIN_PORT: "0" } });
  const identities = async () =>
    (await scrape(server.adminUrl)).series.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`);
  const before = await identities();
  const secret = apps[0]!.secrets[0]!;
  for (let i = 0; i < 50; i++) {
    const word = `made-up-${i}`;
    await call(server, "GET", `/channel/a/stream?app=${word}`, { secret: null });
    await call(server, "POST", `/chat/send?channel=${word}&event=${word}`, { secret });
    await call(server, "POST", "/channel/revoke", { secret, form: { user: word } });
    await call(server, "GET", `/${word}`);
    await request(server, "PROPFIND", `/${word}`);
    await using stream = await listen(`${server.url}/stream?channel=${word}&app=blog`, { authorization: null });
    await stream.live();
  }
  expect(await identities()).toEqual(before);
});
