import { describe, expect, test } from "bun:test";
import { post, publish, raw, request, SECRET, serve, WHOLE } from "../api/fixture.ts";
import { listen } from "../api/listening.ts";
import { unchanged } from "../api/unchanged.ts";

/**
 * Line ends and NUL wherever text of one party comes to stand in what another one is sent: a frame's fields (WHATWG HTML
 * 9.2.6) and an answer's headers (RFC 9112 5.5).
 */
const ENDS = ["\r", "\n", "\r\n", "\u0000", "\r\n\r\n"];
const FORGED = "event: socket:close\ndata: forged";

describe("a channel or an event with a line end or NUL is refused, in", () => {
  const gateway = unchanged();
  const fields = [
    ["channel", "channel_invalid"],
    ["event", "event_invalid"],
  ] as const;
  for (const [field, type] of fields) {
    for (const end of ENDS) {
      const value = { channel: "a", [field]: `a${end}${FORGED}` };
      test(`JSON, a form and a query: ${field} with ${JSON.stringify(end)}`, async () => {
        const query = new URLSearchParams(value).toString();
        for (const sent of [{ json: value }, { form: query }]) {
          expect((await post(gateway.server, "/chat/send", sent)).error).toMatchObject({ type, field });
        }
        expect((await post(gateway.server, `/chat/send?${query}`)).error).toMatchObject({ type, field });
        const batch = await post(gateway.server, "/chat/send-multi", { json: [value] });
        expect(batch.error).toMatchObject({ type, field: `body[0].${field}` });
      });
    }
  }

  test("the names that a stream and a token are asked for", async () => {
    for (const end of ENDS) {
      const name = encodeURIComponent(`a${end}${FORGED}`);
      for (const path of [`/stream?channel=${name}`, `/channel/${name}/stream`, `/channel/${name}/history`]) {
        expect((await request(gateway.server, "GET", path)).status).toBe(400);
      }
      const { error } = await post(gateway.server, "/channel/subscribe", { json: { channel: `a${end}b` } });
      expect(error).toMatchObject({ type: "channel_invalid" });
    }
  });

  test("a key that makes a publish happen once, and any other header's value", async () => {
    const start = `POST /chat/send?channel=a HTTP/1.1\r\nHost: x\r\nAuthorization: key=${SECRET}\r\nContent-Length: 0\r\n`;
    for (const bytes of ["a\rb", "a\u0000b", "a\nb: c\rd"]) {
      const answer = await raw(gateway.server, `${start}Idempotency-Key: ${bytes}\r\n\r\n`, /\r\n\r\n/);
      expect(answer).toStartWith("HTTP/1.1 400 ");
    }
  });
});

test("data with line ends and fields in it stays one message's data, in every format", async () => {
  await using server = await serve();
  for (const format of ["", "&format=envelope"]) {
    await using stream = await (await listen(`${server.url}/stream?channel=a${format}`)).live();
    for (const end of ENDS) {
      const data = `x${end}${FORGED}${end}${end}id: 1-1${end}retry: 1`;
      await publish(server, "a", data, `e: ${FORGED.slice(0, 5)}`);
      const [frame] = await stream.messages(1);
      const heard = format === "" ? frame!.data : (JSON.parse(frame!.data) as { data: string }).data;
      expect(heard).toBe(format === "" ? data.replaceAll(/\r\n?/g, "\n") : data);
    }
    // whitespace of JSON, which goes out as the text that was given
    const body = '{"channel":"a","data":{\r"a"\n:\r\n1\n\n}}';
    await post(server, "/chat/send", { body, headers: { "Content-Type": "application/json" } });
    const [frame] = await stream.messages(1);
    const value: unknown = JSON.parse(frame!.data);
    expect(format === "" ? value : (value as { data: unknown }).data).toEqual({ a: 1 });
    expect(stream.ids).toHaveLength(ENDS.length + 2); // with that of `socket:open`
    expect(stream.retries).toHaveLength(1);
  }
});

test("a position that is none is told in a gap as text, and can forge no field", async () => {
  await using server = await serve();
  await publish(server, "a", "x");
  for (const asked of ['x"}', "x\u0085y", "x\\n\\nid: 1", "é"]) {
    const sent = `GET /channel/a/stream HTTP/1.1\r\nHost: x\r\nAuthorization: key=${SECRET}\r\nLast-Event-ID: ${asked}\r\n\r\n`;
    const answer = await raw(server, Buffer.from(sent, "latin1"), /event: socket:live\ndata: .*\n\n/);
    const gap = /event: socket:gap\ndata: (.*)\n\n/.exec(answer)?.[1] ?? expect.unreachable(answer);
    expect(JSON.parse(gap)).toMatchObject({ reason: "unknown_position" });
    expect(answer.match(/^event: /gm)).toHaveLength(3); // open, gap, live
  }
});

test("a path, a Host or an Origin with escaped line ends makes no header of an answer", async () => {
  await using server = await serve({ settings: { SOCKET_CORS_ORIGINS: "https://a.example" } });
  const lines = [
    ["GET /channel/a%0d%0aX-Forged:%20y HTTP/1.1", "Host: x"],
    ["POST /channel/subscribe?channel=a%0d%0aX-Forged:y HTTP/1.1", "Host: x"],
    ["OPTIONS /%0d%0aX-Forged:%20y HTTP/1.1", "Host: x"],
    ["GET /stream?channel=a HTTP/1.1", "Host: x\r\nOrigin: https://a.example%0d%0aX-Forged: y"],
    ["POST /channel/subscribe?channel=a HTTP/1.1", "Host: x%0d%0aX-Forged: y"],
  ] as const;
  for (const [line, headers] of lines) {
    const bytes = `${line}\r\n${headers}\r\nAuthorization: key=${SECRET}\r\nContent-Length: 0\r\n\r\n`;
    const answer = await raw(server, bytes, WHOLE);
    expect(answer.slice(0, answer.indexOf("\r\n\r\n"))).not.toMatch(/^X-Forged/im);
  }
});
