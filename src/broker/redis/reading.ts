import type { Selection } from "../../core/channel.ts";
import type { Position } from "../../core/position.ts";
import type { ChannelSummary, GapReason, Page, Start } from "../broker.ts";
import type { RedisApp } from "./app.ts";
import { messageOf, type Written } from "./messages.ts";
import { SCRIPTS } from "./scripts.ts";

/** Reads of one call at most; the script answers fewer where they are long. */
const CALL_READS = 500;

interface Read {
  readonly selection: Selection;
  readonly after: Position;
  readonly limit: number;
  readonly until: number;
  readonly resolve: (page: Look) => void;
  readonly reject: (error: unknown) => void;
}

/** What one call of the script says of one read. */
interface Look {
  readonly epoch: string;
  readonly head: number;
  readonly from: number;
  readonly reason: GapReason | "";
  readonly through: number;
  /** From where on it is still to be looked at whether something was trimmed; -1 for nowhere. */
  readonly check: number;
  readonly oldest: number;
  readonly oldestCheck: number;
  readonly messages: readonly Written[];
}

/**
 * What is read of one app. One call is under way at a time, and what is asked for meanwhile goes with the next: behind a
 * break come thousands of reads, of which most find nothing.
 */
export class Reading {
  readonly #app: RedisApp;
  #queue: Read[] = [];
  #running = false;

  constructor(app: RedisApp) {
    this.#app = app;
  }

  async page(selection: Selection, after: Position, limit: number): Promise<Page> {
    let look = await this.#look(selection, after, limit);
    const { from } = look;
    // Passing over many messages of other channels takes several looks; what they pass holds nothing of the selection.
    while (look.messages.length === 0 && look.reason === "" && look.through < look.head) {
      const next = await this.#look(selection, { epoch: look.epoch, seq: look.through }, limit);
      if (next.reason !== "") {
        look = next;
        break;
      }
      look = { ...next, from };
    }
    const reason = look.reason === "" ? await this.#trimmed(selection, look) : look.reason;
    const position = (seq: number): Position => ({ epoch: look.epoch, seq });
    const oldest = reason === null ? 0 : await this.#oldest(selection, look);
    return {
      messages: look.messages.map((written) => messageOf(look.epoch, written)),
      from: position(look.from),
      through: position(look.through),
      gap:
        reason === null
          ? null
          : { reason, oldest: oldest === 0 ? null : position(oldest), newest: position(look.head) },
    };
  }

  async seek(selection: Selection, start: Start): Promise<Position> {
    const low = start.kind === "since" ? String(await this.#app.run(SCRIPTS.since, [String(start.sinceMs)])) : "0";
    let left = start.count;
    let cursor = "-1";
    let last = 0;
    for (;;) {
      const args = [low, cursor, String(left), ...selected(selection)];
      const reply = (await this.#app.run(SCRIPTS.seek, args)) as string[];
      const [epoch, head, found, oldest, next] = reply as [string, string, string, string, string];
      if (Number(found) > 0) last = Number(oldest);
      left -= Number(found);
      cursor = next;
      if (cursor === "-1" || left <= 0) return { epoch, seq: last === 0 ? Number(head) : last - 1 };
    }
  }

  async channel(name: string): Promise<ChannelSummary | null> {
    return (await this.#channels(`[${name}`, `[${name}`, 1))[0] ?? null;
  }

  async channels(prefix: string, after: string, limit: number): Promise<ChannelSummary[]> {
    // "\x7f" sorts after every character that a name may hold
    return await this.#channels(after >= prefix ? `(${after}` : `[${prefix}`, `(${prefix}\x7f`, limit);
  }

  async #channels(least: string, most: string, limit: number): Promise<ChannelSummary[]> {
    const reply = (await this.#app.run(SCRIPTS.channels, [least, most, String(limit)])) as string[];
    const [epoch, ...rest] = reply as [string, ...string[]];
    const count = rest.length / 3;
    return Array.from({ length: count }, (_, i) => ({
      channel: rest[2 * i]!,
      oldest: { epoch, seq: Number(rest[2 * i + 1]) },
      newest: { epoch, seq: Number(rest[2 * count + i]) },
    }));
  }

  /** Goes on with what the look could not take to its end. */
  async #trimmed(selection: Selection, { from, check }: Look): Promise<GapReason | null> {
    for (let cursor = check; cursor >= 0;) {
      const [seq, next, floor] = await this.#lowest("trimmed", cursor, selection);
      if (seq > 0) return "trimmed";
      if (from < floor) return "unproven";
      cursor = next;
    }
    return null;
  }

  async #oldest(selection: Selection, { oldest, oldestCheck }: Look): Promise<number> {
    for (let cursor = oldestCheck; cursor >= 0;) {
      const [seq, next] = await this.#lowest("first", cursor, selection);
      if (seq > 0) return seq;
      cursor = next;
    }
    return oldest;
  }

  async #lowest(set: string, after: number, selection: Selection): Promise<[number, number, number]> {
    const reply = await this.#app.run(SCRIPTS.lowest, [set, String(after), ...selected(selection)]);
    return (reply as string[]).map(Number) as [number, number, number];
  }

  #look(selection: Selection, after: Position, limit: number): Promise<Look> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ selection, after, limit, until: this.#app.until, resolve, reject });
      if (this.#running) return;
      this.#running = true;
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // what is asked for in one go, goes in one call
    while (this.#queue.length > 0) {
      const batch = this.#queue.slice(0, CALL_READS);
      this.#queue = this.#queue.slice(CALL_READS);
      try {
        this.#settle(batch, await this.#app.run(SCRIPTS.read, argsOf(batch), batch[0]!.until));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#running = false;
  }

  #settle(batch: readonly Read[], reply: unknown): void {
    const [at, ...pages] = reply as [string, ...string[]];
    const [epoch, head] = JSON.parse(at) as [string, number];
    const left: Read[] = [];
    for (const [i, read] of batch.entries()) {
      const text = pages[i] ?? "";
      if (text === "") {
        left.push(read);
        continue;
      }
      const [from, reason, through, check, oldest, oldestCheck, messages] = JSON.parse(text) as [
        number,
        Look["reason"],
        number,
        number,
        number,
        number,
        Written[],
      ];
      read.resolve({ epoch, head, from, reason, through, check, oldest, oldestCheck, messages });
    }
    if (left.length > 0) this.#queue = [...left, ...this.#queue];
  }
}

function argsOf(batch: readonly Read[]): string[] {
  const args = [String(batch.length)];
  for (const { selection, after, limit } of batch) {
    args.push(after.epoch, String(after.seq), String(limit), ...selected(selection));
  }
  return args;
}

/** How many names and patterns, then both, the patterns as Lua has them. */
function selected({ channels, patterns }: Selection): string[] {
  return [String(channels.length), String(patterns.length), ...channels, ...patterns.map(luaPattern)];
}

/** A segment may be empty. */
function luaPattern(pattern: string): string {
  const segments = pattern.split(".").map((segment) => {
    if (segment === "**") return ".*";
    return segment === "*" ? "[^%.]*" : segment.replaceAll(/[^0-9A-Za-z]/g, "%$&");
  });
  return `^${segments.join("%.")}$`;
}
