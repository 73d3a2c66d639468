import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { type Gateway, startGateway, subscribe } from "../setup/gateway.ts";
import { program } from "../setup/programs.ts";
import { type RedisServer, startRedis } from "../setup/redis.ts";
import { call, type Call, post, type Result } from "./fixture.ts";
import { listen, type Listening } from "./listening.ts";

interface State {
  readonly channel: string;
  readonly subscribers: number;
  readonly complete: boolean;
}

interface Streams {
  readonly streams: readonly { readonly stream: string; readonly node: string; readonly channels: readonly string[] }[];
  readonly next: string | null;
  readonly complete: boolean;
}

if (program("redis-server") !== null) {
  describe("several nodes of one Redis", () => {
    let redis: RedisServer;
    let nodes: Gateway[];
    let [one, two]: Gateway[] = [];
    const opened: Listening[] = [];
    const settings = () => ({ SOCKET_BROKER: redis.url, SOCKET_PUBLIC_CHANNELS: "open" });
    beforeAll(async () => {
      redis = await startRedis();
      nodes = await Promise.all([0, 1].map(() => startGateway({ settings: settings() })));
      [one, two] = nodes;
    }, 30_000);
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((stream) => stream[Symbol.asyncDispose]()));
    });
    afterAll(async () => {
      for (const each of [...(nodes ?? []), redis]) await each?.[Symbol.asyncDispose]();
    });

    async function open(node: Gateway, path: string): Promise<Listening> {
      const stream = await listen(`${node.url}${path}`, { authorization: `key=${node.secret}` });
      opened.push(stream);
      return await stream.live();
    }
    /** The stream at that address, and its id. */
    async function openAt(url: string): Promise<[Listening, string]> {
      const stream = await listen(url, { authorization: null });
      opened.push(stream);
      const { stream: id } = await stream.told("open");
      await stream.told("live");
      return [stream, String(id)];
    }
    test("each counts the subscribers of all, those by a pattern as well", async () => {
      await open(one!, "/channel/count.a/stream");
      await open(two!, "/channel/count.a/stream");
      await open(two!, "/stream?channel=count.*");
      for (const node of nodes) {
        const state = await ask<State>(node, "/channel/count.a");
        expect(state).toMatchObject({ channel: "count.a", subscribers: 3, complete: true });
      }
      // What a publish tells is of its own node, since nobody can wait for it.
      expect((await send(one!, "/chat/send", { channel: "count.a", data: "x" })).data).toMatchObject({
        subscribers: 1,
      });
      await opened.pop()![Symbol.asyncDispose]();
      await ask<State>(one!, "/channel/count.a", ({ subscribers }) => subscribers === 2);
    });

    test("each lists the channels of all, in pages", async () => {
      await send(one!, "/chat/send", { channel: "list.kept", data: "x" });
      await open(one!, "/stream?channel=list.a&channel=list.both");
      await open(two!, "/stream?channel=list.z&channel=list.both&channel=list.*");
      const all = [
        ["list.a", 2],
        ["list.both", 2],
        ["list.kept", 1],
        ["list.z", 1],
      ];
      for (const node of nodes) {
        const found: unknown[] = [];
        for (let after: string | null = ""; after !== null;) {
          const page: { channels: State[]; next: string | null; complete: boolean } = await ask(
            node,
            `/channels?prefix=list.&limit=3&after=${after}`,
          );
          expect(page.complete).toBe(true);
          found.push(...page.channels.map(({ channel, subscribers }) => [channel, subscribers]));
          after = page.next;
        }
        expect(found).toEqual(all);
      }
    });

    test("each lists the streams of all, node after node, in pages", async () => {
      for (let i = 0; i < 5; i++) await open(nodes[i % 2]!, `/channel/page.${i}/stream`);
      const lists: Streams["streams"][] = [];
      for (const node of nodes) {
        const found: Streams["streams"][number][] = [];
        for (let after = "", next: string | null = ""; next !== null; after = `&after=${next}`) {
          const page: Streams = await ask(node, `/streams?limit=2${after}`);
          expect(page.complete).toBe(true);
          expect(page.streams.length).toBeLessThanOrEqual(2);
          found.push(...page.streams.filter(({ channels }) => channels[0]!.startsWith("page.")));
          ({ next } = page);
        }
        lists.push(found);
      }
      const [found, same] = lists;
      expect(same).toEqual(found);
      const order = found!.map(({ node }) => node);
      expect(order).toEqual(order.toSorted());
      const byNode = Map.groupBy(found!, ({ node }) => node);
      const names = [...byNode.values()].map((of) => of.map(({ channels }) => channels.join()).join());
      expect(names.sort()).toEqual(["page.0,page.2,page.4", "page.1,page.3"]);
    });

    test("a stream is renewed by whichever node is asked, and goes on past the end of its first token", async () => {
      const old = await subscribe(two!, "renewed", { user: "ann", ttl: 3 });
      const [stream, id] = await openAt(old.url);
      const fresh = await subscribe(two!, "renewed", { user: "ann", ttl: 600 });
      for (let i = 0; i < 2; i++) {
        // Asked for once more, where the first answer was lost, it is answered alike.
        const answer = await post<object>(one!, "/channel/renew", {
          secret: null,
          json: { stream: id, token: fresh.token },
        });
        expect(answer.data).toEqual({ stream: id, expires_at: fresh.expires_at });
      }
      const listed = await ask<Streams & { streams: { expires_at: string }[] }>(one!, "/streams?user=ann");
      expect(listed.streams).toMatchObject([{ stream: id, expires_at: fresh.expires_at }]);
      await Bun.sleep(Date.parse(old.expires_at) + 500 - Date.now()); // that time itself is what is waited for
      await send(one!, "/chat/send", { channel: "renewed", data: "goes on" });
      const told = await stream.when(() => stream.frames.find(({ event }) => event === undefined));
      expect(told.data).toBe("goes on");
    });

    test("what a renewal may not do is refused by whichever node is asked", async () => {
      const { url } = await subscribe(two!, "strict", { user: "ann", ttl: 600 });
      const [, id] = await openAt(url);
      const renew = async (channel: string, more: { user?: string; ttl?: number }) => {
        const { token } = await subscribe(one!, channel, more);
        return (await post(one!, "/channel/renew", { secret: null, json: { stream: id, token } })).error;
      };
      expect(await renew("strict", { user: "bob", ttl: 900 })).toMatchObject({ type: "stream_not_found" });
      expect(await renew("other", { user: "ann", ttl: 900 })).toMatchObject({ type: "forbidden", field: "token" });
      expect(await renew("strict", { user: "ann", ttl: 60 })).toMatchObject({ type: "parameter_invalid" });
    });

    test("streams that are renewed at different nodes at once each keep their renewal", async () => {
      const { url } = await subscribe(one!, "shared", { user: "eve", ttl: 60 });
      const streams = await Promise.all(nodes.map((node) => openAt(url.replace(one!.url, node.url))));
      const fresh = await Promise.all([600, 900].map((ttl) => subscribe(one!, "shared", { user: "eve", ttl })));
      const answers = await Promise.all(
        streams.map(([, id], i) =>
          post(nodes[i]!, "/channel/renew", { secret: null, json: { stream: id, token: fresh[i]!.token } }),
        ),
      );
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      // The address is good for as long as the one that lasts, and a revocation of one stream reaches both.
      const [, again] = await openAt(url.replace(one!.url, two!.url));
      const listed = await ask<{ streams: { stream: string; expires_at: string }[] }>(one!, "/streams?user=eve");
      expect(listed.streams.find(({ stream }) => stream === again)!.expires_at).toBe(fresh[1]!.expires_at);
      expect((await send<object>(two!, "/channel/revoke", { stream: streams[0]![1] })).data).toEqual({
        streams: 3,
        complete: true,
      });
      for (const { token } of fresh) {
        for (const node of nodes)
          expect((await fetch(`${node.url}/stream?channel=shared&token=${token}`)).status).toBe(401);
      }
    });

    test("a revocation at one counts, and has ended, what it hits at all", async () => {
      const { url } = await subscribe(one!, "many", { user: "mallory" });
      const streams: Listening[] = [];
      for (let i = 0; i < 100; i++) streams.push((await openAt(url.replace(one!.url, nodes[i % 2]!.url)))[0]);
      const { data } = await send<object>(one!, "/channel/revoke", { user: "mallory" });
      expect(data).toEqual({ streams: 100, complete: true });
      expect((await ask<Streams>(two!, "/streams?user=mallory")).streams).toEqual([]);
      for (const stream of streams) expect(await stream.told("close")).toMatchObject({ reason: "revoked" });
      expect((await send<object>(two!, "/channel/revoke", { user: "mallory" })).data).toEqual({
        streams: 0,
        complete: true,
      });
    });

    test("a stream at one is revoked at the other, with a token or without", async () => {
      const { url } = await subscribe(one!, "single", { ttl: 60 });
      const [withToken, id] = await openAt(url);
      const [withoutToken, openId] = await openAt(`${one!.url}/channel/open/stream`);
      for (const [stream, streamId] of [
        [withToken, id],
        [withoutToken, openId],
      ] as const) {
        const { data } = await send<object>(two!, "/channel/revoke", { stream: streamId });
        expect(data).toEqual({ streams: 1, complete: true });
        expect(await stream.told("close")).toMatchObject({ reason: "revoked" });
        const again = await send(two!, "/channel/revoke", { stream: streamId });
        expect(again.error).toMatchObject({ type: "stream_not_found", field: "stream" });
      }
    });

    test("a node that was killed counts no more", async () => {
      await using third = await startGateway({ settings: settings() });
      const stream = await listen(`${third.url}/channel/killed/stream`, { authorization: `key=${third.secret}` });
      await stream.live();
      await ask<State>(one!, "/channel/killed", ({ subscribers }) => subscribers === 1);
      await third.kill();
      const killedAt = performance.now();
      await ask<State>(one!, "/channel/killed", ({ subscribers, complete }) => subscribers === 0 && complete);
      expect(performance.now() - killedAt).toBeLessThan(2000);
      await stream.end().catch(() => undefined);
    });

    test("a node that is stopped as it stands delays no answer for long, and answers say that it is missing", async () => {
      await using third = await startGateway({ settings: settings() });
      const { url } = await subscribe(third, "frozen", { user: "zoe", ttl: 60 });
      const [, id] = await openAt(url);
      await open(one!, "/channel/frozen/stream");
      await ask<State>(one!, "/channel/frozen", ({ subscribers }) => subscribers === 2);
      third.signal("SIGSTOP");
      const from = performance.now();
      const state = await ask<State>(one!, "/channel/frozen");
      expect(performance.now() - from).toBeLessThan(1500);
      expect(state).toMatchObject({ subscribers: 1, complete: false });
      expect((await ask<Streams>(two!, "/streams")).complete).toBe(false);
      expect((await ask<Streams>(two!, "/channels?prefix=frozen")).complete).toBe(false);
      // Whether it has a stream is not known: neither that it is not there, nor that it was ended.
      const fresh = await subscribe(one!, "frozen", { user: "zoe", ttl: 600 });
      const json = { stream: id, token: fresh.token };
      expect((await post(one!, "/channel/renew", { secret: null, json })).error).toMatchObject({ type: "unavailable" });
      expect((await send(one!, "/channel/revoke", { stream: id })).error).toMatchObject({ type: "unavailable" });
      // What does not need the others goes on.
      expect((await send(one!, "/chat/send", { channel: "frozen", data: "x" })).status).toBe(200);
      const revoked = await send<object>(one!, "/channel/revoke", { user: "zoe" });
      expect(revoked.data).toEqual({ streams: 0, complete: false });
      third.signal("SIGCONT");
      await ask<State>(one!, "/channel/frozen", ({ subscribers, complete }) => subscribers === 1 && complete);
    }, 20_000);

    test("while Redis is away a node lists its own streams, and says that others may be missing", async () => {
      await open(one!, "/channel/away/stream");
      redis.freeze();
      try {
        const [own] = (await ask<Streams>(one!, "/streams?channel=away", ({ complete }) => !complete)).streams;
        expect(own).toMatchObject({ channels: ["away"] });
        const state = await call(one!, "GET", "/channel/away", { secret: one!.secret });
        expect(state.error).toMatchObject({ type: "unavailable" });
      } finally {
        redis.thaw();
      }
      await ask<Streams>(one!, "/streams?channel=away", ({ complete }) => complete);
    }, 20_000);
  });
}

test("a node that is alone says that nobody is missing", async () => {
  await using gateway = await startGateway({ settings: { SOCKET_BROKER: "memory:" } });
  const { data } = await call<object>(gateway, "GET", "/streams", { secret: gateway.secret });
  expect(data).toEqual({ streams: [], next: null, complete: true });
});

/** As a backend asks; what comes is waited for until `holds`, since a listener that leaves is noticed a little later. */
async function ask<Data>(node: Gateway, path: string, holds: (data: Data) => boolean = () => true): Promise<Data> {
  for (;;) {
    const { status, data } = await call<Data>(node, "GET", path, { secret: node.secret });
    expect(status).toBe(200);
    if (holds(data)) return data;
  }
}

function send<Data>(node: Gateway, path: string, json: Call["json"]): Promise<Result<Data>> {
  return post<Data>(node, path, { secret: node.secret, json });
}
