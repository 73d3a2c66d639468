import { describe, expect, test } from "bun:test";
import { ApiError, type ErrorType } from "../../src/core/errors.ts";
import type { Draft } from "../../src/core/message.ts";
import { batchFrom, draftFrom } from "../../src/http/draft.ts";
import { BodyRoom } from "../../src/http/body-room.ts";
import { readParameters } from "../../src/http/parameters.ts";

const LIMITS = {
  maxBodyBytes: 1_048_576,
  maxJsonDepth: 32,
  room: new BodyRoom(1_048_576),
  maxDataBytes: 100,
  maxBatch: 3,
};

function post(body: string | null, type = "application/json", query = ""): Request {
  const headers: Record<string, string> = body === null ? {} : { "Content-Type": type };
  return new Request(`http://127.0.0.1/chat/send${query}`, { method: "POST", body, headers });
}

async function draft(request: Request): Promise<Draft> {
  return draftFrom(await readParameters(request, LIMITS), LIMITS);
}

async function batch(request: Request): Promise<Draft[]> {
  return batchFrom(await readParameters(request, LIMITS, LIMITS), LIMITS);
}

const FORM = "application/x-www-form-urlencoded";
const json = (text: string): Promise<Draft> => draft(post(text));
const form = (text: string): Promise<Draft> => draft(post(text, FORM));
const query = (text: string): Promise<Draft> => draft(post(null, "", `?${text}`));

const bad = (element: string): Promise<Draft[]> => batch(post(`[{"channel":"a"},${element}]`));

