import { describe, expect, test } from "bun:test";
import { mkdtemp, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listen, type Listening } from "../api/listening.ts";
import { scrape } from "../metrics/scrape.ts";
import { diskFaults, unwritable } from "../setup/disk.ts";
import { freePort, Gateway, startGateway } from "../setup/gateway.ts";

const BEGINS = "the store does not take messages: publishes are refused until it does";
const OVER = "the store takes messages again";

/** The status of a publish, and its id where it was acknowledged. */
async function send(gateway: Gateway, data: string): Promise<{ status: number; id: string }> {
  const response = await fetch(`${gateway.url}/chat/send`, {
    method: "POST",
    headers: { Authorization: `key=${gateway.secret}`, "Idempotency-Key": crypto.randomUUID() },
    body: new URLSearchParams({ channel: "news", data }),
  });
  const { data: sent, Error: error } = (await response.json()) as {
    data: { id: string };
    Error: { type: string } | null;
  };
  if (response.status !== 200) expect([response.status, error?.type]).toEqual([503, "unavailable"]);
  return { status: response.status, id: sent.id };
}

async function readiness(gateway: Gateway): Promise<number> {
  return (await fetch(`${gateway.url}/readyz`)).status;
}

function open(gateway: Gateway, query = ""): Promise<Listening> {
  return listen(`${gateway.url}/channel/news/stream${query}`, { authorization: `key=${gateway.secret}` });
}

/** Publishes until one is refused. What was acknowledged is added. */
async function publishUntilRefused(gateway: Gateway, acknowledged: Map<string, string>): Promise<void> {
  for (let i = 0; ; i++) {
    const data = `${acknowledged.size} ${"x".repeat(i % 2 === 0 ? 10 : 9000)}`;
    const { status, id } = await send(gateway, data);
    if (status !== 200) return;
    acknowledged.set(id, data);
  }
}

/** That a stream was sent all that was acknowledged, in its order and nothing else. */
async function heard(stream: Listening, acknowledged: ReadonlyMap<string, string>): Promise<void> {
  const messages = await stream.messages(acknowledged.size);
  expect(messages.map(({ id, data }) => [id!, data])).toEqual([...acknowledged]);
  const seqs = [...acknowledged.keys()].map((id) => Number(id.split("-")[1]));
  expect(seqs).toEqual(seqs.map((_, i) => i + 1)); // what was refused left no hole
}

describe.each(diskFaults())("$name", (fault) => {
  test("refuses publishes, keeps streams and replay, loses nothing, and is over when its cause is", async () => {
    const adminPort = String(freePort());
    const settings = { SOCKET_HISTORY_BYTES: "0", SOCKET_ADMIN_PORT: adminPort };
    await using gateway = await startGateway({ settings, under: fault.under });
    const acknowledged = new Map<string, string>();
    await using stream = await (await open(gateway)).live();
    for (let i = 0; i < 20; i++) acknowledged.set((await send(gateway, String(i))).id, String(i));

    fault.begin(gateway);
    try {
      await publishUntilRefused(gateway, acknowledged);
      for (let i = 0; i < 20; i++) expect((await send(gateway, "x")).status).toBe(503);
      while ((await readiness(gateway)) === 200);
      expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
      await using replay = await open(gateway, "?since=earliest");
      await replay.told("open");
      await heard(replay, acknowledged);
    } finally {
      fault.end(gateway);
    }

    while ((await readiness(gateway)) !== 200);
    const { status, id } = await send(gateway, "after");
    expect(status).toBe(200);
    acknowledged.set(id, "after");
    await gateway.wrote(OVER);
    expect(gateway.output.split(BEGINS)).toHaveLength(2); // once, however many were refused
    expect(gateway.output.split(OVER)).toHaveLength(2);
    const { value } = await scrape(`http://127.0.0.1:${adminPort}`);
    expect(value("service_socket_broker_reconnects_total")).toBe(1);

    await heard(stream, acknowledged);
    if (!fault.lasts) return;
    await gateway.kill();
    await gateway.start();
    await using replay = await open(gateway, "?since=earliest");
    await replay.told("open");
    await heard(replay, acknowledged);
  }, 30_000);
});

const disks = unwritable();
if (disks !== null) {
  test.each([
    ["full", disks.full, "the disk is full"],
    ["read-only", disks.readOnly, "read-only"],
  ])("a start on a disk that is %s is refused in one line", async (_what, under, says) => {
    const folder = await mkdtemp(join(tmpdir(), "service-socket-"));
    await using gateway = new Gateway(folder, { under });
    gateway.launch();
    expect(await gateway.exited()).toBe(1);
    expect(gateway.output).toMatch(/^service-socket: The store \S+ cannot be (written|opened): [^\n]+\.\n$/);
    expect(gateway.output).toContain(says);
    expect((await stat(join(folder, "data"))).isDirectory()).toBe(true);
  });
}
