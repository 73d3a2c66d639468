import { expect, test } from "bun:test";
import { publish, startGateway } from "../setup/gateway.ts";
import { program } from "../setup/programs.ts";
import { startRedis } from "../setup/redis.ts";
import { listen } from "./listening.ts";

if (program("redis-server") !== null) {
  test("moving from SQLite to Redis is one told gap", async () => {
    await using redis = await startRedis();
    await using gateway = await startGateway();
    const authorization = `key=${gateway.secret}`;
    const address = `${gateway.url}/stream?channel=news`;
    const before = await publish(gateway, { channel: "news", data: "in SQLite" });
    await gateway.kill();
    await gateway.start({ SOCKET_BROKER: redis.url });

    const after = await publish(gateway, { channel: "news", data: "in Redis" });
    await using stream = await listen(address, { authorization, lastEventId: before.id });
    expect(await stream.told("open")).toMatchObject({ recovered: false });
    expect(await stream.told("gap")).toMatchObject({ reason: "epoch", asked: before.id, newest: after.id });
    expect((await stream.messages(1)).map(({ id, data }) => [id, data])).toEqual([[after.id, "in Redis"]]);

    await using again = await listen(address, { authorization, lastEventId: after.id });
    expect(await again.told("open")).toMatchObject({ recovered: true });
  }, 60_000);
}
