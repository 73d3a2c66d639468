import { expect, setDefaultTimeout, test } from "bun:test";
import { selectionOf } from "../../src/core/channel.ts";
import { program } from "../setup/programs.ts";
import { startRedis } from "../setup/redis.ts";
import { TcpProxy } from "../setup/tcp-proxy.ts";
import { draft, read } from "./fixture.ts";
import { startNode, until } from "./redis-fixture.ts";

const ALL = selectionOf(["**"]);

setDefaultTimeout(30_000); // servers start, break and recover, on a busy machine

if (program("redis-server") !== null) {
  test("a Sentinel's failover: publishes go on at the new primary, under a new epoch, and nothing kept is missed", async () => {
    await using primary = await startRedis();
    await using replica = await startRedis({ settings: { replicaof: `127.0.0.1 ${primary.port}` } });
    await using sentinel = await startRedis({
      sentinel: [
        `sentinel monitor main 127.0.0.1 ${primary.port} 1`,
        "sentinel down-after-milliseconds main 500",
        "sentinel failover-timeout main 5000",
      ],
    });
    await using node = await startNode(`redis+sentinel://127.0.0.1:${sentinel.port}/main`);
    const first = await node.broker.publish("app", [draft("a", "1")]);
    await node.broker.follow("app", ALL);
    await until(async () => {
      const known = JSON.stringify(await sentinel.command("SENTINEL", "REPLICAS", "main"));
      if (!known.includes(String(replica.port))) throw new Error("the Sentinel does not know the replica yet");
    });
    await until(async () => {
      const kept = await replica.command("HGET", "socket:{app}:app", "head");
      if (kept !== "1") throw new Error("not copied yet");
    });
    await primary.kill();
    await node.ear.until("app broken");
    await node.broker.follow("app", ALL);
    const second = await until(() => node.broker.publish("app", [draft("a", "2")]));
    expect(second.seq).toBe(2);
    expect(second.epoch).not.toBe(first.epoch);
    await node.ear.until("app mark 2");
    const page = await read(node.broker, ["a"], { epoch: first.epoch, seq: 1 });
    expect(page.messages.map(({ data }) => data)).toEqual(["2"]);
    expect(page.gap?.reason).toBe("epoch");
    await node.ready();
  }, 60_000);

  test("a primary that the Sentinels name no more once it is connected to is left again: what it acknowledged would be lost", async () => {
    await using replaced = await startRedis();
    await using primary = await startRedis();
    await using sentinel = await startRedis({ sentinel: [`sentinel monitor main 127.0.0.1 ${primary.port} 1`] });
    await using proxy = await TcpProxy.start(sentinel.port);
    let stale = 0;
    proxy.replace((text) => {
      const named = `\n${primary.port}\r`;
      return text.includes(named) && stale-- > 0 ? text.replace(named, `\n${replaced.port}\r`) : text;
    });
    await using node = await startNode(`redis+sentinel://127.0.0.1:${proxy.port}/main`);
    await node.broker.publish("app", [draft("a", "1")]);
    stale = 1;
    await primary.command("CLIENT", "KILL", "TYPE", "normal");
    await node.ear.until("app broken");
    await until(() => node.broker.publish("app", [draft("a", "2")]));
    expect(stale).toBeLessThan(1);
    expect(await replaced.command("EXISTS", "socket:{app}:app")).toBe(0);
    expect(await primary.command("HGET", "socket:{app}:app", "head")).toBe("2");
  }, 30_000);
}
