import { expect, test } from "bun:test";
import { type Grant, grantOfTokens, isRevoked } from "../../src/auth/grant.ts";
import { revocation, revokedBy, Rulings } from "../../src/auth/rulings.ts";
import { verifyToken } from "../../src/auth/token.ts";
import type { Subscriber } from "../../src/hub/subscriber.ts";
import { OpenStream, OpenStreams } from "../../src/http/open-streams.ts";
import { Sweep } from "../../src/http/sweep.ts";
import { BLOG, DAY_MS, NOW, token, twoApps } from "../auth/apps.ts";

const apps = twoApps();

function grantOf(sub: string, secret?: string, kid?: string): Grant {
  return grantOfTokens([verifyToken(apps, token({ sub }, secret, kid), NOW, DAY_MS)]);
}

/** Open streams, what ended of them, and turns of the event loop that come when they are asked for. */
function node() {
  const [rulings, streams] = [new Rulings(), new OpenStreams()];
  /** Users whose grant is gone without a ruling. */
  const taken = new Set<string>();
  const ended: unknown[] = [];
  const turns: (() => void)[] = [];
  const byStream = new Map<unknown, OpenStream>();
  const hub = {
    close(subscriber: Subscriber, ...how: unknown[]): void {
      expect(how).toEqual(["revoked", false]);
      const stream = byStream.get(subscriber)!;
      streams.delete(stream);
      ended.push(stream.id);
    },
  };
  const sweep = new Sweep({
    hub,
    streams,
    stands: ({ grant }) => !isRevoked(grant, rulings) && !taken.has(grant.tokens[0]!.user!),
    schedule: (run) => turns.push(run),
  });
  return {
    sweep,
    taken,
    ended,
    turns,
    open: (grant: Grant): void => {
      const stream = new OpenStream(`s${byStream.size}`, grant, NOW);
      stream.subscriber = {} as Subscriber; // what is swept is handed on as it is
      byStream.set(stream.subscriber, stream);
      streams.add(stream);
    },
    /** Answers how many streams were ended for the user. */
    revoke: (user: string): Promise<number> => {
      const note = revocation({ kind: "user", name: user, issuedUpTo: NOW }, NOW);
      rulings.apply("shop", note);
      const isHit = revokedBy(note)!;
      void sweep.start("shop", note.key, ({ grant }) => grant.tokens.some(isHit));
      return sweep.ended("shop", [note.key]);
    },
    /** Runs turns until nothing is scheduled any more; gives how many streams ended in each. */
    run: async (): Promise<number[]> => {
      const each: number[] = [];
      for (let before = 0; ; before = ended.length) {
        await new Promise(setImmediate);
        each.push(ended.length - before);
        const turn = turns.shift();
        if (turn === undefined) return each;
        turn();
      }
    },
  };
}

test("a user with a thousand streams: they end a slice a turn, and nobody else's", async () => {
  const { open, revoke, run, ended } = node();
  const [ann, bob, other] = [grantOf("ann"), grantOf("bob"), grantOf("ann", BLOG, "blog")];
  for (let i = 0; i < 1000; i++) for (const grant of [ann, bob, other]) open(grant);
  const streams = revoke("ann");
  const each = await run();
  expect(Math.max(...each)).toBe(64);
  expect(await streams).toBe(1000);
  expect(new Set(ended).size).toBe(1000);
});

test("what is revoked while streams are ended is ended too, and counted apart", async () => {
  const { open, revoke, run, ended, turns } = node();
  for (let i = 0; i < 100; i++) for (const user of ["ann", "bob", "eve"]) open(grantOf(user));
  const ann = revoke("ann");
  while (turns.length === 0) await new Promise(setImmediate);
  const bob = revoke("bob");
  const nobody = revoke("nobody");
  await run();
  expect(await Promise.all([ann, bob, nobody])).toEqual([100, 100, 0]);
  expect(ended).toHaveLength(200);
});

test("what a reload ends beside a revocation is counted apart from it", async () => {
  const { sweep, open, revoke, run, taken } = node();
  for (let i = 0; i < 100; i++) for (const user of ["ann", "bob", "eve"]) open(grantOf(user));
  taken.add("bob");
  const reloaded = sweep.start("shop", "reload", ({ grant }) => taken.has(grant.tokens[0]!.user!));
  const ann = revoke("ann");
  await run();
  await reloaded;
  expect(await Promise.all([ann, sweep.ended("shop", ["reload"])])).toEqual([100, 100]);
});

test("a stream that opens while others are ended is looked at as well", async () => {
  const { open, revoke, run, turns, ended } = node();
  for (let i = 0; i < 100; i++) open(grantOf("ann"));
  const streams = revoke("ann");
  while (turns.length === 0) await new Promise(setImmediate);
  open(grantOf("ann"));
  await run();
  expect(await streams).toBe(101);
  expect(ended).toHaveLength(101);
});
