import type { RedisServer } from "../../tests/setup/redis.ts";
import { TcpProxy } from "../../tests/setup/tcp-proxy.ts";
import { own } from "../process.ts";
import { redisServer } from "../redis.ts";
import { type Fault, Faults } from "./fault.ts";
import { Fleet, KEEPS_ALL } from "./fleet.ts";
import type { Proof } from "./proof.ts";
import { Random } from "./random.ts";
import { Traffic } from "./traffic.ts";

const NODES = 3;
/** This one reaches Redis over a wire of its own, which can be cut. */
const WIRED = 2;

export const redisFaults: Proof<"listeners" | "moving" | "stop" | "cut" | "seed"> = {
  name: "redis-faults",
  title: "Redis is killed, frozen, cut off under three nodes: no loss that is not told, and no node stays deaf",
  needs: ["redis-server"],
  options: {
    listeners: { what: "listeners that move between the nodes", full: 1000, quick: 100 },
    moving: { what: "percent of them that move in a second", full: 2, quick: 10 },
    stop: { what: "seconds of the longest freeze of Redis", full: 60, quick: 2 },
    cut: { what: "seconds for which a node is cut off from Redis", full: 10, quick: 2 },
    seed: { what: "of the moves", full: 1, quick: 1 },
  },
  limitS: ({ stop, cut }) => 600 + stop + cut,

  async prove(report, values) {
    const { listeners, moving, stop, cut, seed } = values;
    const lifeS = this.limitS(values) + 60;
    await using redis = await redisServer({ settings: ALWAYS }, lifeS);
    await using wire = own(await TcpProxy.start(redis.port));
    const fleet = new Fleet(report, NODES, {
      lifeS,
      expected: /the store /,
      settings: (nth) => ({
        ...KEEPS_ALL,
        SOCKET_BROKER: nth === WIRED ? `redis://127.0.0.1:${wire.port}` : redis.url,
      }),
    });
    await fleet.start();
    const traffic = new Traffic(report, fleet, { listeners, moving, random: new Random(seed) });
    await traffic.begin();
    const faults = new Faults(report, () => [redis.pid, ...fleet.nodes.map(({ pid }) => pid)]);
    for (const fault of faultsOf(redis, wire, { stop, cut })) await faults.suffer(fault, traffic);
    await traffic.end();
    await fleet.stop();
  },
};

const ALWAYS = { appendonly: "yes", appendfsync: "always" };
const EVERY_SECOND = { appendonly: "yes", appendfsync: "everysec" };

function faultsOf(redis: RedisServer, wire: TcpProxy, { stop, cut }: { stop: number; cut: number }): readonly Fault[] {
  const told = { gaps: true, losses: 0 };
  const silent = { gaps: false, losses: 0 };
  const freeze = async (seconds: number): Promise<void> => {
    redis.freeze();
    await Bun.sleep(seconds * 1000);
    redis.thaw();
  };
  const kill = async (settings: Readonly<Record<string, string>>): Promise<void> => {
    await redis.kill();
    await redis.start(settings);
  };
  return [
    { name: "SIGSTOP for 1 s", ...silent, bring: () => freeze(1) },
    { name: `SIGSTOP for ${stop} s`, ...silent, bring: () => freeze(stop) },
    { name: "CLIENT KILL TYPE pubsub", ...silent, bring: () => ended(redis, "pubsub") },
    { name: "CLIENT KILL TYPE normal", ...silent, bring: () => ended(redis, "normal") },
    {
      name: `a node cut off for ${cut} s`,
      ...silent,
      async bring() {
        wire.hold();
        await Bun.sleep(cut * 1000);
        wire.pass();
      },
    },
    { name: "announcements to a node stay away, for good", ...silent, bring: async () => wire.mute("announcements") },
    { name: "answers to a node stay away, for good", ...silent, bring: async () => wire.mute("commands") },
    { name: "kill -9, appendfsync always", ...told, bring: () => kill(ALWAYS) },
    {
      name: "kill -9, appendfsync everysec",
      gaps: true,
      losses: Infinity,
      async bring() {
        await redis.command("CONFIG", "SET", "appendfsync", "everysec");
        await kill(EVERY_SECOND);
      },
    },
    { name: "kill -9, nothing kept", gaps: true, losses: Infinity, bring: () => kill({ appendonly: "no" }) },
  ];
}

async function ended(redis: RedisServer, type: string): Promise<void> {
  const count = await redis.command("CLIENT", "KILL", "TYPE", type);
  if (Number(count) < NODES) throw new Error(`CLIENT KILL TYPE ${type} ended ${String(count)} connections`);
}
