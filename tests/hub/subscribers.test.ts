import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { selects } from "../../src/core/channel.ts";
import type { Feed } from "../../src/hub/feed.ts";
import { Subscribers } from "../../src/hub/subscribers.ts";
import { feedOf } from "./parts.ts";

const segment = fc.constantFrom("a", "b", "c");
const channel = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join("."));
const pattern = fc
  .tuple(fc.array(fc.oneof(segment, fc.constant("*")), { maxLength: 3 }), fc.constantFrom("*", "**", "a"))
  .map(([segments, last]) => [...segments, last].join("."));
const names = fc.array(fc.oneof(channel, pattern), { minLength: 1, maxLength: 4 });

function matches(map: Subscribers, channel: string): number {
  let count = 0;
  map.visit(channel, () => (count += 1));
  return count;
}

describe("the map from channels to feeds", () => {
  test("finds the feeds whose selection holds a channel, also after some were removed", () => {
    fc.assert(
      fc.property(fc.array(names, { maxLength: 8 }), fc.array(channel, { minLength: 1 }), (selections, channels) => {
        const map = new Subscribers();
        const feeds = selections.map((selection) => feedOf(selection));
        for (const feed of feeds) map.add(feed);
        const holds = (left: readonly Feed[]): boolean =>
          channels.every((name) => {
            const found = new Set<Feed>();
            map.visit(name, (feed) => found.add(feed));
            return left.every((feed) => found.has(feed) === selects(feed.selection, name)) && found.size <= left.length;
          });
        if (!holds(feeds)) return false;
        for (const [i, feed] of feeds.entries()) {
          map.remove(feed);
          if (!holds(feeds.slice(i + 1))) return false;
        }
        return [...map.channels()].length === 0;
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  test("names the channels that streams name, not those that patterns match", () => {
    const map = new Subscribers();
    map.add(feedOf(["a.b", "a.*"]));
    map.add(feedOf(["a.b", "c"]));
    expect([...map.channels()].sort()).toEqual(["a.b", "c"]);
  });

  test("`**` is one segment or more, never none", () => {
    const map = new Subscribers();
    const feed = feedOf(["a.**"]);
    map.add(feed);
    expect(["a", "a.b", "a.b.c", "ab"].map((name) => matches(map, name))).toEqual([0, 1, 1, 0]);
  });
});
