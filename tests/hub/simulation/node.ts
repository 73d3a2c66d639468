import type { Broker } from "../../../src/broker/broker.ts";
import type { Position } from "../../../src/core/position.ts";
import type { Hub, HubOptions } from "../../../src/hub/hub.ts";
import { APP } from "./archive.ts";
import { Carrier, CARRIER_ERROR, type CarrierFaults } from "./carrier.ts";
import type { Random } from "./random.ts";
import type { Parts } from "./stores.ts";
import type { Action, Weather } from "./weather.ts";

export interface NodeOptions {
  readonly name: string;
  readonly parts: Parts;
  readonly random: Random;
  readonly weather: Weather;
  readonly faults: CarrierFaults;
  readonly store: () => Broker;
  readonly start: Position;
  readonly elapsed: HubOptions["elapsed"];
  readonly failed: (error: Error) => void;
}

/** A real hub behind a carrier. Its turns come when a step says so. */
export class Node {
  readonly name: string;
  readonly hub: Hub;
  readonly carrier: Carrier;
  readonly #turns: (() => void)[] = [];

  constructor({ name, parts, random, weather, faults, store, start, elapsed, failed }: NodeOptions) {
    this.name = name;
    this.carrier = new Carrier(APP, store, random, faults, start);
    this.hub = new parts.Hub({
      broker: this.carrier,
      schedule: (run) => void this.#turns.push(run),
      elapsed,
      random: () => random.next(),
      heartbeatMs: weather.heartbeatMs,
      stallMs: weather.stallMs,
      report: (error) => {
        if (error !== CARRIER_ERROR) failed(new Error("reported", { cause: error }));
      },
      limits: weather.limits,
    });
    this.carrier.listener = this.hub;
  }

  /** False when none was due. */
  turn(): boolean {
    const run = this.#turns.shift();
    run?.();
    return run !== undefined;
  }

  /** Whether an action would find something to do here. */
  canTake(action: Action): boolean {
    switch (action) {
      case "turn":
        return this.#turns.length > 0;
      case "arrive":
        return this.carrier.arriving > 0;
      case "follow":
        return this.carrier.follows > 0;
      case "read":
        return this.carrier.reads > 0;
      case "notice":
        return !this.carrier.connected;
      default:
        return true;
    }
  }
}
