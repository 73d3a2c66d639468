import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { selectionOf } from "../../src/core/channel.ts";
import { formatPosition } from "../../src/core/position.ts";
import { program } from "../setup/programs.ts";
import { startRedis } from "../setup/redis.ts";
import { draft, publishAll, read, show } from "./fixture.ts";
import { startNode, until } from "./redis-fixture.ts";

const ALL = selectionOf(["**"]);

/** Epochs named e1, e2, … over all nodes of a test. */
function epochs(): { newEpoch: () => string } {
  let count = 0;
  return { newEpoch: () => `e${++count}` };
}

setDefaultTimeout(30_000); // servers start, break and recover, on a busy machine

if (program("redis-server") !== null) {
  describe("an epoch of Redis", () => {
    test("ends with the data, of which the gap tells", async () => {
      await using server = await startRedis();
      await using node = await startNode(server.url, epochs());
      await node.broker.follow("app", ALL);
      await publishAll(node.broker, "app", [draft("a"), draft("a")]);
      await server.command("FLUSHALL");
      expect(await node.broker.publish("app", [draft("a")])).toEqual({ epoch: "e2", seq: 1, repeated: null });
      expect(show(await read(node.broker, ["a"], { epoch: "e1", seq: 2 }))).toBe("e2-0..e2-1 1:a gap=epoch(1,1)");
      await node.ear.until("app broken"); // who followed the one before reads and follows again
    });

    test("ends where an older state came back, and goes on from it", async () => {
      await using server = await startRedis();
      await using node = await startNode(server.url, epochs());
      await publishAll(node.broker, "app", [draft("a", "1"), draft("a", "2")]);
      await server.command("SAVE");
      copyFileSync(join(server.folder, "dump.rdb"), join(server.folder, "older.rdb"));
      await publishAll(node.broker, "app", [draft("a", "3"), draft("b", "4")]);
      await server.command("SAVE");
      await server.kill();
      copyFileSync(join(server.folder, "older.rdb"), join(server.folder, "dump.rdb"));
      await server.start();
      const receipt = await until(() => node.broker.publish("app", [draft("a", "5")]));
      expect(receipt).toEqual({ epoch: "e2", seq: 3, repeated: null });
      expect(show(await read(node.broker, ["a"], { epoch: "e1", seq: 4 }))).toBe("e2-2..e2-3 3:a gap=epoch(1,3)");
      expect(show(await read(node.broker, ["a"], { epoch: "e1", seq: 1 }))).toBe("e2-1..e2-3 2:a 3:a gap=epoch(1,3)");
    });

    test("ends with each start of the server, since its last writes may be lost", async () => {
      await using server = await startRedis({ settings: { appendonly: "yes", appendfsync: "always" } });
      await using node = await startNode(server.url, epochs());
      await node.broker.publish("app", [draft("a")]);
      await server.kill();
      await server.start();
      expect(await until(() => node.broker.publish("app", [draft("a")]))).toMatchObject({ epoch: "e2", seq: 2 });
    });

    test("ends at a server that was a replica in between, though it never stopped", async () => {
      await using server = await startRedis();
      await using other = await startRedis({ settings: { replicaof: `127.0.0.1 ${server.port}` } });
      await using node = await startNode(server.url, epochs());
      await node.broker.publish("app", [draft("a", "kept")]);
      await until(async () => {
        if (Number(await other.command("EXISTS", "socket:{app}:app")) === 0) throw new Error("not copied yet");
      });
      // The replica stays behind, takes over unseen, and hands back its older state: same run id, same epoch in it.
      await other.command("REPLICAOF", "NO", "ONE");
      await node.broker.publish("app", [draft("a", "lost")]);
      await server.command("REPLICAOF", "127.0.0.1", String(other.port));
      await until(async () => {
        if (!String(await server.command("INFO", "replication")).includes("master_link_status:up"))
          throw new Error("no");
      });
      await server.command("REPLICAOF", "NO", "ONE");
      const receipt = await until(() => node.broker.publish("app", [draft("a", "new")]));
      expect(receipt.seq).toBe(2);
      const { messages } = await read(node.broker, ["a"]);
      expect(messages.map(({ data }) => data)).toEqual(["kept", "new"]);
      expect(receipt.epoch).not.toBe("e1");
    }, 30_000);

    test("that is new is told to a node that has heard nothing since it follows", async () => {
      await using server = await startRedis();
      const shared = epochs();
      await using one = await startNode(server.url, shared);
      await one.broker.publish("app", [draft("a")]);
      for (let round = 2; round < 12; round++) {
        await using two = await startNode(server.url, shared);
        await two.broker.follow("app", selectionOf(["quiet"]));
        await server.command("FLUSHALL");
        await one.broker.publish("app", [draft("a")]);
        await two.ear.until("app broken"); // whether a mark was heard before or not
      }
    });

    test("that is new is heard of by a node that asks for nothing", async () => {
      await using server = await startRedis();
      const shared = epochs();
      await using one = await startNode(server.url, shared);
      await using two = await startNode(server.url, shared);
      const at = await two.broker.follow("app", selectionOf(["quiet"]));
      expect(formatPosition(at)).toBe("e1-0");
      await server.command("FLUSHALL");
      await one.broker.publish("app", [draft("a")]);
      await two.ear.until("app broken");
      expect(formatPosition(await two.broker.follow("app", selectionOf(["quiet"])))).toBe("e2-1");
    });
  });
}
