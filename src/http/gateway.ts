import type { Apps } from "../auth/app.ts";
import type { Rulings } from "../auth/rulings.ts";
import type { StreamLimits } from "../auth/limits.ts";
import type { Rates } from "../auth/rates.ts";
import type { Broker } from "../broker/broker.ts";
import type { Settings } from "../config.ts";
import type { Hub } from "../hub/hub.ts";
import type { OpenStreams } from "./open-streams.ts";
import type { BodyRooms } from "./body-room.ts";
import type { Probes } from "./probe.ts";
import type { RouteMeter } from "./meter.ts";
import type { Reads } from "./reads.ts";
import type { Sweep } from "./sweep.ts";
import type { Unexpected } from "./unexpected.ts";

/** Where the routes get the time and chance that they hand down. */
export interface Clock {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds that never go back. */
  readonly elapsed: () => number;
  /** A number from 0 to below 1. */
  readonly random: () => number;
}

export type Log = (
  level: "debug" | "info" | "warn" | "error",
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

/** What every route works with. */
export interface Gateway {
  /** Names this node among those of its store, from this start on. */
  readonly node: string;
  /** A reload puts others in the place of both, together: what a request reads of them in one turn fits. */
  settings: Settings;
  apps: Apps;
  readonly broker: Broker;
  readonly hub: Hub;
  /** For what a request itself reads of the store. */
  readonly reads: Reads;
  readonly rooms: BodyRooms;
  readonly limits: StreamLimits;
  readonly rulings: Rulings;
  readonly streams: OpenStreams;
  readonly probes: Probes;
  readonly sweep: Sweep;
  readonly publishRates: Rates;
  readonly openRates: Rates;
  readonly meter: RouteMeter;
  readonly clock: Clock;
  /** Never throws. */
  readonly log: Log;
  readonly unexpected: Unexpected;
  /** Rejects when the store takes no publish. */
  readonly checkStore: () => Promise<void>;
  /** True once the node is being stopped: it takes no new streams, and says that it is not ready. */
  draining: boolean;
}
