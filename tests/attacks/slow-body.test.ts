import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, test } from "bun:test";
import { history, post, publish, SECRET, serve, type Server } from "../api/fixture.ts";
import { listen } from "../api/listening.ts";
import { drip } from "./dripping.ts";

const LENGTH = "Content-Length: 60000\r\n\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n\r\n";

function head(path: string, authorized: boolean): string {
  const credential = authorized ? `Authorization: key=${SECRET}\r\n` : "";
  return `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${credential}`;
}

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

test("a body that comes byte by byte is ended in time, publishes nothing, and what is open goes on", async () => {
  await using server = await serve({ idleTimeoutSeconds: 1, settings: { SOCKET_HEARTBEAT: "0" } });
  await using stream = await (await listen(`${server.url}/channel/news/stream`)).live();
  const begin = '{"channel":"news","data":"';
  await Promise.all([
    drip(server, head("/chat/send", true) + LENGTH + begin, "x"),
    drip(server, head("/chat/send", true) + CHUNKED + chunk(begin), chunk("x")),
    drip(server, head("/channel/subscribe", false) + LENGTH + begin, "x"),
    drip(server, head("/channel/subscribe", false) + CHUNKED + chunk(begin), chunk("x")),
    drip(server, head("/channel/renew", false) + LENGTH.replace("60000", "6000") + begin, "x"),
  ]);
  expect((await history(server, "news")).messages).toEqual([]);
  await publish(server, "news", "still here");
  expect((await stream.next()).data).toBe("still here");
}, 30_000);

/** A body of which nothing comes. It is under way for certain: the server said that it may come. */
async function announced(server: Server): Promise<Socket> {
  const connection = connect(server.port, "127.0.0.1").setEncoding("latin1");
  connection.write(head("/channel/subscribe", false) + `Expect: 100-continue\r\n${LENGTH}`);
  const [answer] = (await once(connection, "data")) as [string];
  expect(answer).toStartWith("HTTP/1.1 100 ");
  return connection;
}

test("bodies of unknown senders have bounded room, and take none of those who name their app in the header", async () => {
  await using server = await serve();
  const body = { channel: "news", x: "x".repeat(59_000) };
  const fromUnknown = () => post(server, "/channel/subscribe", { secret: null, json: { ...body, app_secret: SECRET } });
  const announcing = await Promise.all(Array.from({ length: 279 }, () => announced(server))); // of 16 MiB
  try {
    const { error, headers } = await fromUnknown();
    expect(error).toMatchObject({ type: "unavailable" });
    expect(headers.get("Retry-After")).toBe("1");
    expect((await post(server, "/channel/subscribe", { json: body })).status).toBe(200);
    expect((await publish(server, "news", body.x)).channel).toBe("news");
  } finally {
    for (const connection of announcing) connection.destroy();
  }
  while ((await fromUnknown()).status !== 200); // as soon as the server has seen the ends
});
