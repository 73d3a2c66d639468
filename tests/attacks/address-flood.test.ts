import { expect, test } from "bun:test";
import { Buckets } from "../../src/auth/buckets.ts";
import { Rates } from "../../src/auth/rates.ts";
import { post, SECRET, serve } from "../api/fixture.ts";

const MOST = 100_000;

test("a flood of addresses makes the buckets no more than their bound", () => {
  const buckets = new Buckets();
  for (let i = 0; i < 3 * MOST; i++) {
    buckets.take(`address ${i}`, 1, 1000, 0); // none is full again for a thousand seconds
    expect(buckets.size <= MOST).toBe(true);
  }
});

test("addresses whose buckets are full again are forgotten", () => {
  const buckets = new Buckets();
  for (let i = 0; i < MOST; i++) buckets.take(`address ${i}`, 100, 1, i / 10); // each is full after 10 ms
  expect(buckets.size).toBeLessThan(3000);
});

test("a flood of addresses on one app makes no bucket of another full again", () => {
  const rates = new Rates("messages are taken");
  const rate = { perApp: 0, perIp: 1 };
  rates.take("shop", "192.0.2.1", rate, 50, 0);
  for (let i = 0; i < 2 * MOST; i++) rates.take("blog", `address ${i}`, rate, 1000, 0);
  expect(() => rates.take("shop", "192.0.2.1", rate, 1, 0)).toThrow("limit_exceeded");
});

test("all addresses of an IPv6 network of 64 bits count as one, those of an IPv4 address written as IPv6 do not", async () => {
  await using server = await serve({
    settings: { SOCKET_PUBLISH_RATE_PER_IP: "1", SOCKET_TRUSTED_PROXIES: "127.0.0.1" },
  });
  const statusFrom = async (address: string): Promise<number> => {
    const headers = { "X-Forwarded-For": address, Authorization: `key=${SECRET}` };
    return (await post(server, "/chat/send?channel=news", { headers })).status;
  };
  expect(await statusFrom("2001:db8::1")).toBe(200);
  for (const same of ["2001:db8::2", "2001:DB8:0:0:ffff:ffff:ffff:ffff", "2001:0db8::192.0.2.1", "2001:db8::1%eth0"]) {
    expect([same, await statusFrom(same)]).toEqual([same, 429]);
  }
  for (const other of ["2001:db8:0:1::1", "2001:db9::", "::1", "::ffff:192.0.2.1", "::ffff:c000:0202", "192.0.2.3"]) {
    expect([other, await statusFrom(other)]).toEqual([other, 200]);
  }
  for (const same of ["192.0.2.1", "192.0.2.2", "0:0:0:0:0:ffff:192.0.2.3"]) {
    expect([same, await statusFrom(same)]).toEqual([same, 429]);
  }
});
