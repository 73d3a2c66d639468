import type { Host, RedisAddress } from "./address.ts";
import { ask, loginOf, type Login } from "./link.ts";
import type { Timers } from "./timers.ts";

/** Which server has an app. */
export interface Servers {
  of(app: string): Host;
}

/** Asks anew, since it changes: where the primary is that the Sentinels name, or who has which slots of the Cluster. */
export async function findServers(address: RedisAddress, timers: Timers, seen: readonly Host[]): Promise<Servers> {
  if (address.kind === "sentinel") return await ofSentinels(address, timers);
  if (address.kind === "cluster") return await ofCluster(address, timers, seen);
  return { of: () => address.hosts[0]! };
}

async function ofSentinels(address: RedisAddress, timers: Timers): Promise<Servers> {
  const login: Login = { ...loginOf(address), ...address.sentinel, database: 0 };
  const server = await first(address.hosts, async (host) => {
    const found = await ask(host, login, timers, (send) =>
      send(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.master]),
    );
    if (!Array.isArray(found)) throw new Error(`a Sentinel knows no primary of the name ${address.master}`);
    return { host: String(found[0]), port: Number(found[1]) };
  });
  return { of: () => server };
}

type Slots = readonly [from: number, to: number, primary: readonly [host: string | null, port: number]];

async function ofCluster(address: RedisAddress, timers: Timers, seen: readonly Host[]): Promise<Servers> {
  const ranges = await first([...seen, ...address.hosts], async (host) => {
    const found = (await ask(host, loginOf(address), timers, (send) => send(["CLUSTER", "SLOTS"]))) as Slots[];
    return found.map(([from, to, [name, port]]) => {
      return { from, to, server: { host: name || host.host, port } };
    });
  });
  return {
    of: (app) => {
      const slot = slotOf(app);
      const range = ranges.find(({ from, to }) => from <= slot && slot <= to);
      if (range === undefined) throw new Error("CLUSTERDOWN no server has the slot");
      return range.server;
    },
  };
}

/** What the first of the hosts answers; rejects as the last does, when none answers. */
async function first<T>(hosts: readonly Host[], question: (host: Host) => Promise<T>): Promise<T> {
  let failed: unknown;
  for (const host of hosts) {
    try {
      return await question(host);
    } catch (error) {
      failed = error;
    }
  }
  throw failed;
}

/** The slot of a hash tag: CRC16 (XMODEM) modulo 16384, as the Cluster's specification has it. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff;
  }
  return crc & 0x3fff;
}
