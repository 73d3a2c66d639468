import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { ApiError, type ErrorType } from "../../src/core/errors.ts";
import { BodyRoom } from "../../src/http/body-room.ts";
import { type Parameters, queryParameters, readParameters } from "../../src/http/parameters.ts";

const LIMITS = { maxBodyBytes: 100_000, maxJsonDepth: 32, room: new BodyRoom(100_000) };
const FORM = "application/x-www-form-urlencoded";

interface Sent {
  readonly query?: string;
  readonly type?: string | undefined;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

function read({ query = "", type, body }: Sent): Promise<Parameters> {
  const request = new Request(`http://127.0.0.1/x${query}`, { method: "POST", body: body ?? null });
  request.headers.delete("Content-Type");
  if (type !== undefined) request.headers.set("Content-Type", type);
  return readParameters(request, LIMITS);
}

const json = (body: string): Promise<Parameters> => read({ type: "application/json", body });
const form = (body: string): Promise<Parameters> => read({ type: FORM, body });
const query = (text: string): Parameters => queryParameters(`http://127.0.0.1/x?${text}`);

async function refused(work: () => unknown, type: ErrorType, field?: string): Promise<string> {
  const error: unknown = await (async () => work())().then(
    () => expect.unreachable("it was taken"),
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(ApiError);
  const { type: got, field: at, detail } = error as ApiError;
  expect({ type: got, field: at }).toEqual({ type, field });
  return detail;
}

describe("a query string", () => {
  test("any names and values: they are read as they were encoded", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1 });
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(text, text), { selector: ([name]) => name }), (pairs) => {
        const given = query(new URLSearchParams(pairs).toString());
        for (const [name, value] of pairs) expect(given.text(name)).toBe(value);
      }),
    );
  });

  test("`+` is a space, a name without `=` is empty, `&&` is nothing, a fragment is no part of it", () => {
    const given = query("a+b=c+d%2B&&e&f=&g==&=h#i=j");
    expect(["a b", "e", "f", "g", "", "i"].map((name) => given.text(name))).toEqual([
      "c d+",
      "",
      "",
      "=",
      "h",
      undefined,
    ]);
  });

  test("that is not percent-encoded UTF-8 is refused, with the parameter's name", async () => {
    for (const bad of ["%ff", "%c0%80", "%ed%a0%80", "%", "%2", "%zz", "a%E2%82"]) {
      await refused(() => query(`x=1&data=${bad}`), "parameter_invalid", "data");
    }
    await refused(() => query("%ff=1"), "parameter_invalid", "%ff");
  });

  test("with thousands of parameters is refused at once", async () => {
    expect(query("a&".repeat(1000)).list("a")).toHaveLength(1000);
    await refused(() => query("a&".repeat(1001)), "bad_request");
    await refused(() => form("a&".repeat(50_000)), "bad_request");
  });
});

describe("a body", () => {
  test("is a JSON object, a form or nothing", async () => {
    expect((await json('{"a":"b"}')).text("a")).toBe("b");
    expect((await form("a=b")).text("a")).toBe("b");
    expect((await read({ query: "?a=b" })).text("a")).toBe("b");
    expect((await read({ query: "?a=b", type: "application/json" })).text("a")).toBe("b");
  });

  test("may say that it is UTF-8, in any spelling", async () => {
    for (const charset of ["utf-8", "UTF-8", '"utf-8"', "utf8"]) {
      expect((await read({ type: `Application/JSON ;  Charset=${charset}`, body: '{"a":"é"}' })).text("a")).toBe("é");
    }
  });

  test("of another content type, charset or without one is refused", async () => {
    for (const type of [
      undefined,
      "text/plain",
      "application/xml",
      "application/jsonp",
      "application/json, text/plain",
      "application/json; charset=latin1",
      `${FORM};charset=utf-16`,
      "",
    ]) {
      await refused(() => read({ type, body: "{}" }), "unsupported_media_type");
    }
  });

  test("that is multipart is refused by name and not read", async () => {
    const body = '--b\r\nContent-Disposition: form-data; name="a[4294967290].x"\r\n\r\n1\r\n--b--';
    const detail = await refused(
      () => read({ type: "multipart/form-data; boundary=b", body }),
      "unsupported_media_type",
    );
    expect(detail).toContain("multipart");
  });

  test("that is broken JSON, too deep, no object, or has a __proto__ key is refused", async () => {
    const deep = `{"data":${"[".repeat(32)}${"]".repeat(32)}}`;
    const bad = ["{", '{"a":1', "{'a':1}", " ", "null", "1", '"a"', "[]", '{"a":[{"__proto__":{}}]}', deep, '{"a":01}'];
    for (const body of [...bad, '{"\\u005f_proto__":1}', '{"a":"\n"}', "[".repeat(50_000)]) {
      await refused(() => json(body), "body_invalid");
    }
  });

  test("that is not UTF-8 is refused, raw or percent-encoded", async () => {
    const bytes = new Uint8Array([...Buffer.from('{"a":"'), 0xff, ...Buffer.from('"}')]);
    await refused(() => read({ type: "application/json", body: bytes }), "body_invalid");
    await refused(() => read({ type: FORM, body: new Uint8Array([0x61, 0x3d, 0xc3]) }), "body_invalid");
    await refused(() => form("a=%ff"), "parameter_invalid", "a");
  });
});

