import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { KEEP } from "../build.ts";
import { RedisCluster } from "../../tests/setup/redis-cluster.ts";
import type { RedisServer } from "../../tests/setup/redis.ts";
import { folder, own } from "../process.ts";
import { redisServer } from "../redis.ts";
import { Faults } from "./fault.ts";
import { Fleet, KEEPS_ALL } from "./fleet.ts";
import type { Proof } from "./proof.ts";
import { Random } from "./random.ts";
import type { Report } from "./report.ts";
import { Traffic } from "./traffic.ts";

const NODES = 2;
const PRIMARIES = 3;
/** What has gone away stays away for so long. */
const AWAY_MS = 2000;
/** More than the 1.5 s after which a node gives up a primary that does not answer, so that it asks for another. */
const DOWN_AFTER_MS = 2500;
const POLL_MS = 20;
const FAILOVER_WITHIN_MS = 30_000;

type Values = Readonly<Record<"listeners" | "moving" | "seed", number>>;

export const redisCluster: Proof<"listeners" | "moving" | "seed"> = {
  name: "redis-cluster",
  title: "a Redis Cluster of three primaries loses one and moves a slot, and a Sentinel replaces a primary",
  needs: ["redis-server"],
  options: {
    listeners: { what: "listeners of each app that move between the nodes", full: 500, quick: 40 },
    moving: { what: "percent of them that move in a second", full: 5, quick: 10 },
    seed: { what: "of the moves", full: 1, quick: 1 },
  },
  limitS: () => 600,

  async prove(report, values) {
    const lifeS = this.limitS(values) + 60;
    await overCluster(report, values, lifeS);
    await overSentinel(report, values, lifeS);
  },
};

async function overCluster(report: Report, { listeners, moving, seed }: Values, lifeS: number): Promise<void> {
  const under = [KEEP, String(lifeS)];
  const settings = { appendonly: "yes", appendfsync: "always", "cluster-require-full-coverage": "no" };
  await using cluster = own(await RedisCluster.start(PRIMARIES, { under, settings }));
  const apps = cluster.servers.map((server) => appAt(cluster, server));
  const file = join(folder(), "apps.json");
  writeFileSync(file, JSON.stringify({ apps: apps.map(({ id, secret }) => ({ id, secrets: [secret] })) }));
  const fleet = new Fleet(report, NODES, {
    lifeS,
    expected: /the store |retention cannot drop what is due/,
    settings: () => ({ ...KEEPS_ALL, SOCKET_CONFIG: file, SOCKET_BROKER: cluster.url }),
  });
  await fleet.start();
  const random = new Random(seed);
  const traffics = apps.map((app) => new Traffic(report, fleet, { listeners, moving, random, app }));
  await Promise.all(traffics.map((traffic) => traffic.begin()));
  const pids = () => [...cluster.servers, ...fleet.nodes].map(({ pid }) => pid);
  const faults = new Faults(report, pids);
  const [first, second, third] = traffics as [Traffic, Traffic, Traffic];
  const [one, other] = cluster.servers as [RedisServer, RedisServer];

  await faults.suffer(
    {
      name: "a primary of the Cluster is killed and comes back",
      gaps: true,
      losses: 0,
      async bring() {
        await one.kill();
        await Bun.sleep(AWAY_MS);
        await one.start();
        await cluster.isWhole();
      },
    },
    first,
    [second, third],
  );
  await faults.suffer(
    {
      name: "the slot of an app moves to another primary, ten keys at a time",
      gaps: true,
      losses: 0,
      bring: () => cluster.move(second.app, other, one, 10),
    },
    second,
    [third],
  );
  for (const traffic of traffics) await traffic.end();
  await fleet.stop();
}

/** An app whose slot that server has. */
function appAt(cluster: RedisCluster, server: RedisServer): { readonly id: string; readonly secret: string } {
  for (let i = 0; ; i++) {
    const id = `app-${i}`;
    if (cluster.of(id) === server) return { id, secret: `the-secret-of-${id}`.padEnd(40, "-") };
  }
}

