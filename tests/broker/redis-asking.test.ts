import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { StartOptions } from "../../src/broker/broker.ts";
import { RedisBroker } from "../../src/broker/redis.ts";
import { parseRedisAddress } from "../../src/broker/redis/address.ts";
import { program } from "../setup/programs.ts";
import { type RedisServer, startRedis } from "../setup/redis.ts";
import { Ear, Settings } from "./fixture.ts";

const LONG_MS = 60_000;
const SHORT_MS = 50;

const says = (text: string) => async (app: string, question: string) => `${text} ${app} ${question}`;

if (program("redis-server") !== null) {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const nodes: RedisBroker[] = [];
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.close()));
  });

  /** A node that answers; closed when the test has ended. */
  async function node(asked?: StartOptions["asked"], more: StartOptions = {}, at = server) {
    const options = Object.assign(new Settings(), { apps: () => ["app", "other"] });
    const broker = new RedisBroker(parseRedisAddress(at.url)!, options);
    nodes.push(broker);
    await broker.start(new Ear(), { ...more, ...(asked && { asked }) });
    return broker;
  }

  test("every other node answers, about the app that it was asked about", async () => {
    const asker = await node(says("itself"));
    await node(says("one"));
    await node(says("two"));
    const { texts, complete } = await asker.ask("app", "\n\u{1F600}?", LONG_MS);
    expect([...texts].sort()).toEqual(["one app \n\u{1F600}?", "two app \n\u{1F600}?"]);
    expect(complete).toBe(true);
    expect((await asker.ask("other", "?", LONG_MS)).texts).toContain("one other ?");
  });

  test("a node was told of what was noted before it was asked", async () => {
    const told: string[] = [];
    const asker = await node();
    await node(async () => told.join(), { noted: (_app, { key }) => void told.push(key) });
    for (let i = 0; i < 20; i++) {
      await asker.note("app", { key: `n${i}`, value: "", until: 2_000_000 });
      expect((await asker.ask("app", "what was noted?", LONG_MS)).texts[0]).toEndWith(`n${i}`);
    }
  });

  test("a node that is silent is waited for until the time is over, and is told to be missing", async () => {
    const asker = await node();
    await node(() => new Promise(() => undefined));
    await node(says("other"));
    const before = performance.now();
    expect(await asker.ask("app", "?", SHORT_MS)).toEqual({ texts: ["other app ?"], complete: false });
    expect(performance.now() - before).toBeGreaterThan(SHORT_MS - 5);
  });

  test("a node that has no answer is told to be missing at once, and one that was closed is not", async () => {
    const asker = await node();
    const other = await node(() => Promise.reject(new Error("no")));
    expect(await asker.ask("app", "?", LONG_MS)).toEqual({ texts: [], complete: false });
    await other.close();
    while (!(await asker.ask("app", "?", LONG_MS)).complete);
  });

  test("a flood of questions: equal ones are sent once, others together, and too many are not sent", async () => {
    const asker = await node();
    const heard: string[] = [];
    await node(async (_app, question) => {
      heard.push(question);
      return "";
    });
    const equal = await Promise.all(Array.from({ length: 100 }, () => asker.ask("app", "same", LONG_MS)));
    expect(equal.every(({ complete, texts }) => complete && texts.length === 1)).toBe(true);
    expect(heard).toEqual(["same"]);

    const before = (await server.calls())["spublish"]!;
    const all = await Promise.all(Array.from({ length: 1500 }, (_, i) => asker.ask("app", `q${i}`, LONG_MS)));
    expect(all.filter(({ complete }) => complete)).toHaveLength(1000);
    expect(heard).toHaveLength(1001);
    expect((await server.calls())["spublish"]! - before).toBeLessThan(1100); // an answer each, few questions, marks
  });

  test("questions and answers that are too long count as none", async () => {
    const asker = await node();
    await node(async (_app, question) => "x".repeat(Number(question)));
    const most = 256 * 1024;
    expect((await asker.ask("app", String(most), LONG_MS)).texts[0]).toHaveLength(most);
    expect(await asker.ask("app", String(most + 1), LONG_MS)).toEqual({ texts: [], complete: false });
    expect(await asker.ask("app", "1".padEnd(most + 1), LONG_MS)).toEqual({ texts: [], complete: false });
  });

  test("while Redis is away nobody is waited for; questions go on when it is back", async () => {
    await using away = await startRedis();
    const asker = await node(undefined, {}, away);
    await node(says("other"), {}, away);
    expect((await asker.ask("app", "?", LONG_MS)).complete).toBe(true);
    away.freeze();
    const asked = asker.ask("app", "?", SHORT_MS);
    expect(await asked).toEqual({ texts: [], complete: false });
    await away.kill();
    expect(await asker.ask("app", "?", SHORT_MS)).toEqual({ texts: [], complete: false });
    await away.start();
    while ((await asker.ask("app", "?", SHORT_MS)).texts.length === 0) await Bun.sleep(10);
  });
}
