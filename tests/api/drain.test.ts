import { expect, test } from "bun:test";
import { type Gateway, publish, startGateway } from "../setup/gateway.ts";
import { headersOf, listen, type Listening } from "./listening.ts";

const WINDOW_MS = 1000;
const RETRY_MS = 500;
const settings = { SOCKET_DRAIN: `${WINDOW_MS}ms`, SOCKET_RETRY: `${RETRY_MS}ms` };

/** Publishes until the server takes no connection any more. Resolves with what was acknowledged, and until when. */
async function publishToTheEnd(gateway: Gateway): Promise<{ ids: string[]; lastAtMs: number }> {
  const ids: string[] = [];
  let lastAtMs = 0;
  for (;;) {
    const sent = await publish(gateway, { channel: "other", data: String(ids.length) }).catch((error: unknown) => {
      if (!(error instanceof Error) || !("code" in error)) throw error; // an answer, and no good one
      return null;
    });
    if (sent === null) return { ids, lastAtMs };
    ids.push(sent.id);
    lastAtMs = performance.now();
  }
}

async function newestOf(gateway: Gateway, channel: string): Promise<string> {
  const headers = { Authorization: `key=${gateway.secret}` };
  const response = await fetch(`${gateway.url}/channel/${channel}`, { headers });
  return ((await response.json()) as { data: { newest: string } }).data.newest;
}

/** Resolves once the server says that it is not ready. */
async function notReady(gateway: Gateway): Promise<void> {
  while ((await fetch(`${gateway.url}/readyz`)).status === 200);
}

test("a signal ends the streams over the window, while publishes are taken to its end; then all is closed", async () => {
  await using gateway = await startGateway({ settings });
  const authorization = `key=${gateway.secret}`;
  const streams: Listening[] = [];
  for (let i = 0; i < 8; i++) {
    streams.push(await (await listen(`${gateway.url}/channel/news/stream`, { authorization })).live());
  }
  const endedAtMs: number[] = [];
  const ends = streams.map((stream) => stream.end().then(() => endedAtMs.push(performance.now())));

  const fromMs = performance.now();
  gateway.signal("SIGTERM");
  await notReady(gateway);
  expect(endedAtMs.length).toBeLessThan(4); // it was not ready before most were told
  const later = await fetch(`${gateway.url}/channel/news/stream`, {
    headers: { ...headersOf({ authorization }), Accept: "text/event-stream" },
  });
  expect(await later.text()).toMatch(
    /^retry: \d+\nevent: socket:close\ndata: \{"reason":"drain","reconnect":true\}\n\n$/,
  );

  const { ids, lastAtMs } = await publishToTheEnd(gateway);
  expect(lastAtMs - fromMs).toBeGreaterThan(0.8 * WINDOW_MS);
  await Promise.all(ends);
  expect(endedAtMs.at(-1)! - endedAtMs[0]!).toBeGreaterThan(0.4 * WINDOW_MS);
  for (const stream of streams) {
    expect(await stream.told("close")).toMatchObject({ reason: "drain", reconnect: true });
    const waits = stream.retries;
    expect(waits).toHaveLength(2); // when it was opened, and now
    for (const ms of waits) expect(ms >= RETRY_MS && ms <= 2 * RETRY_MS).toBe(true);
  }
  expect(new Set(streams.map(({ retries }) => retries.at(-1))).size).toBeGreaterThan(1);

  expect(await gateway.exited()).toBe(0);
  expect(gateway.output).toContain("stopping: streams end over 1s; a second signal ends the process without waiting");
  await gateway.start();
  const seqs = ids.map((id) => Number(id.split("-")[1]));
  expect(seqs).toEqual(seqs.map((_, i) => i + 1)); // so that the newest speaks for all
  expect(Number((await newestOf(gateway, "other")).split("-")[1])).toBeGreaterThanOrEqual(seqs.length);
});

test("without a stream the window lasts as long: whoever publishes learns late that the node goes", async () => {
  await using gateway = await startGateway({ settings });
  const fromMs = performance.now();
  gateway.signal("SIGINT");
  await notReady(gateway);
  const { lastAtMs } = await publishToTheEnd(gateway);
  expect(lastAtMs - fromMs).toBeGreaterThan(0.8 * WINDOW_MS);
  expect(await gateway.exited()).toBe(0);
});

test("connections that are kept are given up while the node is stopped, so that its end breaks none of them", async () => {
  await using gateway = await startGateway({ settings });
  const healthy = `${gateway.url}/healthz`;
  expect((await fetch(healthy)).headers.get("Connection")).not.toBe("close");
  gateway.signal("SIGTERM");
  await notReady(gateway);
  for (const path of ["/healthz", "/readyz", "/nowhere"]) {
    expect((await fetch(`${gateway.url}${path}`)).headers.get("Connection")).toBe("close");
  }
});

for (const [first, second, code] of [
  ["SIGTERM", "SIGINT", 130],
  ["SIGINT", "SIGTERM", 143],
] as const) {
  test(`${second} after ${first} ends the process at once`, async () => {
    await using gateway = await startGateway({ settings: { SOCKET_DRAIN: "10m" } });
    await using stream = await listen(`${gateway.url}/channel/news/stream`, { authorization: `key=${gateway.secret}` });
    await stream.told("open");
    gateway.signal(first);
    await notReady(gateway);
    gateway.signal(second);
    expect(await gateway.exited()).toBe(code);
  });
}

test("the same signal at once after the first is the same request; later it is the second", async () => {
  await using gateway = await startGateway({ settings: { SOCKET_DRAIN: "10m" } });
  gateway.signal("SIGINT");
  await notReady(gateway); // the handler has run
  gateway.signal("SIGINT"); // as the parent of a terminal's process hands it on
  expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
  const exited = gateway.exited();
  for (;;) {
    gateway.signal("SIGINT");
    if (
      await fetch(`${gateway.url}/healthz`).then(
        () => false,
        () => true,
      )
    )
      break;
  }
  expect(await exited).toBe(130);
});
