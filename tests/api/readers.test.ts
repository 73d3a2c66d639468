import { describe, expect, test } from "bun:test";
import { EventSource } from "eventsource";
import { startGateway, subscribe, publish as publishTo } from "../setup/gateway.ts";
import { publish, SECRET, serve } from "./fixture.ts";

describe("curl -N", () => {
  test("shows each message as it is published", async () => {
    await using server = await serve();
    const url = `${server.url}/channel/news/stream`;
    const curl = Bun.spawn(["curl", "-sN", "-H", `Authorization: key=${SECRET}`, url], { stdout: "pipe" });
    try {
      const shown = curl.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
      let text = "";
      const until = async (end: string) => {
        while (!text.endsWith(end)) text += (await shown.next()).value ?? expect.unreachable("the stream ended");
      };
      await until('event: socket:live\ndata: {"replayed":0}\n\n');
      expect(text).toMatch(/^retry: \d+\n+id: [0-9a-z]+-0\nevent: socket:open\ndata: \{.*\}\n\nevent: socket:live\n/);
      for (const [data, event, lines] of [
        ["hello", undefined, "data: hello"],
        ["two\nlines", "alert", "event: alert\ndata: two\ndata: lines"],
        [{ a: "é" }, undefined, 'data: {"a":"é"}'],
      ] as const) {
        const { id } = await publish(server, "news", data, event);
        await until(`\n\nid: ${id}\n${lines}\n\n`);
      }
    } finally {
      curl.kill();
      await curl.exited;
    }
  });
});

describe("EventSource", () => {
  test("hears messages, events and what the stream says, and resumes over kill -9 with nothing lost or twice", async () => {
    await using gateway = await startGateway({ settings: { SOCKET_RETRY: "100ms" } });
    await publishTo(gateway, { channel: "news", data: "before" });
    const { url } = await subscribe(gateway, ["news", "room.*"]);
    const source = new EventSource(`${url}&last=1`);
    const heard: string[] = [];
    const told: string[] = [];
    let changed = Promise.withResolvers<void>();
    const note = (list: string[]) => (event: MessageEvent) => {
      list.push(String(event.data));
      changed.resolve();
      changed = Promise.withResolvers();
    };
    const count = async (list: string[], length: number) => {
      while (list.length < length) await changed.promise;
    };
    source.addEventListener("message", note(heard));
    source.addEventListener("alert", note(heard));
    source.addEventListener("socket:live", note(told));
    source.addEventListener("socket:gap", () => expect.unreachable("a gap was told"));
    try {
      await count(told, 1);
      expect(heard).toEqual(["before"]);
      await publishTo(gateway, { channel: "room.1", event: "alert", data: "first" });
      await count(heard, 2);
      await gateway.kill();
      await gateway.start();
      await publishTo(gateway, { channel: "news", data: "second" });
      await count(told, 2);
      await publishTo(gateway, { channel: "news", data: "third" });
      await count(heard, 4);
      expect(heard).toEqual(["before", "first", "second", "third"]);
    } finally {
      source.close();
    }
  });

  test("is not turned away for good by a limit: it comes back and gets in", async () => {
    await using server = await serve({
      settings: { SOCKET_MAX_STREAMS_PER_APP: "1", SOCKET_PUBLIC_CHANNELS: "news", SOCKET_RETRY: "100ms" },
    });
    const url = `${server.url}/channel/news/stream`;
    const first = new EventSource(url);
    await told(first, "live");
    const second = new EventSource(url);
    try {
      const closed = await told(second, "close");
      expect(JSON.parse(String(closed.data))).toEqual({ reason: "limit", reconnect: true });
      const isLive = told(second, "live");
      first.close();
      await isLive;
    } finally {
      first.close();
      second.close();
    }
  });
});

/** The next time that the stream says so. */
function told(source: EventSource, name: string): Promise<MessageEvent> {
  return new Promise((resolve) => source.addEventListener(`socket:${name}`, resolve, { once: true }));
}
