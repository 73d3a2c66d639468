import { commandOf } from "../servers.ts";
import { Gateway, type GatewayOptions } from "./gateway.ts";
import type { Random } from "./random.ts";
import type { Report } from "./report.ts";

/** Nothing is trimmed, so that every gap that is told is of something else; and streams are back soon. */
export const KEEPS_ALL = {
  SOCKET_HISTORY_COUNT: "0",
  SOCKET_HISTORY_AGE: "0",
  SOCKET_HISTORY_BYTES: "0",
  SOCKET_APP_HISTORY_BYTES: "0",
  SOCKET_RETRY: "300ms",
  // So that the ids of heartbeats are resumed from as well.
  SOCKET_HEARTBEAT: "500ms",
};

export interface FleetOptions extends GatewayOptions {
  readonly lifeS: number;
  /** Of each node, counted from 0, by the names of their variables. */
  readonly settings: (nth: number) => Readonly<Record<string, string>>;
}

/** The nodes of one store, each a real server on a port of its own. What is in front of them knows which of them serve. */
export class Fleet {
  readonly nodes: readonly Gateway[];
  readonly #serving = new Set<Gateway>();

  constructor(report: Report, size: number, { settings, lifeS, ...options }: FleetOptions) {
    this.nodes = Array.from(
      { length: size },
      (_, nth) => new Gateway(report, settings(nth), lifeS, { ...options, command: commandOf(nth) }),
    );
  }

  /** Resolves when all are ready. */
  async start(): Promise<void> {
    await Promise.all(this.nodes.map((node) => this.startOne(node)));
  }

  async startOne(node: Gateway): Promise<void> {
    await node.start();
    this.#serving.add(node);
  }

  /** The port of one that serves, by chance among the first so many; of any of these where none does. */
  pick(random: Random, among = this.nodes.length): number {
    const some = this.nodes.slice(0, among);
    const serving = some.filter((node) => this.#serving.has(node));
    return random.pick(serving.length > 0 ? serving : some).port;
  }

  /** `kill -9`. What is in front learns of it with the first connection that is refused. */
  async kill(node: Gateway): Promise<void> {
    await node.kill();
    this.#serving.delete(node);
  }

  /** Nothing new goes to it from now on; resolves when it has drained and ended. */
  async drain(node: Gateway): Promise<void> {
    this.#serving.delete(node);
    await node.drain();
  }

  async stop(): Promise<void> {
    this.#serving.clear();
    await Promise.all(this.nodes.map((node) => node.stop()));
  }
}
