import type { Retention } from "../../../src/broker/broker.ts";
import type { HubLimits } from "../../../src/hub/hub.ts";
import type { Random } from "./random.ts";

/** What may happen in a step. */
export type Action =
  | "publish"
  | "arrive"
  | "turn"
  | "follow"
  | "read"
  | "receive"
  | "drop"
  | "connect"
  | "replace"
  | "tick"
  | "mark"
  | "trim"
  | "cut"
  | "notice"
  | "note"
  | "older"
  | "lose";

/** How likely each is beside the others, where a run does not say otherwise. */
export const USUAL: Readonly<Record<Action, number>> = {
  publish: 10,
  arrive: 18,
  turn: 24,
  follow: 24,
  read: 24,
  receive: 22,
  connect: 16,
  drop: 1,
  replace: 0.3,
  tick: 4,
  mark: 3,
  trim: 1.5,
  cut: 0.3,
  notice: 2,
  note: 0.4,
  older: 0.15,
  lose: 0.04,
};

/** Those without which nothing goes on: when one of them is too rare, no stream lives long enough to show anything. */
const ONWARD: ReadonlySet<Action> = new Set(["arrive", "turn", "follow", "read", "receive", "connect", "notice"]);

export const CHANNELS = ["a", "a.1", "a.2", "b", "b.1", "b.1.x", "quiet", "c.1"] as const;

export const SELECTIONS: readonly (readonly string[])[] = [
  ["a"],
  ["a", "a.1"],
  ["a.*"],
  ["a.**", "a.1"],
  ["**"],
  ["b.**"],
  ["*"],
  ["*.1", "a.*", "b"],
  ["b.1", "quiet"],
  ["quiet"],
];

/** How one run is: what is frequent in it and what is rare, and how tight its bounds are. */
export interface Weather {
  readonly weights: Readonly<Record<Action, number>>;
  readonly channels: readonly string[];
  /** What a listener listens to is one of these. */
  readonly selections: readonly (readonly string[])[];
  readonly listeners: number;
  readonly retention: Retention;
  readonly limits: HubLimits;
  readonly pageMessages: number;
  readonly capacityBytes: readonly [number, number];
  readonly heartbeatMs: number;
  readonly stallMs: number;
  readonly streamAgeMs: number;
  /** How often a read fails. */
  readonly failing: number;
}

export function weather(random: Random): Weather {
  const weights = { ...USUAL };
  for (const action of Object.keys(USUAL) as Action[]) {
    weights[action] *= random.pick(ONWARD.has(action) ? [0.4, 1, 1, 2] : [0.15, 0.5, 1, 1, 3]);
  }
  const channels = CHANNELS.filter(() => random.chance(0.7));
  return {
    weights,
    channels: channels.length === 0 ? ["a"] : channels,
    selections: SELECTIONS,
    listeners: random.between(3, 8),
    retention: {
      count: random.pick([0, 2, 5, 20]),
      ageMs: random.pick([0, 0, 3000]),
      bytes: random.pick([0, 0, 100]),
      appBytes: random.pick([0, 0, 500]),
      channels: random.pick([0, 1, 2, 4]),
    },
    limits: {
      turnWrites: random.pick([1, 2, 5, 64]),
      chunkBytes: random.pick([1, 150, 1000, 256 * 1024]),
      logBudgetBytes: random.pick([0, 200, 1000, 64 * 1024 * 1024]),
    },
    pageMessages: random.pick([1, 2, 5, 256]),
    capacityBytes: random.pick([
      [0, 300],
      [100, 2000],
      [5000, 100_000],
    ]),
    heartbeatMs: random.pick([0, 200, 1000]),
    stallMs: random.pick([0, 0, 1000, 5000]),
    streamAgeMs: random.pick([Infinity, Infinity, 20_000]),
    failing: random.pick([0, 0.05, 0.3]),
  };
}