describe("a parameter", () => {
  test("given twice, in one place or in two, is refused with the places", async () => {
    expect(await refused(() => query("a=1&a=1").text("a"), "parameter_repeated", "a")).toContain("twice in the query");
    const inForm = await form("a=1&b=2&%61=1");
    expect(await refused(() => inForm.text("a"), "parameter_repeated", "a")).toContain("twice in the body");
    const inJson = await json('{"a":1,"\\u0061":null}');
    expect(await refused(() => inJson.text("a"), "parameter_repeated", "a")).toContain("twice in the body");
    for (const sent of [
      { query: "?a=1", type: FORM, body: "a=1" },
      { query: "?a=1", type: "application/json", body: '{"a":null}' },
    ]) {
      const both = await read(sent);
      const where = "in the query and in the body";
      expect(await refused(() => both.text("a"), "parameter_repeated", "a")).toContain(where);
      expect(await refused(() => both.list("a"), "parameter_repeated", "a")).toContain(where);
      expect(both.place("a")).toBe("query");
    }
  });

  test("is absent under the names that every object has", async () => {
    for (const given of [await json("{}"), query("")]) {
      for (const name of ["constructor", "toString", "__proto__"]) {
        expect(given.text(name)).toBeUndefined();
        expect(given.place(name)).toBeUndefined();
      }
    }
  });

  test("tells the place where it was given", async () => {
    const given = await read({ query: "?a=1", type: "application/json", body: '{"b":1}' });
    expect([given.place("a"), given.place("b"), given.place("c")]).toEqual(["query", "body", undefined]);
  });
});

describe("a text", () => {
  test("of JSON null is absent, and any other value but a string is refused", async () => {
    expect((await json('{"a":null}')).text("a")).toBeUndefined();
    for (const value of ["1", "true", "{}", "[]", '"\\ud800"']) {
      const given = await json(`{"a":${value}}`);
      await refused(() => given.text("a"), "parameter_invalid", "a");
      await refused(() => given.text("a", "channel_invalid"), "channel_invalid", "a");
    }
  });
});

describe("a list", () => {
  test("is what is repeated in a query or form, or a JSON array of strings, or one string", async () => {
    expect(query("a=1&b=x&a=2").list("a")).toEqual(["1", "2"]);
    expect((await form("a=1&a=2")).list("a")).toEqual(["1", "2"]);
    expect((await json('{"a":["1","2"]}')).list("a")).toEqual(["1", "2"]);
    expect((await json('{"a":"1"}')).list("a")).toEqual(["1"]);
    expect((await json('{"a":[]}')).list("a")).toEqual([]);
    for (const absent of [query(""), await json('{"a":null}')]) expect(absent.list("a")).toBeUndefined();
  });

  test("of anything but strings is refused, and told which", async () => {
    for (const [value, field] of [
      ["1", "a"],
      ["{}", "a"],
      ['["1",2]', "a[1]"],
      ['[["1"]]', "a[0]"],
      ['["\\ud800"]', "a[0]"],
    ] as const) {
      const given = await json(`{"a":${value}}`);
      await refused(() => given.list("a", "channel_invalid"), "channel_invalid", field);
    }
    const twice = await json('{"a":"1","a":"2"}');
    await refused(() => twice.list("a"), "parameter_repeated", "a");
  });
});

describe("a whole number", () => {
  test("is a JSON number, or digits in a query or form, within its bounds", async () => {
    expect(query("a=60").integer("a", 1, 100)).toBe(60);
    expect(query("a=0").integer("a", 0, 100)).toBe(0);
    expect((await json('{"a":60}')).integer("a", 1, 60)).toBe(60);
    for (const absent of [query(""), await json('{"a":null}')]) expect(absent.integer("a", 1, 100)).toBeUndefined();
  });

  test("of any other form, or out of its bounds, is refused", async () => {
    for (const text of [
      "",
      "0",
      "101",
      "-1",
      "1.5",
      "1e1",
      "0x10",
      "01",
      "+5",
      "%2B5",
      "5%20",
      "NaN",
      "9".repeat(30),
    ]) {
      await refused(() => query(`a=${text}`).integer("a", 1, 100), "parameter_invalid", "a");
    }
    for (const value of ["0", "101", "1.5", '"60"', "true", "[60]", "1e400"]) {
      const given = await json(`{"a":${value}}`);
      await refused(() => given.integer("a", 1, 100), "parameter_invalid", "a");
    }
  });
});
