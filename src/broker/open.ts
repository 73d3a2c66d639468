import type { Broker, BrokerOptions } from "./broker.ts";
import { MemoryBroker } from "./memory.ts";

const FORMS = "memory:, sqlite:path, sqlite:path?synchronous=full or redis://host:port";

/**
 * The broker of an address, not started yet.
 *
 * - `memory:` keeps messages in this process.
 * - `sqlite:path` keeps them in a file, whose folder is made when it is missing; `?synchronous=normal` (the default)
 *   survives the end of the process, `?synchronous=full` the loss of power as well.
 * - `redis://user:password@host:port/db` keeps them in Redis 7 or Valkey, for any number of nodes. What has a default may
 *   be left out: `redis://host` is port 6379 and database 0.
 * - `redis+sentinel://user:password@host:port,host:port/name/db` asks Sentinels for the primary that they know by that
 *   name; their port is 26379 by default, and `?sentinel_username=…&sentinel_password=…` is for themselves.
 * - `redis+cluster://user:password@host:port,host:port` asks those nodes of a Cluster which other ones there are.
 * - `rediss://…`, `rediss+sentinel://…` and `rediss+cluster://…` are the same by TLS.
 *
 * Rejects with an Error whose message is one line for whoever set the address.
 */
export async function openBroker(address: string, options: BrokerOptions): Promise<Broker> {
  if (address === "memory:") return new MemoryBroker(options);
  if (address.startsWith("sqlite:")) {
    const [path = "", query = ""] = address.slice("sqlite:".length).split(/\?(.*)/s);
    if (path === "") throw new Error(`The broker "${address}" names no file; take ${FORMS}.`);
    const synchronous = synchronousOf(new URLSearchParams(query));
    if (synchronous === null)
      throw new Error(`The broker "${address}" has a parameter that is not known; take ${FORMS}.`);
    const { SqliteBroker } = await import("./sqlite.ts"); // loaded only where it is used
    return new SqliteBroker(path, synchronous, options);
  }
  if (/^rediss?[:+]/.test(address)) {
    const { parseRedisAddress, REDIS_FORMS } = await import("./redis/address.ts");
    const parsed = parseRedisAddress(address);
    // the address may hold a password: it is not repeated
    if (parsed === null) throw new Error(`The address of the Redis broker has none of the forms ${REDIS_FORMS}.`);
    const { RedisBroker } = await import("./redis.ts"); // loaded only where it is used
    return new RedisBroker(parsed, options);
  }
  throw new Error(`The broker "${address}" is not known; take ${FORMS}.`);
}

function synchronousOf(query: URLSearchParams): "normal" | "full" | null {
  const given = [...query];
  if (given.length === 0) return "normal";
  const [name, value] = given[0]!;
  if (given.length > 1 || name !== "synchronous") return null;
  return value === "normal" || value === "full" ? value : null;
}
