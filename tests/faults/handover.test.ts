import { expect, test } from "bun:test";
import { serve } from "../api/fixture.ts";
import { freePort, Gateway, startGateway } from "../setup/gateway.ts";
import { openFiles } from "../setup/open-files.ts";

const PUBLISHERS = 4;

/** Publishes one after the other, each until it is acknowledged, until it is told to end. */
class Publishing {
  readonly acknowledged: string[] = [];
  readonly #gateway: Gateway;
  readonly #running: Promise<unknown>;
  #over = false;
  #changed = Promise.withResolvers<void>();

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
    this.#running = Promise.all(Array.from({ length: PUBLISHERS }, (_, publisher) => this.#publish(publisher)));
  }

  /** Resolves once so many more were acknowledged. */
  async more(count: number): Promise<void> {
    const until = this.acknowledged.length + count;
    while (this.acknowledged.length < until) await this.#changed.promise;
  }

  async end(): Promise<void> {
    this.#over = true;
    await this.#running;
  }

  async #publish(publisher: number): Promise<void> {
    for (let i = 0; !this.#over; i++) {
      const data = `${publisher}.${i}`;
      while (!(await this.#send(data)));
      this.acknowledged.push(data);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }

  async #send(data: string): Promise<boolean> {
    try {
      const headers = { Authorization: `key=${this.#gateway.secret}`, "Idempotency-Key": data };
      const body = new URLSearchParams({ channel: "news", data });
      const response = await fetch(`${this.#gateway.url}/chat/send`, { method: "POST", headers, body });
      return response.status === 200;
    } catch {
      await new Promise(setImmediate); // nobody listens: the loop goes on for others
      return false;
    }
  }
}

/** What the channel keeps, oldest first. */
async function kept(gateway: Gateway): Promise<string[]> {
  const found: string[] = [];
  for (let after = ""; ;) {
    const path = `${gateway.url}/channel/news/history?limit=1000${after}`;
    const response = await fetch(path, { headers: { Authorization: `key=${gateway.secret}` } });
    const { data } = (await response.json()) as { data: { messages: { data: string; id: string }[]; through: string } };
    if (data.messages.length === 0) return found;
    found.push(...data.messages.map((message) => message.data));
    after = `&after=${data.through}`;
  }
}

/** The second process of a rolling deploy: the same folder, the same port. */
function successorOf(gateway: Gateway): Gateway {
  return new Gateway(gateway.folder, { port: gateway.port });
}

for (const how of ["drained", "killed"] as const) {
  test(`a process that is ${how} hands the store on to the next: all that was acknowledged is there, once`, async () => {
    await using first = await startGateway({ settings: { SOCKET_DRAIN: "300ms" } });
    const publishing = new Publishing(first);
    await publishing.more(50);
    await using second = successorOf(first);
    second.launch();
    await second.wrote("waiting for the store, which another process has in use");
    expect(openFiles(second.pid).filter((path) => /messages\.db(-wal|-shm)?$/.test(path))).toEqual([]);
    await publishing.more(50);
    if (how === "drained") expect(await first.stop()).toBe(0);
    else await first.kill();
    await second.wrote("the other process has let go of the store");
    await second.wrote("listens on");
    await publishing.more(50);
    await publishing.end();

    const found = await kept(second);
    expect(new Set(found).size).toBe(found.length);
    expect(found.toSorted()).toEqual(publishing.acknowledged.toSorted());
  }, 20_000);
}

test("a process that waits for the store ends at once when it is told to, and leaves the first alone", async () => {
  await using first = await startGateway();
  await using second = successorOf(first);
  second.launch({ SOCKET_DRAIN: "10m" });
  await second.wrote("waiting for the store");
  expect(await second.stop("SIGINT")).toBe(0);
  expect(second.output).toContain("stopped before it served");
  expect((await fetch(`${first.url}/readyz`)).status).toBe(200);
});

test("a port that another program keeps is told in one line", async () => {
  const port = freePort();
  using other = Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } });
  await using folder = await startGateway();
  await folder.stop();
  await using gateway = new Gateway(folder.folder, { port });
  gateway.launch();
  expect(await gateway.exited()).toBe(1);
  expect(gateway.output).toBe(`service-socket: Port ${other.port} is in use by another program.\n`);
});

test("a port that is given up a moment after is taken", async () => {
  const other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const starting = serve({ settings: { PORT: String(other.port) } });
  for (let i = 0; i < 10; i++) await new Promise(setImmediate); // it has asked for it
  other.stop(true);
  await using server = await starting;
  expect(server.port).toBe(other.port);
});