async function refused(work: Promise<unknown>, type: ErrorType, field: string): Promise<void> {
  const error = await work.then(
    (value) => expect.unreachable(`taken as ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApiError);
  expect({ type: (error as ApiError).type, field: (error as ApiError).field }).toEqual({ type, field });
}

describe("a draft", () => {
  test("is the same from a query, a form and JSON", async () => {
    const expected: Draft = { channel: "room.1", event: "chat", data: "a b&c=é\n", json: false };
    expect(await query("channel=room.1&event=chat&data=a+b%26c=%C3%A9%0A")).toEqual(expected);
    expect(await form("channel=room.1&event=chat&data=a+b%26c=%C3%A9%0A")).toEqual(expected);
    expect(await json('{"channel":"room.1","event":"chat","data":"a b&c=\\u00e9\\n"}')).toEqual(expected);
  });

  test("can have its parts in different places", async () => {
    expect(await draft(post('{"data":[1]}', "application/json", "?channel=a&event=e"))).toEqual({
      channel: "a",
      event: "e",
      data: "[1]",
      json: true,
    });
  });

  test("ignores unknown parameters, also repeated ones", async () => {
    expect(await query("channel=a&x=1&x=2&toString=3")).toMatchObject({ channel: "a" });
    expect(await json('{"channel":"a","x":1,"x":2,"constructor":{}}')).toMatchObject({ channel: "a" });
  });
});

describe("data", () => {
  test("of JSON that is a string is its characters", async () => {
    expect(await json('{"channel":"a","data":"{\\"a\\":1}"}')).toMatchObject({ data: '{"a":1}', json: false });
  });

  test("of JSON that is no string is the text that was given, with every digit and space", async () => {
    for (const data of ["12345678901234567890", "1e400", "1.50", '{ "a":[1 ,2],"a":3 }', "true", "null", "-0"]) {
      expect(await json(`{"channel":"a" , "data" : ${data} }`)).toMatchObject({ data, json: true });
    }
  });

  test("of a query or form is text, never parsed", async () => {
    for (const read of [query, form]) {
      expect(await read("channel=a&data=%7B%22a%22:1%7D")).toMatchObject({ data: '{"a":1}', json: false });
      expect(await read("channel=a&data=null")).toMatchObject({ data: "null", json: false });
    }
  });

  test("that is absent is empty", async () => {
    for (const read of [json('{"channel":"a"}'), query("channel=a"), query("channel=a&data")]) {
      expect(await read).toMatchObject({ data: "", json: false });
    }
  });

  test("is limited in bytes of UTF-8, whatever its form", async () => {
    expect(await query(`channel=a&data=${"x".repeat(100)}`)).toMatchObject({ data: "x".repeat(100) });
    expect(await json(`{"channel":"a","data":"${"é".repeat(50)}"}`)).toMatchObject({ data: "é".repeat(50) });
    await refused(query(`channel=a&data=${"x".repeat(101)}`), "payload_too_large", "data");
    await refused(json(`{"channel":"a","data":"${"é".repeat(51)}"}`), "payload_too_large", "data");
    await refused(json(`{"channel":"a","data":[${" ".repeat(99)}]}`), "payload_too_large", "data");
  });

  test("with half a surrogate pair is refused, and a whole pair is not", async () => {
    await refused(json('{"channel":"a","data":"\\ud800"}'), "data_invalid", "data");
    const told = await json('{"channel":"a","data":"\\ud800"}').catch((error: unknown) => (error as Error).message);
    expect(told).toContain("half a surrogate pair");
    expect(await json('{"channel":"a","data":"\\ud83d\\ude00"}')).toMatchObject({ data: "😀" });
  });

  test("that is kept does not hold its whole request in memory", async () => {
    const kept: Draft[] = [];
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 80; i++) {
      const filler = "x".repeat(1_000_000);
      kept.push(await json(`{"channel":"room.number.${i}","data":[${i},1234567890],"filler":"${filler}"}`));
      kept.push(await form(`channel=room.number.${i}&data=text+of+${i}&filler=${filler}`));
      if (i % 5 === 4) Bun.gc(true);
    }
    Bun.gc(true);
    expect(kept).toHaveLength(160);
    expect(process.memoryUsage.rss() - before).toBeLessThan(80_000_000); // 160 MB when each is held
  });
});

describe("an event", () => {
  test("that is absent, null or `message` is the default", async () => {
    for (const read of [
      json('{"channel":"a"}'),
      json('{"channel":"a","event":null}'),
      json('{"channel":"a","event":"message"}'),
      query("channel=a&event=message"),
    ]) {
      expect(await read).toMatchObject({ event: null });
    }
  });

  test("takes up to 200 characters of any script", async () => {
    for (const event of ["a", " a", "é".repeat(200), "😀".repeat(200), "sockets", "opened", "a\u2028b"]) {
      expect(await json(JSON.stringify({ channel: "a", event }))).toMatchObject({ event });
    }
  });

  test("is refused when it would break the stream's lines, or is not of 1 to 200 characters", async () => {
    const bad = ["", "a\rb", "a\nb", "a\u0000", "\t", "\u007f", "\u0085", "\ud800", "x".repeat(201), "😀".repeat(201)];
    for (const event of bad) {
      await refused(json(JSON.stringify({ channel: "a", event })), "event_invalid", "event");
    }
    for (const event of ["", "a%0D", "a%0a", "%00"]) {
      await refused(query(`channel=a&event=${event}`), "event_invalid", "event");
    }
  });

  test("of the service, or of EventSource, is refused", async () => {
    for (const event of ["socket:", "socket:close", "error", "open"]) {
      await refused(form(`channel=a&event=${event}`), "event_invalid", "event");
    }
  });

  test("that is no string is refused", async () => {
    for (const event of ["1", "false", "{}", '["a"]']) {
      await refused(json(`{"channel":"a","event":${event}}`), "event_invalid", "event");
    }
  });
});

describe("a channel", () => {
  test("that is absent, null or no string is refused", async () => {
    for (const text of ["{}", '{"channel":null}', '{"channel":1}', '{"channel":["a"]}', '{"channel":{}}']) {
      await refused(json(text), "channel_invalid", "channel");
    }
    await refused(query(""), "channel_invalid", "channel");
    await refused(draft(post(null)), "channel_invalid", "channel");
  });

  test("with a bad name is refused", async () => {
    for (const name of ["", "a%20b", "a+b", "room.*", "**", "a%0D", "a%0A", "a%00", "%C3%A9", "x".repeat(201)]) {
      await refused(query(`channel=${name}`), "channel_invalid", "channel");
    }
    await refused(json('{"channel":"a\\ud800"}'), "channel_invalid", "channel");
  });
});

describe("a batch", () => {
  const two = '[{"channel":"a","data":12345678901234567890},{"channel":"b","event":"e"}]';
  const drafts: Draft[] = [
    { channel: "a", event: null, data: "12345678901234567890", json: true },
    { channel: "b", event: "e", data: "", json: false },
  ];

  test("is the JSON body itself, or `body` in a JSON object, a query or a form", async () => {
    expect(await batch(post(two))).toEqual(drafts);
    expect(await batch(post(`{ "x":[], "body" : ${two} }`))).toEqual(drafts);
    expect(await batch(post(`body=${encodeURIComponent(two)}`, FORM))).toEqual(drafts);
    expect(await batch(post(null, "", `?body=${encodeURIComponent(two)}`))).toEqual(drafts);
  });

  test("of nothing is taken", async () => {
    for (const request of [post("[]"), post('{"body":[ ]}'), post("body=[]", FORM), post(null, "", "?body=[]")]) {
      expect(await batch(request)).toEqual([]);
    }
  });

  test("that is absent or no array is refused", async () => {
    const bodies = ["{}", '{"body":null}', '{"body":{}}', '{"body":"[]"}', '{"body":1}'].map((body) => post(body));
    const texts = ["{}", "null", "1", "", "[", "[}", '[{"__proto__":1}]', "[".repeat(33) + "]".repeat(33)];
    const queries = texts.map((text) => post(null, "", `?body=${encodeURIComponent(text)}`));
    for (const request of [post(null), ...bodies, ...queries]) await refused(batch(request), "batch_invalid", "body");
  });

  test("that is too long is refused", async () => {
    const message = '{"channel":"a"}';
    expect(await batch(post(`[${message},${message},${message}]`))).toHaveLength(3);
    await refused(batch(post(`[${message},${message},${message},${message}]`)), "batch_invalid", "body");
  });

  test("given in two places is refused", async () => {
    await refused(batch(post(two, "application/json", "?body=[]")), "parameter_repeated", "body");
    await refused(batch(post('{"body":[],"body":[]}')), "parameter_repeated", "body");
    await refused(batch(post("body=[]&body=[]", FORM)), "parameter_repeated", "body");
  });

  test("with one bad message is refused, and told which", async () => {
    for (const element of ["1", "null", '"a"', "[]"]) await refused(bad(element), "batch_invalid", "body[1]");
    await refused(bad(`{${'"x":1,'.repeat(1000)}"channel":"a"}`), "batch_invalid", "body[1]");
    await refused(bad("{}"), "channel_invalid", "body[1].channel");
    await refused(bad('{"channel":"a","event":"a\\nb"}'), "event_invalid", "body[1].event");
    await refused(bad('{"channel":"a","data":"\\udc00"}'), "data_invalid", "body[1].data");
    await refused(bad(`{"channel":"a","data":"${"x".repeat(101)}"}`), "payload_too_large", "body[1].data");
    await refused(bad('{"channel":"a","\\u0064ata":1,"data":2}'), "parameter_repeated", "body[1].data");
  });

  test("does not take the parameters of a single message", async () => {
    await refused(batch(post('[{"data":1}]', "application/json", "?channel=a")), "channel_invalid", "body[0].channel");
  });
});
