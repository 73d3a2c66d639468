import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AppId, Broker, BrokerOptions, Listener, Page, Retention } from "../../src/broker/broker.ts";
import { selectionOf } from "../../src/core/channel.ts";
import type { Draft, Message } from "../../src/core/message.ts";
import { FOREIGN, formatPosition, type Position } from "../../src/core/position.ts";

export const NO_LIMITS: Retention = { count: 0, ageMs: 0, bytes: 0, appBytes: 0, channels: 0 };

/** Hears what a broker tells its node. */
export class Ear implements Listener {
  readonly heard: string[] = [];
  #changed = Promise.withResolvers<void>();
  onDeliver: (app: AppId, messages: readonly Message[]) => void = () => {};

  deliver(app: AppId, messages: readonly Message[]): void {
    for (const { seq, channel, data } of messages) this.#hear(`${app} ${seq} ${channel} ${data}`);
    this.onDeliver(app, messages);
  }

  mark(app: AppId, at: Position): void {
    this.#hear(`${app} mark ${at.seq}`);
  }

  broken(app: AppId): void {
    this.#hear(`${app} broken`);
  }

  /** Resolves once it has heard this line, so many times. */
  async until(line: string, times = 1): Promise<void> {
    while (this.heard.filter((one) => one === line).length < times) await this.#changed.promise;
  }

  #hear(line: string): void {
    this.heard.push(line);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** Options with a clock that the test turns, limits that it sets, and epochs named e1, e2, … */
export class Settings implements BrokerOptions {
  ms = 1_000_000;
  kept: Retention = NO_LIMITS;
  idempotencyTtlMs = 60_000;
  epochs = 0;
  readonly logged: string[] = [];
  readonly now = (): number => this.ms;
  readonly retention = (): Retention => this.kept;
  readonly newEpoch = (): string => `e${++this.epochs}`;
  readonly log = (level: string, message: string): void => {
    this.logged.push(`${level}: ${message}`);
  };

  keep(limits: Partial<Retention>): void {
    this.kept = { ...NO_LIMITS, ...limits };
  }
}

export function draft(channel: string, data = "", rest: Partial<Draft> = {}): Draft {
  return { channel, event: null, data, json: false, ...rest };
}

/** Publishes messages one after the other, and gives the seq of the last. */
export async function publishAll(broker: Broker, app: AppId, drafts: readonly Draft[]): Promise<number> {
  const receipts = await Promise.all(drafts.map((one) => broker.publish(app, [one])));
  return receipts.at(-1)!.seq;
}

export async function trimAll(broker: Broker): Promise<void> {
  while (await broker.trim());
}

export async function read(
  broker: Broker,
  channels: readonly string[],
  after: Position = FOREIGN,
  limit = 1000,
): Promise<Page> {
  return broker.read("app", selectionOf(channels), after, limit);
}

/** A page in one line: `e1-3..e1-9 4:a 9:b gap=trimmed(4,9)`. */
export function show(page: Page): string {
  const { from, through, messages, gap } = page;
  const parts = [`${formatPosition(from)}..${formatPosition(through)}`];
  for (const { seq, channel } of messages) parts.push(`${seq}:${channel}`);
  if (gap !== null) parts.push(`gap=${gap.reason}(${gap.oldest?.seq ?? "none"},${gap.newest.seq})`);
  return parts.join(" ");
}

/** Where there is memory to hold files, a kill leaves the same there, and nothing waits for a disk. */
const ROOT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** A folder of its own for one test, removed after it. */
export function folder(): { path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(ROOT, "service-socket-broker-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** What a promise rejects with; undefined when it does not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return error;
  }
}

/** The sentence of the Error that a promise rejects with; empty when it does not. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await rejection(promise);
  return error instanceof Error ? error.message : "";
}