async function overSentinel(report: Report, { listeners, moving, seed }: Values, lifeS: number): Promise<void> {
  await using primary = await redisServer({}, lifeS);
  await using replica = await redisServer({ settings: { replicaof: `127.0.0.1 ${primary.port}` } }, lifeS);
  const lines = [
    `sentinel monitor main 127.0.0.1 ${primary.port} 1`,
    `sentinel down-after-milliseconds main ${DOWN_AFTER_MS}`,
    "sentinel failover-timeout main 5000",
  ];
  await using sentinel = await redisServer({ sentinel: lines }, lifeS);
  const fleet = new Fleet(report, NODES, {
    lifeS,
    expected: /the store /,
    settings: () => ({ ...KEEPS_ALL, SOCKET_BROKER: `redis+sentinel://127.0.0.1:${sentinel.port}/main` }),
  });
  await fleet.start();
  const traffic = new Traffic(report, fleet, { listeners, moving, random: new Random(seed) });
  await traffic.begin();
  await replicates(sentinel, primary, replica);
  const servers = [primary, replica, sentinel];
  const running = () => [...servers.filter(({ isRunning }) => isRunning), ...fleet.nodes].map(({ pid }) => pid);
  const faults = new Faults(report, running);
  const failover = { gaps: true, losses: Infinity };
  await faults.suffer(
    {
      name: "a primary is killed and a Sentinel names its replica",
      ...failover,
      async bring() {
        await primary.kill();
        await isNamed(sentinel, replica);
      },
    },
    traffic,
  );
  await primary.start({ replicaof: `127.0.0.1 ${replica.port}` });
  await replicates(sentinel, replica, primary);
  await faults.suffer(
    {
      name: "a primary freezes, a Sentinel names its replica, and it thaws",
      gaps: true,
      losses: traffic.publishers, // what each had acknowledged last, and the replica had not
      async bring() {
        replica.freeze();
        try {
          await isNamed(sentinel, primary);
        } finally {
          replica.thaw();
        }
        await isReplaced(replica);
      },
    },
    traffic,
  );
  await replicates(sentinel, primary, replica);
  await faults.suffer(
    {
      name: "a Sentinel is asked for a failover",
      ...failover,
      async bring() {
        await sentinel.command("SENTINEL", "FAILOVER", "main");
        await isNamed(sentinel, replica);
        await isReplaced(primary);
      },
    },
    traffic,
  );
  await traffic.end();
  await fleet.stop();
}

/** Resolves once the Sentinel knows the replica, and that goes along with what the primary takes. */
async function replicates(sentinel: RedisServer, primary: RedisServer, replica: RedisServer): Promise<void> {
  let first = -1;
  await until("the replica is not level", async () => {
    const known = JSON.stringify(await sentinel.command("SENTINEL", "REPLICAS", "main"));
    const wanted = await offset(primary, "master_repl_offset");
    const has = await offset(replica, "slave_repl_offset");
    if (first < 0) first = has;
    // A new replica has a snapshot first, and is sent what came since about a second later.
    return known.includes(`:${replica.port}`) && has > first && has >= wanted;
  });
}

/** How far its stream of changes is, by that name of INFO. */
async function offset(server: RedisServer, name: "master_repl_offset" | "slave_repl_offset"): Promise<number> {
  const info = String(await server.command("INFO", "replication"));
  return Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1] ?? -1);
}

/** Resolves once the Sentinel names it as the primary, and it knows. */
async function isNamed(sentinel: RedisServer, server: RedisServer): Promise<void> {
  await until("the Sentinel does not name it", async () => {
    const named = (await sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")) as string[];
    const role = (await server.command("ROLE")) as string[];
    return Number(named[1]) === server.port && role[0] === "master";
  });
}

/** Resolves once it knows that it is the primary no more. */
async function isReplaced(server: RedisServer): Promise<void> {
  await until("it stays a primary", async () => ((await server.command("ROLE")) as string[])[0] === "slave");
}

async function until(why: string, holds: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + FAILOVER_WITHIN_MS;
  // A Sentinel ends the connections of a server whose role it changes.
  while (!(await holds().catch(() => false))) {
    if (performance.now() > untilMs) throw new Error(why);
    await Bun.sleep(POLL_MS);
  }
}
