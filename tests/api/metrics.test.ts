import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { METRICS } from "../../src/metrics/table.ts";
import { type Scrape, scrape } from "../metrics/scrape.ts";
import { freePort } from "../setup/gateway.ts";
import { HandClock, post, publish, read, serve, type Server } from "./fixture.ts";
import { listen } from "./listening.ts";

const settings = { SOCKET_ADMIN_PORT: "0" };
const APP = { app: "default" };

let server: Server;
beforeAll(async () => {
  server = await serve({ settings });
});
afterAll(() => server[Symbol.asyncDispose]());

/** How much each series has grown while something was done. */
async function grown(work: () => Promise<void>): Promise<Scrape["value"]> {
  const before = await scrape(server.adminUrl);
  await work();
  const after = await scrape(server.adminUrl);
  return (name, labels) => after.value(name, labels) - before.value(name, labels);
}

/** Scrapes until a series has this value: what has to be waited for ends in another turn than it is counted in. */
async function reached(name: string, labels: Readonly<Record<string, string>>, value: number): Promise<void> {
  while ((await scrape(server.adminUrl)).value(name, labels) !== value);
}

describe("a scrape", () => {
  test("has every metric of the table, with its type and sentence, and no other", async () => {
    const { types, helps, series } = await scrape(server.adminUrl);
    const told = METRICS.map(({ name, type, help }) => [name, type, help]);
    expect([...types].map(([name, type]) => [name, type, helps.get(name)])).toEqual(told);
    for (const { name, type, labels } of METRICS) {
      const names = type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
      const own = series.filter((one) => names.includes(one.name));
      expect([name, own.length > 0]).toEqual([name, true]);
      const expected = type === "histogram" ? [[], ["le"]] : [[...labels]];
      for (const one of own) expect(expected).toContainEqual(Object.keys(one.labels));
    }
  });

  test("counts streams, feeds, publishes, deliveries and bytes", async () => {
    const ends = (await scrape(server.adminUrl)).value("service_socket_streams_closed_total", { reason: "client" }) + 3;
    let bytes = 0;
    const more = await grown(async () => {
      await using one = await (await listen(`${server.url}/channel/counted/stream`)).live();
      await using two = await (await listen(`${server.url}/channel/counted/stream`)).live();
      await using other = await (await listen(`${server.url}/stream?channel=counted&channel=more`)).live();
      const open = await scrape(server.adminUrl);
      expect(open.value("service_socket_streams", APP)).toBe(3);
      expect(open.value("service_socket_feeds", APP)).toBe(2);
      await publish(server, "counted", "hello");
      await publish(server, "nobody listens", "hello").catch(() => undefined); // a refusal is no publish
      await post(server, "/chat/send-multi", { json: [{ channel: "counted" }, { channel: "more" }] });
      await Promise.all([one.messages(2), two.messages(2), other.messages(3)]);
      bytes = one.text.length + two.text.length + other.text.length;
    });
    await reached("service_socket_streams", APP, 0);
    await reached("service_socket_feeds", APP, 0);
    await reached("service_socket_streams_closed_total", { reason: "client" }, ends);
    expect(more("service_socket_streams_opened_total")).toBe(3);
    expect(more("service_socket_catch_ups_total")).toBe(3);
    expect(more("service_socket_publishes_total", APP)).toBe(2);
    expect(more("service_socket_messages_published_total", APP)).toBe(3);
    expect(more("service_socket_deliveries_total", APP)).toBe(7);
    expect(more("service_socket_replayed_total", APP)).toBe(0);
    expect(more("service_socket_sent_bytes_total", APP)).toBe(bytes);
    expect(more("service_socket_broker_publish_seconds_count")).toBe(2);
    // two feeds, of which one was not sent `more`; the batch's two messages come to the other one together
    expect(more("service_socket_batch_messages_count")).toBe(4);
    expect(more("service_socket_batch_messages_sum")).toBe(5);
    expect(more("service_socket_publish_to_flush_seconds_count")).toBe(4);
    expect(more("service_socket_errors_total", { type: "channel_invalid" })).toBe(1);
  });

  test("counts a publish that is repeated by its key once", async () => {
    const headers = { "Idempotency-Key": "a-key" };
    const more = await grown(async () => {
      for (let i = 0; i < 3; i++) await post(server, "/chat/send", { headers, form: { channel: "once" } });
    });
    expect(more("service_socket_publishes_total", APP)).toBe(1);
    expect(more("service_socket_messages_published_total", APP)).toBe(1);
  });

  test("counts replays, reads of the store, and gaps by their reason", async () => {
    for (let i = 0; i < 5; i++) await publish(server, "replayed", i);
    const more = await grown(async () => {
      await using replayed = await listen(`${server.url}/channel/replayed/stream?last=4`);
      await replayed.told("open");
      await replayed.messages(4);
      await using lost = await listen(`${server.url}/channel/replayed/stream?last_event_id=zzzzzzzzzz-1`);
      await lost.told("open");
      await lost.told("gap");
      await lost.messages(5);
      await Promise.all([replayed.told("live"), lost.told("live")]);
    });
    expect(more("service_socket_replayed_total", APP)).toBe(9);
    expect(more("service_socket_deliveries_total", APP)).toBe(9);
    expect(more("service_socket_gaps_total", { reason: "epoch" })).toBe(1);
    expect(more("service_socket_gaps_total", { reason: "trimmed" })).toBe(0);
    expect(more("service_socket_broker_read_seconds_count")).toBeGreaterThanOrEqual(1);
  });

  test("counts ends by their reason, and refusals in the form of a stream", async () => {
    await using one = await (await listen(`${server.url}/channel/ended/stream`)).live();
    const more = await grown(async () => {
      const { headers } = one.response;
      await post(server, "/channel/revoke", { form: { stream: headers.get("X-Request-Id")! } });
      await one.told("close");
    });
    expect(more("service_socket_streams_closed_total", { reason: "revoked" })).toBe(1);
    await using full = await serve({ settings: { ...settings, SOCKET_MAX_STREAMS: "1" } });
    await using first = await (await listen(`${full.url}/channel/a/stream`)).live();
    await using refused = await listen(`${full.url}/channel/a/stream`, { headers: { Accept: "text/event-stream" } });
    await refused.told("close");
    const { value } = await scrape(full.adminUrl);
    expect(value("service_socket_streams_closed_total", { reason: "limit" })).toBe(1);
    expect(value("service_socket_errors_total", { type: "limit_exceeded" })).toBe(1);
    expect(value("service_socket_streams_opened_total")).toBe(1);
    expect(first.ended).toBe(false);
  });

  test("tells the lag of the event loop and what the process takes", async () => {
    const { value } = await scrape(server.adminUrl);
    await reachedAtLeast("service_socket_event_loop_lag_seconds_count", 1);
    expect(value("process_resident_memory_bytes")).toBeGreaterThan(10 * 1024 * 1024);
    expect(value("process_cpu_seconds_total")).toBeGreaterThan(0);
    expect(Math.abs(value("process_start_time_seconds") * 1000 - performance.timeOrigin)).toBeLessThan(1000);
  });
});

