import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CarrierFaults } from "./carrier.ts";
import { SOURCE } from "./run.ts";
import type { DriverName } from "./stores.ts";
import { type Action, USUAL, type Weather } from "./weather.ts";

/** One rule, broken. */
export interface Fault {
  readonly name: string;
  readonly driver?: DriverName;
  /** In a copy of `src/`: the text, which must stand in the file exactly once, and what stands there instead. */
  readonly edits?: readonly { readonly file: string; readonly find: string; readonly replace: string }[];
  readonly carrier?: CarrierFaults;
  /** For rare ones: what makes them frequent. */
  readonly steps?: number;
  readonly weather?: Partial<Weather>;
}

/** All actions as usual, but for these. */
function weights(changed: Partial<Record<Action, number>>): Record<Action, number> {
  return { ...USUAL, ...changed };
}

/** Copies what the simulation runs of `src/` with the edits in it; the caller removes the folder. */
export function faultySource({ name, edits = [] }: Pick<Fault, "name" | "edits">): {
  source: string;
  remove: () => void;
} {
  const source = mkdtempSync(join(tmpdir(), "service-socket-fault-"));
  const remove = (): void => rmSync(source, { recursive: true, force: true });
  try {
    for (const folder of ["core", "hub", "broker"])
      cpSync(join(SOURCE, folder), join(source, folder), { recursive: true });
    for (const { file, find, replace } of edits) {
      const path = join(source, file);
      const parts = readFileSync(path, "utf8").split(find);
      if (parts.length !== 2)
        throw new Error(`${name}: its text stands ${parts.length - 1} times in ${file}, not once`);
      writeFileSync(path, parts.join(replace));
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { source, remove };
}

const HUB = "hub/hub.ts";
const CATCH_UP = "hub/catch-up.ts";
const HEARTBEAT = "hub/heartbeat.ts";
const FEED = "hub/feed.ts";
const HISTORY = "broker/history.ts";

/** Announcements lag far behind what reads see, and the logs are short: subscribers are often ahead of their feeds. */
const LAG: Partial<Weather> = {
  weights: weights({ arrive: 4, read: 40, drop: 8, connect: 20, tick: 12, lose: 0, older: 0 }),
  limits: { turnWrites: 5, chunkBytes: 1000, logBudgetBytes: 0 },
  pageMessages: 256,
  heartbeatMs: 200,
  failing: 0,
};

/** Breaks are frequent. */
const STORM: Partial<Weather> = { weights: weights({ cut: 4, notice: 10, drop: 2, lose: 0, older: 0 }) };

/** The rules that carry weight, each broken alone. */
export const FAULTS: readonly Fault[] = [
  {
    name: "socket:open carries the head instead of where the stream starts from",
    edits: [
      {
        file: CATCH_UP,
        find: "parts.push(this.#open(subscriber, gap === null ? page.from : null, recovered));",
        replace: "parts.push(this.#open(subscriber, gap === null ? page.through : null, recovered));",
      },
    ],
  },
  {
    name: "heartbeats carry the feed's position to everyone, also to those behind",
    edits: [
      {
        file: HEARTBEAT,
        find: "const level = subscriber.live && !feed.pending && !feed.hasAfter(subscriber.seq);",
        replace: "const level = subscriber.told;",
      },
    ],
  },
  {
    name: "a flush looks at live but not at the subscriber's position",
    edits: [
      {
        file: FEED,
        find: "if (!subscriber.live || subscriber.seq >= batch.last) return null;",
        replace: "if (!subscriber.live) return null;",
      },
      { file: FEED, find: "if (seq < batch.first) return batch.bytes;", replace: "if (seq >= 0) return batch.bytes;" },
    ],
    weather: LAG,
  },
  {
    name: "a flush sends the whole batch to a subscriber that is ahead of its feed",
    edits: [
      { file: FEED, find: "if (seq < batch.first) return batch.bytes;", replace: "if (seq >= 0) return batch.bytes;" },
    ],
    weather: {
      ...LAG,
      weights: weights({ arrive: 10, turn: 10, read: 60, drop: 8, connect: 30, cut: 0, lose: 0, older: 0 }),
    },
  },
  {
    name: "a heartbeat goes back below the subscriber's position",
    edits: [
      {
        file: HEARTBEAT,
        find: "const position = Math.max(through, subscriber.seq);\n    if (level && position > subscriber.written) {",
        replace: "const position = through;\n    if (level && position !== subscriber.written) {",
      },
    ],
    weather: LAG,
  },
  { name: "the head is read before the follow is established", carrier: { headBeforeFollow: true } },
  {
    name: "a page has no through, only its last message's position",
    edits: [
      {
        file: HISTORY,
        find: "through: this.position(cut ? last : this.head),",
        replace: "through: this.position(messages.at(-1)?.seq ?? from),",
      },
    ],
  },
  {
    name: "the epoch is kept over a failover to an older state",
    driver: "sqlite",
    edits: [{ file: "broker/schema.ts", find: "    if (rolledBack) {", replace: "    if (rolledBack && false) {" }],
    weather: { weights: weights({ note: 2, older: 1, lose: 0 }) },
  },
  {
    name: "no floor for forgotten channels",
    edits: [
      {
        file: HISTORY,
        find: "this.floor = Math.max(this.floor, record.last);",
        replace: "this.floor = Math.min(this.floor, record.last);",
      },
    ],
    weather: {
      weights: weights({ trim: 8, drop: 8, lose: 0 }),
      retention: { count: 1, ageMs: 0, bytes: 0, appBytes: 0, channels: 1 },
    },
  },
  {
    name: "a heartbeat ignores what the feed has still to flush",
    edits: [
      {
        file: HEARTBEAT,
        find: "const level = subscriber.live && !feed.pending && !feed.hasAfter(subscriber.seq);",
        replace: "const level = subscriber.live;",
      },
    ],
  },
  {
    name: "a listener's position is believed beyond what this node knows",
    edits: [
      {
        file: CATCH_UP,
        find: "return subscriber.opened || subscriber.seq <= this.#options.through(feed);",
        replace: "return true;",
      },
    ],
  },
  {
    name: "a feed takes a message that it knows already",
    edits: [
      {
        file: FEED,
        find: "} else if (frame.epoch !== this.floor.epoch || frame.seq <= this.through) return false;",
        replace: "} else if (frame.epoch !== this.floor.epoch) return false;",
      },
    ],
    weather: LAG,
  },
  {
    name: "a feed that is not followed yet takes a message twice",
    edits: [
      {
        file: FEED,
        find: "if (last !== undefined && last.epoch === frame.epoch && last.seq >= frame.seq) return false;",
        replace: "if (last === undefined && frame.seq === 0) return false;",
      },
    ],
    weather: {
      weights: weights({
        cut: 3,
        notice: 30,
        follow: 4,
        publish: 5,
        arrive: 40,
        turn: 40,
        read: 40,
        lose: 0,
        older: 0,
      }),
      channels: ["a.1", "a.2"],
      selections: [["a.**", "a.1"]],
    },
  },
  {
    name: "the log drops what is still to be sent",
    edits: [{ file: FEED, find: "while (drop < this.#sent && (", replace: "while (drop < this.#log.length && (" }],
  },
  {
    name: "the log is trimmed and its floor is not raised",
    edits: [
      {
        file: FEED,
        find: "this.floor = { epoch: this.floor.epoch, seq: this.#log[drop - 1]!.seq };",
        replace: "",
      },
    ],
    weather: { ...LAG, weights: weights({ drop: 8 }) },
  },
  {
    name: "a break leaves subscribers live",
    edits: [{ file: FEED, find: "      subscriber.live = false;\n", replace: "" }],
    weather: STORM,
  },
  {
    name: "a follow from before a break is believed",
    edits: [{ file: HUB, find: "if (feed.generation !== generation) return;", replace: "" }],
    weather: STORM,
  },
  {
    // Each of these alone is held by the others: what a mark says is cleared by a break and compared with the epoch.
    name: "a mark outlives a failover",
    driver: "sqlite",
    edits: [
      { file: HUB, find: "    app.mark = null;\n", replace: "" },
      {
        file: HUB,
        find: "return mark != null && mark.epoch === feed.floor?.epoch ? Math.max(feed.through, mark.seq) : feed.through;",
        replace: "return mark != null ? Math.max(feed.through, mark.seq) : feed.through;",
      },
    ],
    weather: { weights: weights({ note: 1, older: 1, mark: 12, notice: 20, tick: 12, lose: 0 }), heartbeatMs: 200 },
  },
  {
    name: "a flush goes on over a break",
    driver: "sqlite",
    edits: [
      {
        file: FEED,
        find: "    this.floor = null;\n    this.#batch = null;\n    this.#sent = 0;\n    this.#keep([]);\n    this.#reads = null;\n",
        replace: "    this.floor = null;\n    this.#sent = 0;\n    this.#keep([]);\n    this.#reads = null;\n",
      },
    ],
    weather: {
      weights: weights({
        turn: 6,
        follow: 60,
        read: 60,
        notice: 60,
        cut: 0,
        note: 3,
        older: 2,
        publish: 20,
        drop: 0.5,
        lose: 0,
      }),
      channels: ["a"],
      selections: [["a"]],
      listeners: 16,
      limits: { turnWrites: 1, chunkBytes: 1000, logBudgetBytes: 64 * 1024 * 1024 },
    },
  },
  {
    name: "after a failover a read skips what the epoch before it left",
    driver: "sqlite",
    edits: [{ file: HISTORY, find: "Math.min(after.seq, preceding.end)", replace: "preceding.end" }],
    weather: { weights: weights({ note: 2, older: 1, lose: 0 }) },
  },
  {
    name: "a full sink stays live",
    edits: [
      {
        file: HUB,
        find: "    subscriber.full = true;\n    subscriber.live = false;\n",
        replace: "    subscriber.full = true;\n",
      },
    ],
  },
  {
    name: "a gap on a stream that is open already is not told",
    edits: [
      {
        file: CATCH_UP,
        find: "if (gap !== null) parts.push(",
        replace: "if (gap !== null && !subscriber.told) parts.push(",
      },
    ],
    weather: {
      weights: weights({ trim: 8, receive: 10, lose: 0 }),
      retention: { count: 2, ageMs: 0, bytes: 0, appBytes: 0, channels: 0 },
      limits: { turnWrites: 5, chunkBytes: 150, logBudgetBytes: 0 },
      capacityBytes: [0, 300],
    },
  },
  {
    name: "what a channel was trimmed of is not remembered",
    edits: [
      { file: HISTORY, find: 'if (active.some((record) => record.trimmed > from)) return "trimmed";', replace: "" },
    ],
    weather: {
      weights: weights({ trim: 8, drop: 8, lose: 0 }),
      retention: { count: 2, ageMs: 0, bytes: 0, appBytes: 0, channels: 0 },
    },
  },
  {
    name: "a gap is told to whoever lies before any message that was dropped",
    edits: [
      {
        file: HISTORY,
        find: 'return from < sequence.floor ? "unproven" : null;',
        replace: 'return from < sequence.head ? "unproven" : null;',
      },
    ],
  },
  {
    name: "after a failover a read goes on from the position that was asked for",
    driver: "sqlite",
    edits: [
      { file: HISTORY, find: "Math.min(after.seq, preceding.end)", replace: "Math.min(after.seq, sequence.head)" },
    ],
    weather: { weights: weights({ note: 2, older: 1, lose: 0 }) },
  },
];
