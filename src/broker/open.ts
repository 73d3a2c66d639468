import type { Broker, BrokerOptions } from "./broker.ts";
import { MemoryBroker } from "./memory.ts";

const FORMS = "memory:, sqlite:path or sqlite:path?synchronous=full";

/**
 * The broker of an address, not started yet.
 *
 * - `memory:` keeps messages in this process.
 * - `sqlite:path` keeps them in a file, whose folder is made when it is missing; `?synchronous=normal` (the default)
 *   survives the end of the process, `?synchronous=full` the loss of power as well.
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
  if (/^rediss?:/.test(address)) {
    // the address may hold a password: it is not repeated
    throw new Error(`A Redis broker is not in this version; take ${FORMS}.`);
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
