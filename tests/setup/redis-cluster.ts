import { slotOf } from "../../src/broker/redis/servers.ts";
import { freePort } from "./gateway.ts";
import { type RedisOptions, type RedisServer, startRedis } from "./redis.ts";

const SLOTS = 16_384;
const FORMS_WITHIN_MS = 20_000;
const POLL_MS = 20;

/** A Cluster of some primaries, each with its part of the slots; it ends with `await using`. */
export class RedisCluster implements AsyncDisposable {
  readonly servers: readonly RedisServer[];

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers;
  }

  /** Resolves once all take commands. */
  static async start(count: number, { settings, ...options }: RedisOptions = {}): Promise<RedisCluster> {
    // Its own port for what the servers say to each other: 10,000 above the other, as it is by default, may be none.
    const buses = Array.from({ length: count }, () => String(freePort()));
    const servers = await Promise.all(
      buses.map((port) =>
        startRedis({
          ...options,
          settings: { "cluster-enabled": "yes", "cluster-port": port, "cluster-node-timeout": "2000", ...settings },
        }),
      ),
    );
    const cluster = new RedisCluster(servers);
    try {
      for (const [i, server] of servers.entries()) {
        const [from, to] = [Math.ceil((i * SLOTS) / count), Math.ceil(((i + 1) * SLOTS) / count) - 1];
        await server.command("CLUSTER", "ADDSLOTSRANGE", String(from), String(to));
        await server.command("CLUSTER", "SET-CONFIG-EPOCH", String(i + 1));
      }
      for (const [i, { port }] of servers.entries()) {
        if (i > 0) await servers[0]!.command("CLUSTER", "MEET", "127.0.0.1", String(port), buses[i]!);
      }
      await cluster.isWhole();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  get url(): string {
    return `redis+cluster://${this.servers.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;
  }

  /** Who has the app's slot in the beginning. */
  of(app: string): RedisServer {
    return this.servers[Math.floor((slotOf(app) * this.servers.length) / SLOTS)]!;
  }

  /** Resolves once every server holds the Cluster for whole. */
  async isWhole(): Promise<void> {
    const deadline = performance.now() + FORMS_WITHIN_MS;
    for (const server of this.servers) {
      for (;;) {
        const info = String(await server.command("CLUSTER", "INFO"));
        if (info.includes("cluster_state:ok") && info.includes(`cluster_size:${this.servers.length}`)) break;
        if (performance.now() > deadline) throw new Error(`the Cluster did not form:\n${info}`);
        await Bun.sleep(POLL_MS);
      }
    }
  }

  /**
   * Moves an app's slot as `redis-cli --cluster reshard` does: so many keys at a time, while the app goes on. `between` is
   * done before the first and after each part.
   */
  async move(
    app: string,
    from: RedisServer,
    to: RedisServer,
    keysAtOnce: number,
    between: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const slot = String(slotOf(app));
    const [fromId, toId] = [await from.command("CLUSTER", "MYID"), await to.command("CLUSTER", "MYID")].map(String);
    await to.command("CLUSTER", "SETSLOT", slot, "IMPORTING", fromId!);
    await from.command("CLUSTER", "SETSLOT", slot, "MIGRATING", toId!);
    for (;;) {
      await between();
      const keys = (await from.command("CLUSTER", "GETKEYSINSLOT", slot, String(keysAtOnce))) as string[];
      if (keys.length === 0) break;
      await from.command("MIGRATE", "127.0.0.1", String(to.port), "", "0", "5000", "KEYS", ...keys);
    }
    for (const server of [to, ...this.servers]) await server.command("CLUSTER", "SETSLOT", slot, "NODE", toId!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.servers) await server[Symbol.asyncDispose]();
  }
}
