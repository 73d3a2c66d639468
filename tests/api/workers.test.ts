import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { makeCertificate, type Pair, shownName } from "../setup/certificate.ts";
import { Gateway, type GatewayOptions, publish, startGateway } from "../setup/gateway.ts";
import { Http2Connection } from "../setup/http2.ts";
import { program } from "../setup/programs.ts";
import { type RedisServer, startRedis } from "../setup/redis.ts";
import { call } from "./fixture.ts";
import { listen, type Listening } from "./listening.ts";

/** Starting takes a process after the other, on a busy machine. */
const PATIENCE_MS = 60_000;

interface Listed {
  readonly streams: readonly { readonly stream: string; readonly node: string }[];
  readonly complete: boolean;
}

if (program("redis-server") !== null && process.platform === "linux") {
  describe("two workers", () => {
    let redis: RedisServer;
    beforeAll(async () => {
      redis = await startRedis();
    }, PATIENCE_MS);
    afterAll(() => redis[Symbol.asyncDispose]());

    const optionsOf = (settings: Readonly<Record<string, string>> = {}): GatewayOptions => {
      return { settings: { SOCKET_BROKER: redis.url, SOCKET_WORKERS: "2", SOCKET_RETRY: "100ms", ...settings } };
    };
    /** Serves by all its workers. */
    async function started(options = optionsOf()): Promise<Gateway> {
      const gateway = await startGateway(options);
      await gateway.wrote("Or open http");
      return gateway;
    }

    test(
      "serve on one port: what is published is heard at both, the start is told once, and each line says its worker",
      async () => {
        await using gateway = await started(optionsOf({ SOCKET_LOG_LEVEL: "debug" }));
        const streams = await openAtBoth(gateway);
        const { id } = await publish(gateway, { channel: "a", data: "to all" });
        for (const stream of streams.flat()) expect(await stream.next()).toMatchObject({ id, data: "to all" });
        const state = await call<object>(gateway, "GET", "/channel/a", { secret: gateway.secret });
        expect(state.data).toMatchObject({ subscribers: streams.flat().length, complete: true });
        await close(streams);
        await gateway.wrote("stream closed");
        expect(gateway.output.match(/listens on/g)).toHaveLength(1);
        const lines = gateway.output.split("\n").filter((line) => line.includes('"stream closed"'));
        for (const line of lines) expect(JSON.parse(line)).toMatchObject({ worker: expect.any(Number) });
        expect(await gateway.stop()).toBe(0);
      },
      PATIENCE_MS,
    );

    test(
      "one that is killed is replaced, and its listeners resume without a loss",
      async () => {
        await using gateway = await started();
        const streams = await openAtBoth(gateway);
        const first = await publish(gateway, { channel: "a", data: "1" });
        for (const stream of streams.flat()) expect(await stream.next()).toMatchObject({ id: first.id });
        process.kill(pidsOf(gateway)[0]!, "SIGKILL");
        await gateway.wrote("a worker has ended, and is started again");
        const second = await publish(gateway, { channel: "a", data: "2" });
        const ended = await Promise.all(
          streams.map(async ([one]) =>
            one!
              .when(() => one!.frames.find(({ id }) => id === second.id))
              .then(
                () => false,
                () => true,
              ),
          ),
        );
        expect(new Set(ended)).toEqual(new Set([false, true]));
        await using resumed = await openAt(gateway, first.id);
        expect(await resumed.told("open")).toMatchObject({ recovered: true });
        expect(await resumed.next()).toMatchObject({ id: second.id, data: "2" });
        await gateway.wrote(`"worker":0,"pid":${await served(gateway, 3)}`);
        await close(streams);
        expect(await gateway.stop()).toBe(0);
      },
      PATIENCE_MS,
    );

    test(
      "a signal to one drains it alone and has it replaced; all in turn is a restart without a stop",
      async () => {
        await using gateway = await started(optionsOf({ SOCKET_DRAIN: "200ms" }));
        const streams = await openAtBoth(gateway);
        for (const [i, pid] of pidsOf(gateway).entries()) {
          process.kill(pid, "SIGTERM");
          await served(gateway, 3 + i);
          expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
        }
        for (const stream of streams.flat()) expect(await stream.told("close")).toMatchObject({ reason: "drain" });
        await publish(gateway, { channel: "a", data: "goes on" });
        expect(await gateway.stop()).toBe(0);
      },
      PATIENCE_MS,
    );

    test(
      "a signal to the parent drains all, and it exits with 0; a second one ends all at once",
      async () => {
        await using gateway = await started(optionsOf({ SOCKET_DRAIN: "200ms" }));
        const streams = await openAtBoth(gateway);
        expect(await gateway.stop()).toBe(0);
        for (const stream of streams.flat()) expect(await stream.told("close")).toMatchObject({ reason: "drain" });

        await gateway.start({ SOCKET_DRAIN: "1h" });
        await served(gateway, 4);
        gateway.signal("SIGTERM");
        await gateway.wrote("streams end over 1h");
        gateway.signal("SIGINT");
        expect(await gateway.exited()).toBe(130);
        for (const pid of pidsOf(gateway)) await gone(pid);
      },
      PATIENCE_MS,
    );

    test(
      "a SIGHUP to the parent has every worker reload, and all go on",
      async () => {
        const config = join(await mkdtemp(join(tmpdir(), "service-socket-workers-")), "conf.json");
        const [old, fresh] = ["secret-of-the-workers-that-is-rotated-out", "secret-of-the-workers-that-is-the-new-one"];
        const configure = (secrets: readonly string[]) =>
          writeFileSync(config, JSON.stringify({ apps: [{ id: "shop", secrets }] }), { mode: 0o600 });
        try {
          configure([old]);
          await using gateway = await started(optionsOf({ SOCKET_CONFIG: config }));
          const streams = await openAtBoth(gateway, old);
          configure([fresh]);
          gateway.signal("SIGHUP");
          for (const stream of streams.flat()) expect(await stream.told("close")).toMatchObject({ reason: "revoked" });
          await close(streams);
          await close(await openAtBoth(gateway, fresh));
          expect(pidsOf(gateway)).toHaveLength(2);
          expect(await gateway.stop()).toBe(0);
        } finally {
          await rm(dirname(config), { recursive: true });
        }
      },
      PATIENCE_MS,
    );

    test(
      "each takes a renewed certificate, and no stream is cut",
      async () => {
        const folder = await mkdtemp(join(tmpdir(), "service-socket-workers-"));
        const files = { SOCKET_TLS_CERT: join(folder, "cert.pem"), SOCKET_TLS_KEY: join(folder, "key.pem") };
        const install = ({ cert, key }: Pair): void => {
          writeFileSync(files.SOCKET_TLS_CERT, cert);
          writeFileSync(files.SOCKET_TLS_KEY, key, { mode: 0o600 });
        };
        try {
          install(makeCertificate("first"));
          await using gateway = await started(optionsOf(files));
          using connection = new Http2Connection(gateway.url);
          const { stream } = await connection.open("/channel/a/stream", { authorization: `key=${gateway.secret}` });
          await stream.has("socket:live");
          install(makeCertificate("second"));
          gateway.signal("SIGHUP");
          while (gateway.output.split("the certificate was renewed").length < 3) await gateway.wroteMore();
          // Whichever worker has the connection.
          for (let i = 0; i < 20; i++) expect(await shownName(gateway)).toBe("second");
          expect(stream.closedWith).toBeNull();
          expect(await gateway.stop()).toBe(0);
          expect(stream.text).toContain('"reason":"drain"');
        } finally {
          await rm(folder, { recursive: true });
        }
      },
      PATIENCE_MS,
    );

    test(
      "workers whose parent was killed end as well, and leave the port",
      async () => {
        await using gateway = await started();
        await gateway.kill();
        for (const pid of pidsOf(gateway)) await gone(pid);
        await gateway.start();
        expect(await gateway.stop()).toBe(0);
      },
      PATIENCE_MS,
    );

    test(
      "take no port that another program or another gateway has",
      async () => {
        await using first = await started();
        await using second = await launched({ ...optionsOf(), port: first.port });
        expect(await second.exited()).toBe(1);
        expect(second.output).toBe(`service-socket: Port ${first.port} is in use by another program.\n`);
        await using single = await launched({ ...optionsOf({ SOCKET_WORKERS: "1" }), port: first.port });
        expect(await single.exited()).toBe(1);
        expect(single.output).toContain("is in use by another program");
      },
      PATIENCE_MS,
    );

    test(
      "of two gateways that start on one port at once, one serves",
      async () => {
        await using one = await launched(optionsOf());
        await using other = await launched({ ...optionsOf(), port: one.port });
        expect(await Promise.race([one.exited(), other.exited()])).toBe(1);
        await Promise.any([one.wrote("Or open http"), other.wrote("Or open http")]);
        expect(`${one.output}${other.output}`).toContain(`service-socket: Port ${one.port} is in use by another`);
      },
      PATIENCE_MS,
    );

    test(
      "share any free port, where 0 is set",
      async () => {
        await using gateway = await launched({ ...optionsOf(), port: 0 });
        await gateway.wrote("Or open http");
        const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(gateway.output)!;
        const nodes = new Set<string>();
        const headers = { Authorization: `key=${gateway.secret}` };
        const opened: Listening[] = [];
        while (nodes.size < 2) {
          opened.push(await listen(`${url}/channel/a/stream`, { authorization: headers.Authorization }));
          const { data } = (await (await fetch(`${url}/streams`, { headers })).json()) as { data: Listed };
          for (const { node } of data.streams) nodes.add(node);
        }
        await close([opened]);
      },
      PATIENCE_MS,
    );

    test(
      "that cannot start end the whole, with one line and the code of the first",
      async () => {
        await using gateway = await launched(
          optionsOf({ SOCKET_BROKER: redis.url.replace("127.0.0.1", "u:p@127.0.0.1") }),
        );
        expect(await gateway.exited()).toBe(1);
        expect(gateway.output.match(/service-socket: /g)).toHaveLength(1);
        expect(gateway.output).toContain("refuses the user or the password");
      },
      PATIENCE_MS,
    );
  });
}

