import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, test } from "bun:test";
import { history, SECRET, serve, type Server } from "./fixture.ts";
import { listen } from "./listening.ts";

const BODY = '{"channel":"news","data":"late"}';

/** A publish of which all but the end was sent; it is under way for certain, as 100-continue was answered. */
async function halfSent(server: Server): Promise<Socket> {
  const connection = connect(server.port, "127.0.0.1").setEncoding("latin1");
  connection.write(
    `POST /chat/send HTTP/1.1\r\nHost: x\r\nAuthorization: key=${SECRET}\r\nContent-Type: application/json\r\n` +
      `Expect: 100-continue\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY.slice(0, 10)}`,
  );
  const [answer] = (await once(connection, "data")) as [string];
  expect(answer).toStartWith("HTTP/1.1 100 ");
  return connection;
}

test("a stop answers the requests that are under way", async () => {
  const server = await serve();
  await using stream = await (await listen(`${server.url}/channel/news/stream`)).live();
  const connection = await halfSent(server);
  const stopped = server.stop();
  expect(await stream.told("close")).toMatchObject({ reason: "drain" });
  connection.write(BODY.slice(10));
  const [answer] = (await once(connection, "data")) as [string];
  expect(answer).toMatch(/^HTTP\/1.1 200 .*"channel":"news"/s);
  connection.destroy();
  await stopped;
  expect(server.unexpected).toEqual([]);
});

test("a stop does not wait for a request that never ends", async () => {
  const server = await serve();
  const connection = await halfSent(server);
  const closed = once(connection, "close");
  await server.stop(); // the test's own limit is below that of an idle connection
  await closed;
  expect(server.unexpected).toEqual([]);
});

test("a stop that is asked for twice is one stop, and the port is free after it", async () => {
  const server = await serve();
  expect((await history(server, "news")).messages).toEqual([]);
  await Promise.all([server.stop(), server.stop()]);
  await server.stop();
  const next = Bun.listen({ hostname: "127.0.0.1", port: server.port, socket: { data() {} } });
  next.stop(true);
});
