import { describe, expect, test } from "bun:test";
import type { Broker, Once } from "../../src/broker/broker.ts";
import { selectionOf } from "../../src/core/channel.ts";
import { FOREIGN, type Position } from "../../src/core/position.ts";
import { Ear, Settings, draft, publishAll, read, show, trimAll, rejection } from "./fixture.ts";

interface Opened {
  readonly broker: Broker;
  /** Closes the broker and removes what it kept. */
  readonly end: () => Promise<void>;
}

const ALL = selectionOf(["**"]);

/** Thousands of looks over a network, on a busy machine. */
const PATIENCE_MS = 30_000;

const at = (seq: number): Position => ({ epoch: "e1", seq });

const once = (key: string, ...subscribers: number[]): Once => ({ key, subscribers });

/** What every driver promises. `open` makes a broker with an empty store, not started yet. */
export function contract(driver: string, open: (settings: Settings) => Promise<Opened>): void {
  const on = (sentence: string, body: (broker: Broker, settings: Settings, ear: Ear) => Promise<void>): void => {
    test(
      sentence,
      async () => {
        const settings = new Settings();
        const ear = new Ear();
        const { broker, end } = await open(settings);
        try {
          await broker.start(ear);
          await body(broker, settings, ear);
        } finally {
          await end();
        }
      },
      PATIENCE_MS,
    );
  };

  describe(`${driver}: publishing`, () => {
    on("messages of an app are numbered 1, 2, 3 over all its channels", async (broker) => {
      expect(await broker.publish("app", [draft("a"), draft("b")])).toEqual({ epoch: "e1", seq: 1, repeated: null });
      expect(await broker.publish("app", [draft("a")])).toEqual({ epoch: "e1", seq: 3, repeated: null });
      expect(await broker.publish("other", [draft("a")])).toEqual({ epoch: "e2", seq: 1, repeated: null });
    });

    on("what is published is given back as it was", async (broker) => {
      const drafts = [
        draft("a", "line\r\nline\nend\u0000\u{1F600}", { event: "note" }),
        draft("a", "12345678901234567890", { json: true }),
        draft("a", ""),
      ];
      await broker.publish("app", drafts);
      const { messages } = await read(broker, ["a"], at(0));
      for (const [i, one] of drafts.entries()) {
        expect(messages[i]).toEqual({ ...one, epoch: "e1", seq: i + 1, time: 1_000_000 });
      }
      expect(messages).toHaveLength(3);
    });

    on("messages are delivered in order, each once, with a mark behind them", async (broker, _settings, ear) => {
      await broker.follow("app", ALL);
      await Promise.all([
        broker.publish("app", [draft("a", "1"), draft("b", "2")]),
        broker.publish("app", [draft("a", "3")]),
      ]);
      await ear.until("app mark 3");
      expect(ear.heard.filter((line) => !line.includes("mark"))).toEqual(["app 1 a 1", "app 2 b 2", "app 3 a 3"]);
      expect(ear.heard.at(-1)).toBe("app mark 3");
    });

    on("a publish from within a delivery is delivered after it", async (broker, _settings, ear) => {
      const inner: Promise<unknown>[] = [];
      ear.onDeliver = () => {
        if (inner.length === 0) inner.push(broker.publish("app", [draft("b", "second")]));
      };
      await broker.follow("app", ALL);
      await broker.publish("app", [draft("a", "first")]);
      await ear.until("app mark 2");
      await Promise.all(inner);
      expect(ear.heard).toEqual(["app 1 a first", "app mark 1", "app 2 b second", "app mark 2"]);
    });

    on(
      "a delivery that throws loses no acknowledgement, and what it missed is to be read",
      async (broker, settings, ear) => {
        ear.onDeliver = () => {
          throw new Error("broken");
        };
        for (const seq of [1, 2]) {
          await broker.follow("app", ALL);
          expect((await broker.publish("app", [draft("a")])).seq).toBe(seq);
          await ear.until("app broken", seq);
        }
        expect(settings.logged).toContain("error: a delivery failed");
        expect(ear.heard).toEqual(["app 1 a ", "app broken", "app 2 a ", "app broken"]);
      },
    );

    on("time never goes back though the clock does", async (broker, settings) => {
      await broker.publish("app", [draft("a")]);
      settings.ms -= 5000;
      await broker.publish("app", [draft("a")]);
      settings.ms += 9000;
      await broker.publish("app", [draft("a")]);
      const { messages } = await read(broker, ["a"]);
      expect(messages.map(({ time }) => time)).toEqual([1_000_000, 1_000_000, 1_004_000]);
    });

    on("a broker that was closed refuses", async (broker) => {
      await broker.check();
      await broker.close();
      expect(await rejection(broker.publish("app", [draft("a")]))).toMatchObject({ type: "unavailable" });
      expect(await rejection(broker.check())).toMatchObject({ type: "unavailable" });
    });
  });

  describe(`${driver}: idempotency`, () => {
    on("the same key again gives the first receipt and keeps nothing", async (broker, _settings, ear) => {
      await broker.follow("app", ALL);
      await broker.publish("app", [draft("a")]);
      const first = await broker.publish("app", [draft("a", "x"), draft("b")], once("k", 7, 0));
      expect(first).toEqual({ epoch: "e1", seq: 2, repeated: null });
      const again = await broker.publish("app", [draft("a", "x"), draft("b")], once("k", 9, 9));
      expect(again).toEqual({ epoch: "e1", seq: 2, repeated: [7, 0] });
      expect((await broker.publish("app", [draft("a")])).seq).toBe(4);
      await ear.until("app mark 4");
      expect(ear.heard.filter((line) => line.includes(" a x"))).toHaveLength(1);
    });

    on("of two in flight the second gets the first one's receipt", async (broker) => {
      const [first, second] = await Promise.all([
        broker.publish("app", [draft("a")], once("k", 1)),
        broker.publish("app", [draft("a")], once("k", 2)),
      ]);
      expect(first).toEqual({ epoch: "e1", seq: 1, repeated: null });
      expect(second).toEqual({ epoch: "e1", seq: 1, repeated: [1] });
    });

    on("the same key with other content is refused alone", async (broker) => {
      const [first, second, third] = await Promise.allSettled([
        broker.publish("app", [draft("a")], once("k")),
        broker.publish("app", [draft("a", "", { event: "e" })], once("k")),
        broker.publish("app", [draft("a")]),
      ]);
      expect(first).toMatchObject({ status: "fulfilled", value: { seq: 1 } });
      expect(second).toMatchObject({ status: "rejected", reason: { type: "idempotency_conflict" } });
      expect(third).toMatchObject({ status: "fulfilled", value: { seq: 2 } });
    });

    on("every part of the content counts", async (broker) => {
      await broker.publish("app", [draft("a", "1")], once("k"));
      const others = [
        [draft("b", "1")],
        [draft("a", "2")],
        [draft("a", "1", { event: "message" })],
        [draft("a", "1", { json: true })],
        [draft("a", "1"), draft("a", "1")],
      ];
      for (const drafts of others) {
        expect(await rejection(broker.publish("app", drafts, once("k")))).toMatchObject({
          type: "idempotency_conflict",
        });
      }
    });

    on("a key belongs to one app", async (broker) => {
      await broker.publish("app", [draft("a")], once("k"));
      expect((await broker.publish("other", [draft("a", "x")], once("k"))).repeated).toBeNull();
    });

    on("a key is forgotten after its time, trimmed or not", async (broker, settings) => {
      await broker.publish("app", [draft("a", "1")], once("k"));
      settings.ms += 60_000;
      expect((await broker.publish("app", [draft("a", "1")], once("k"))).repeated).toEqual([]);
      settings.ms += 1;
      expect(await broker.publish("app", [draft("a", "2")], once("k"))).toMatchObject({ seq: 2, repeated: null });
      settings.ms += 60_001;
      await trimAll(broker);
      expect(await broker.publish("app", [draft("a", "3")], once("k"))).toMatchObject({ seq: 3, repeated: null });
    });
  });

  describe(`${driver}: reading`, () => {
    on("a selection's messages after a position come in order, whatever channels they are on", async (broker) => {
      await publishAll(
        broker,
        "app",
        ["a", "b", "room.1", "a", "room.2", "room.1.x", "b"].map((name) => draft(name)),
      );
      expect(show(await read(broker, ["a"], at(0)))).toBe("e1-0..e1-7 1:a 4:a");
      expect(show(await read(broker, ["a", "b"], at(1)))).toBe("e1-1..e1-7 2:b 4:a 7:b");
      expect(show(await read(broker, ["room.*"], at(0)))).toBe("e1-0..e1-7 3:room.1 5:room.2");
      expect(show(await read(broker, ["b", "room.**", "room.1"], at(2)))).toBe(
        "e1-2..e1-7 3:room.1 5:room.2 6:room.1.x 7:b",
      );
      expect(show(await read(broker, ["none"], at(0)))).toBe("e1-0..e1-7");
      expect(show(await read(broker, ["a"], at(7)))).toBe("e1-7..e1-7");
    });

    on("a page that the limit cut goes through its last message, else through the head", async (broker) => {
      await publishAll(
        broker,
        "app",
        ["a", "b", "a", "b", "c"].map((name) => draft(name)),
      );
      expect(show(await read(broker, ["a", "b"], at(0), 3))).toBe("e1-0..e1-3 1:a 2:b 3:a");
      expect(show(await read(broker, ["a", "b"], at(0), 4))).toBe("e1-0..e1-5 1:a 2:b 3:a 4:b");
    });

    on("pages of a long history join without a hole, by one channel, by several and by pattern", async (broker) => {
      const drafts = Array.from({ length: 700 }, (_, i) => draft(`c.${(i * 7) % 31}`, String(i)));
      await publishAll(broker, "app", drafts);
      for (const names of [["c.3"], ["c.3", "c.4", "c.30"], ["c.*"]]) {
        for (const limit of [1, 7, 64, 65, 200]) {
          const seqs: number[] = [];
          for (let after = at(0); ;) {
            const page = await read(broker, names, after, limit);
            seqs.push(...page.messages.map(({ seq }) => seq));
            if (page.through.seq === 700) break;
            after = page.through;
          }
          const wanted = drafts.flatMap(({ channel }, i) =>
            names.includes(channel) || names[0] === "c.*" ? [i + 1] : [],
          );
          expect(seqs).toEqual(wanted);
        }
      }
    });

    on("a page holds about 128 KiB, but one message however large", async (broker) => {
      const large = "x".repeat(40 * 1024);
      await publishAll(broker, "app", [draft("a", large), draft("a", large), draft("b", large), draft("a", large)]);
      await publishAll(broker, "app", [draft("big", "x".repeat(140_000)), draft("big", "y")]);
      expect(show(await read(broker, ["a", "b"], at(0)))).toBe("e1-0..e1-3 1:a 2:a 3:b");
      expect(show(await read(broker, ["big"], at(0)))).toBe("e1-0..e1-5 5:big");
    });

    on("an app sees nothing of another", async (broker) => {
      await publishAll(broker, "other", [draft("a"), draft("a")]);
      expect(show(await read(broker, ["a", "**"], { epoch: "e2", seq: 0 }))).toBe("e2-0..e2-0");
      expect(await broker.channel("app", "a")).toBeNull();
      expect(await broker.channels("app", "", "", 10)).toEqual([]);
    });
  });

  describe(`${driver}: gaps`, () => {
    on("a position that was never given out: a gap, and nothing is sent", async (broker) => {
      await publishAll(broker, "app", [draft("a"), draft("b")]);
      expect(show(await read(broker, ["a"], at(9)))).toBe("e1-2..e1-2 gap=unknown_position(1,2)");
    });

    on("a position that is none of ours: a gap, and all that is kept", async (broker) => {
      await publishAll(broker, "app", [draft("a"), draft("b"), draft("a")]);
      expect(show(await read(broker, ["a"], FOREIGN))).toBe("e1-0..e1-3 1:a 3:a gap=unknown_position(1,3)");
      expect(show(await read(broker, ["none"], FOREIGN))).toBe("e1-0..e1-3 gap=unknown_position(none,3)");
    });

    on("another epoch: a gap, from where this one began", async (broker) => {
      await publishAll(broker, "app", [draft("a")]);
      expect(show(await read(broker, ["a"], { epoch: "zz", seq: 7 }))).toBe("e1-0..e1-1 1:a gap=epoch(1,1)");
    });

    on("a listener is told what was trimmed, and one on a quiet channel is not", async (broker, settings) => {
      settings.keep({ count: 2 });
      await publishAll(
        broker,
        "app",
        ["quiet", "a", "a", "a", "a"].map((name) => draft(name)),
      );
      await trimAll(broker);
      expect(show(await read(broker, ["a"], at(1)))).toBe("e1-1..e1-5 4:a 5:a gap=trimmed(4,5)");
      expect(show(await read(broker, ["a"], at(2)))).toBe("e1-2..e1-5 4:a 5:a gap=trimmed(4,5)");
      expect(show(await read(broker, ["a"], at(3)))).toBe("e1-3..e1-5 4:a 5:a");
      expect(show(await read(broker, ["quiet"], at(0)))).toBe("e1-0..e1-5 1:quiet");
      expect(show(await read(broker, ["quiet", "a"], at(0)))).toBe("e1-0..e1-5 1:quiet 4:a 5:a gap=trimmed(1,5)");
      expect(show(await read(broker, ["*"], at(2)))).toBe("e1-2..e1-5 4:a 5:a gap=trimmed(1,5)");
    });

    on("a channel that lost everything to age still tells it", async (broker, settings) => {
      settings.keep({ ageMs: 1000 });
      await publishAll(broker, "app", [draft("a"), draft("a")]);
      settings.ms += 1001;
      await publishAll(broker, "app", [draft("b")]);
      await trimAll(broker);
      expect(show(await read(broker, ["a"], at(1)))).toBe("e1-1..e1-3 gap=trimmed(none,3)");
      expect(show(await read(broker, ["a"], at(2)))).toBe("e1-2..e1-3");
    });

    on("a position before a forgotten channel's end is told as unproven", async (broker, settings) => {
      settings.keep({ channels: 2 });
      await publishAll(
        broker,
        "app",
        ["a", "b", "a", "c"].map((name) => draft(name)),
      );
      await trimAll(broker);
      expect(show(await read(broker, ["b"], at(1)))).toBe("e1-1..e1-4 gap=unproven(none,4)");
      expect(show(await read(broker, ["b"], at(2)))).toBe("e1-2..e1-4");
      expect(show(await read(broker, ["a"], at(2)))).toBe("e1-2..e1-4 3:a");
      expect((await broker.channels("app", "", "", 10)).map(({ channel }) => channel)).toEqual(["a", "c"]);
    });
  });

  describe(`${driver}: retention`, () => {
    on("bytes of a channel and of an app are kept within their limits, oldest first", async (broker, settings) => {
      settings.keep({ bytes: 10 });
      await publishAll(broker, "app", [draft("a", "12345"), draft("a", "é345"), draft("b", "1"), draft("a", "1")]);
      await trimAll(broker);
      expect(show(await read(broker, ["**"], at(1)))).toBe("e1-1..e1-4 2:a 3:b 4:a");
      settings.keep({ appBytes: 2 });
      await trimAll(broker);
      expect(show(await read(broker, ["**"], at(2)))).toBe("e1-2..e1-4 3:b 4:a");
    });

    on("of which less is to be kept from now on takes hold of quiet channels too", async (broker, settings) => {
      await publishAll(broker, "app", [draft("a"), draft("a"), draft("a"), draft("b")]);
      await trimAll(broker);
      settings.keep({ count: 1 });
      await trimAll(broker);
      expect((await broker.channel("app", "a"))!.oldest).toEqual(at(3));
      expect((await broker.channel("app", "b"))!.oldest).toEqual(at(4));
    });

    on("a step is bounded, and says whether there is more to do", async (broker, settings) => {
      settings.keep({ count: 1 });
      await publishAll(
        broker,
        "app",
        Array.from({ length: 1200 }, () => draft("a")),
      );
      expect(await broker.trim()).toBe(true);
      expect((await broker.channel("app", "a"))!.oldest).toEqual(at(501));
      expect(await broker.trim()).toBe(true);
      expect(await broker.trim()).toBe(false);
      expect((await broker.channel("app", "a"))!.oldest).toEqual(at(1200));
    });

    on("an app that is far over its limits does not hold up another", async (broker, settings) => {
      settings.keep({ count: 1 });
      await publishAll(
        broker,
        "app",
        Array.from({ length: 1600 }, () => draft("a")),
      );
      await publishAll(broker, "other", [draft("a"), draft("a")]);
      await broker.trim();
      await broker.trim();
      expect((await broker.channel("other", "a"))!.oldest).toEqual({ epoch: "e2", seq: 2 });
    });
  });

  describe(`${driver}: first connects`, () => {
    on("the newest so many messages of a selection", async (broker) => {
      await publishAll(
        broker,
        "app",
        ["a", "b", "c", "a", "b", "c", "a"].map((name) => draft(name)),
      );
      const seek = async (names: string[], count: number): Promise<number> =>
        (await broker.seek("app", selectionOf(names), { kind: "last", count })).seq;
      expect(await seek(["a"], 2)).toBe(3);
      expect(await seek(["a"], 9)).toBe(0);
      expect(await seek(["a", "b"], 3)).toBe(3);
      expect(await seek(["*"], 4)).toBe(3);
      expect(await seek(["a"], 0)).toBe(7);
      expect(await seek(["none"], 5)).toBe(7);
    });

    on("messages since a time, at most so many of the newest", async (broker, settings) => {
      for (const name of ["a", "b", "a", "b", "a"]) {
        settings.ms += 1000;
        await broker.publish("app", [draft(name)]);
      }
      const seek = async (names: string[], sinceMs: number, count = 100): Promise<number> =>
        (await broker.seek("app", selectionOf(names), { kind: "since", sinceMs, count })).seq;
      expect(await seek(["a"], 0)).toBe(0);
      expect(await seek(["b"], 0)).toBe(1);
      expect(await seek(["a"], 1_002_000)).toBe(2);
      expect(await seek(["a"], 1_003_000)).toBe(2);
      expect(await seek(["a", "b"], 1_003_001)).toBe(3);
      expect(await seek(["*"], 0, 2)).toBe(3);
      expect(await seek(["*"], 1_005_001)).toBe(5);
    });

    on("the earliest that is kept of one channel is no gap", async (broker, settings) => {
      settings.keep({ count: 2 });
      await publishAll(
        broker,
        "app",
        ["a", "a", "b", "a"].map((name) => draft(name)),
      );
      await trimAll(broker);
      const start = await broker.seek("app", selectionOf(["a"]), { kind: "since", sinceMs: 0, count: 100 });
      expect(show(await read(broker, ["a"], start))).toBe("e1-1..e1-4 2:a 4:a");
    });

    on("a follow begins at the head", async (broker) => {
      expect(await broker.follow("app", selectionOf(["a"]))).toEqual(at(0));
      await broker.publish("app", [draft("a")]);
      expect(await broker.follow("app", selectionOf(["a"]))).toEqual(at(1));
      await broker.unfollow("app", selectionOf(["a"]));
    });
  });

  describe(`${driver}: channels`, () => {
    on("channels that hold history are listed by name, from where the last list ended", async (broker, settings) => {
      settings.keep({ ageMs: 1000 });
      await publishAll(broker, "app", [draft("room.old")]);
      settings.ms += 2000;
      await publishAll(
        broker,
        "app",
        ["room.2", "room.1", "a", "room.10", "room.2", "~"].map((name) => draft(name)),
      );
      await trimAll(broker);
      const list = async (prefix: string, after: string, limit: number): Promise<string[]> =>
        (await broker.channels("app", prefix, after, limit)).map(({ channel }) => channel);
      expect(await list("", "", 10)).toEqual(["a", "room.1", "room.10", "room.2", "~"]);
      expect(await list("room.", "", 2)).toEqual(["room.1", "room.10"]);
      expect(await list("room.", "room.10", 2)).toEqual(["room.2"]);
      expect(await broker.channels("app", "room.2", "", 1)).toEqual([
        { channel: "room.2", oldest: at(2), newest: at(6) },
      ]);
      expect(await broker.channel("app", "room.2")).toEqual({ channel: "room.2", oldest: at(2), newest: at(6) });
      expect(await broker.channel("app", "room.old")).toBeNull();
    });
  });

  describe(`${driver}: notes`, () => {
    test("the node is told of a note before it is acknowledged, each app's under its name", async () => {
      const { broker, end } = await open(new Settings());
      try {
        const heard: string[] = [];
        await broker.start(new Ear(), {
          noted: (app, { key, value, until }) => void heard.push(`${app} ${key}=${value} ${until}`),
        });
        await broker.note("app", { key: "a", value: "1", until: 2_000_000 });
        expect(heard).toEqual(["app a=1 2000000"]);
        await Promise.all([
          broker.note("app", { key: "a", value: "2", until: 3_000_000 }),
          broker.note("other", { key: "a", value: "", until: 2_000_000 }),
        ]);
        expect(heard.slice(1)).toEqual(["app a=2 3000000", "other a= 2000000"]);
        expect((await broker.publish("app", [draft("a")])).seq).toBe(1); // a note is no message
      } finally {
        await end();
      }
    });
  });

  describe(`${driver}: questions`, () => {
    on("a node that is alone has everybody's answer", async (broker) => {
      expect(await broker.ask("app", "who listens?", 60_000)).toEqual({ texts: [], complete: true });
    });
  });
}