test(
  "several workers of a store that one process has to itself are refused",
  async () => {
    for (const broker of ["memory:", "sqlite:"]) {
      await using gateway = await launched({ settings: { SOCKET_BROKER: broker, SOCKET_WORKERS: "2" } });
      expect(await gateway.exited()).toBe(78);
      expect(gateway.output).toStartWith("service-socket: SOCKET_WORKERS: takes 1 with memory: and sqlite:");
    }
  },
  PATIENCE_MS,
);

function openAt(gateway: Gateway, lastEventId?: string, secret = gateway.secret): Promise<Listening> {
  return listen(`${gateway.url}/channel/a/stream`, {
    authorization: `key=${secret}`,
    ...(lastEventId !== undefined && { lastEventId }),
  });
}

async function list(gateway: Gateway, secret: string): Promise<Listed> {
  return (await call<Listed>(gateway, "GET", "/streams?limit=1000", { secret })).data;
}

/** Opens streams until each worker has some: the kernel chooses. Gives them by their node. */
async function openAtBoth(gateway: Gateway, secret = gateway.secret): Promise<Listening[][]> {
  const byId = new Map<string, Listening>();
  for (;;) {
    const stream = await openAt(gateway, undefined, secret);
    const { stream: id } = await stream.told("open");
    await stream.told("live");
    byId.set(String(id), stream);
    const nodes = Map.groupBy((await list(gateway, secret)).streams, ({ node }) => node);
    if (nodes.size < 2) continue;
    return [...nodes.values()].map((of) => of.map(({ stream: one }) => byId.get(one)!));
  }
}

async function close(streams: readonly (readonly Listening[])[]): Promise<void> {
  await Promise.all(streams.flat().map((stream) => stream[Symbol.asyncDispose]()));
}

/** Started, and nothing waited for. */
async function launched(options: GatewayOptions): Promise<Gateway> {
  const gateway = new Gateway(await mkdtemp(join(tmpdir(), "service-socket-")), options);
  gateway.launch();
  return gateway;
}

/** Of all workers that ever served, in that order. */
function pidsOf(gateway: Gateway): number[] {
  return [...gateway.output.matchAll(/"pid":(\d+),"msg":"a worker serves"/g)].map(([, pid]) => Number(pid));
}

/** Resolves once so many workers have served, with the last one's pid. */
async function served(gateway: Gateway, count: number): Promise<number> {
  while (pidsOf(gateway).length < count) await Bun.sleep(10);
  return pidsOf(gateway)[count - 1]!;
}

/** Resolves once there is no such process. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await Bun.sleep(10);
  }
}