async function reachedAtLeast(name: string, value: number): Promise<void> {
  while ((await scrape(server.adminUrl)).value(name) < value);
}

test("the lag is what the clock says that a tick came late", async () => {
  const clock = new HandClock();
  await using late = await serve({ settings, clock });
  clock.ms += 1100; // the tick is due after 100
  let sum = 0;
  while (sum === 0) sum = (await scrape(late.adminUrl)).value("service_socket_event_loop_lag_seconds_sum");
  expect(sum).toBeCloseTo(1, 9);
});

describe("the admin listener", () => {
  test("answers its two addresses, and everything else in the one shape", async () => {
    expect((await read<object>(await fetch(`${server.adminUrl}/healthz`))).data).toEqual({ status: "ok" });
    for (const path of ["/", "/readyz", "/metrics/", "/chat/send", "/stream?channel=news", "/channels"]) {
      expect((await read(await fetch(server.adminUrl + path))).error).toMatchObject({ type: "not_found" });
    }
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const response = await fetch(`${server.adminUrl}/metrics`, { method });
      expect(response.headers.get("Allow")).toBe("GET, HEAD");
      expect((await read(response)).error).toMatchObject({ type: "method_not_allowed" });
    }
    const head = await fetch(`${server.adminUrl}/metrics`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  test("is not there when it is off", async () => {
    await using without = await serve({ settings: { SOCKET_ADMIN_PORT: "off" } });
    expect(without.adminUrl).toBeNull();
  });

  test("whose port is taken is a warning, the server starts all the same, and has it once it is free", async () => {
    const port = freePort();
    const taken = Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } });
    const lines: string[] = [];
    const served = Promise.withResolvers<void>();
    const log = (level: string, message: string) => {
      lines.push(`${level}: ${message}`);
      if (message === "metrics are served") served.resolve();
    };
    try {
      await using started = await serve({ settings: { SOCKET_ADMIN_PORT: String(port) }, log });
      await publish(started, "news", "hello");
      expect(started.adminUrl).toBeNull();
      expect(lines).toEqual(["warn: metrics are not served: their address cannot be had"]);
      taken.stop(true);
      await served.promise;
      expect((await scrape(started.adminUrl)).value("service_socket_publishes_total", APP)).toBe(1);
      expect(lines).toHaveLength(2);
    } finally {
      taken.stop(true);
    }
  });

  test("lets go of its port when the server has stopped", async () => {
    const port = freePort();
    const first = await serve({ settings: { SOCKET_ADMIN_PORT: String(port) } });
    await first.stop();
    await using second = await serve({ settings: { SOCKET_ADMIN_PORT: String(port) } });
    expect(second.adminUrl).toBe(`http://127.0.0.1:${port}`);
  });
});
