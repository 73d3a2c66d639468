import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { elementsOf, JsonError, membersOf, parseJson, TooManyElements } from "../../src/core/json.ts";

const slices = (text: string, spans: readonly { start: number; end: number }[]): string[] =>
  spans.map((span) => text.slice(span.start, span.end));

/** Writes a value as JSON with white space drawn from `gaps`, so that the spans are not those of one formatter. */
function write(value: unknown, gap: () => string): string {
  if (Array.isArray(value)) return `[${gap()}${value.map((v) => write(v, gap)).join(`${gap()},${gap()}`)}${gap()}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}${gap()}:${gap()}${write(v, gap)}`);
    return `{${gap()}${members.join(`${gap()},${gap()}`)}${gap()}}`;
  }
  return JSON.stringify(value);
}

const nested = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`;

const object = (count: number): string => `{${Array.from({ length: count }, (_, i) => `"${i}":1`).join(",")}}`;

const took = (work: () => void): number => {
  const start = performance.now();
  work();
  return performance.now() - start;
};

const gaps = fc.array(fc.constantFrom("", " ", "\n", "\r\n", "\t "), { minLength: 1, maxLength: 7 });
const noProto = (value: unknown): boolean => !write(value, () => "").includes("__proto__");

describe("what stands in an object or an array", () => {
  test("a member's span is the exact text of its value", () => {
    const text = ' { "a" : 12345678901234567890 , "b":[1, 2] ,"c" : "x\\"}," } ';
    const { members, value } = parseJson(text, 32);
    expect(members.map((member) => member.key)).toEqual(["a", "b", "c"]);
    expect(slices(text, members)).toEqual(["12345678901234567890", "[1, 2]", '"x\\"},"']);
    expect(value).toEqual(JSON.parse(text));
  });

  test("an array's elements and the members of each can be found one after the other", () => {
    const text = '[ {"a":1.50}, [ ] ,"b" ]';
    const { elements, members } = parseJson(text, 32);
    expect(members).toEqual([]);
    expect(slices(text, elements)).toEqual(['{"a":1.50}', "[ ]", '"b"']);
    expect(slices(text, membersOf(text, elements[0]!))).toEqual(["1.50"]);
    expect(elementsOf(text, elements[1]!)).toEqual([]);
  });

  test("an empty object, an empty array and a bare value have neither members nor elements", () => {
    for (const text of ["{}", " { } ", "[]", "[ \n ]", "1", '"a,b:{"', "null"]) {
      expect(parseJson(text, 32)).toMatchObject({ members: [], elements: [] });
    }
  });

  test("a key that is given twice is told twice, also when one of them is escaped", () => {
    expect(parseJson('{"a":1,"\\u0061":2}', 32).members.map((member) => member.key)).toEqual(["a", "a"]);
  });

  test("any object: keys and values by their spans are those of JSON.parse", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue()), gaps, (object, spaces) => {
        fc.pre(noProto(object));
        let turn = 0;
        const text = write(object, () => spaces[turn++ % spaces.length]!);
        const json = parseJson(text, 0);
        const oracle = JSON.parse(text) as Record<string, unknown>;
        expect(json.value).toEqual(oracle);
        expect(json.members.map((member) => member.key)).toEqual(Object.entries(object).map(([key]) => key));
        for (const member of json.members) {
          expect(JSON.parse(text.slice(member.start, member.end))).toEqual(oracle[member.key]);
          expect(text.slice(member.start, member.end).trim().length).toBe(member.end - member.start);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("any array: elements by their spans are those of JSON.parse", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), gaps, (array, spaces) => {
        fc.pre(noProto(array));
        let turn = 0;
        const text = write(array, () => spaces[turn++ % spaces.length]!);
        expect(slices(text, parseJson(text, 0).elements).map((element) => JSON.parse(element) as unknown)).toEqual(
          JSON.parse(text) as unknown[],
        );
      }),
      { numRuns: 500 },
    );
  });
});

describe("what is refused", () => {
  test("any text: it is taken exactly when JSON.parse takes it", () => {
    const piece = fc.constantFrom("{", "}", "[", "]", ",", ":", '"', "\\", " ", "1", "a", '"a"', '"a":', "true", "\\u");
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece, { maxLength: 12 }).map((parts) => parts.join("")),
        ),
        (text) => {
          let valid = true;
          try {
            JSON.parse(text);
          } catch {
            valid = false;
          }
          if (valid) expect(parseJson(text, 0).value).toEqual(JSON.parse(text));
          else expect(() => parseJson(text, 0)).toThrow(JsonError);
        },
      ),
      { numRuns: 5000 },
    );
  });

  test("the key __proto__ is refused at every depth, in every spelling", () => {
    const escaped = "__proto__"
      .split("")
      .map((c) => `\\u00${c.charCodeAt(0).toString(16)}`)
      .join("");
    for (const text of [
      '{"__proto__":1}',
      '{"a":[{"b":{"__proto__" \n : {}}}]}',
      '[{"\\u005f_proto__":1}]',
      `{"a":{"${escaped}":1}}`,
      `{"${escaped.toUpperCase().replaceAll("\\U", "\\u")}":1}`,
    ]) {
      expect(() => parseJson(text, 32)).toThrow("__proto__");
    }
  });

  test("__proto__ as a value, or within a longer key, is only text", () => {
    const text = '{"a":"__proto__","b":["__proto__"],"x__proto__":"\\"__proto__\\":","constructor":1}';
    expect(parseJson(text, 32).members.map((member) => member.key)).toEqual(["a", "b", "x__proto__", "constructor"]);
  });

  test("nesting is taken up to the limit and refused one level deeper", () => {
    expect(parseJson(nested(32), 32).elements).toHaveLength(1);
    expect(() => parseJson(nested(33), 32)).toThrow("deeper than 32 levels");
    expect(() => parseJson(`{"data":${nested(32)}}`, 32)).toThrow(JsonError);
    expect(parseJson(`{"data":${JSON.stringify(nested(1000))}}`, 2).members).toHaveLength(1);
  });

  test("an object of more than 1,000 members is refused, deeper within it is not", () => {
    expect(parseJson(object(1000), 32).members).toHaveLength(1000);
    expect(() => parseJson(object(1001), 32)).toThrow("more than 1000 members");
    const within = `[${object(1001)}]`;
    expect(() => membersOf(within, parseJson(within, 32).elements[0]!)).toThrow(JsonError);
    expect(parseJson(`{"data":${object(1001)}}`, 32).members).toHaveLength(1);
  });

  test("an array of more elements than are taken is refused where that shows, deeper within it is not", () => {
    expect(parseJson("[1,[1,2,3],{}]", 32, 3).elements).toHaveLength(3);
    expect(() => parseJson("[1,[1,2,3],{},4", 32, 3)).toThrow("is not valid JSON");
    expect(() => parseJson("[1,[1,2,3],{},4, and so on", 32, 3)).toThrow(TooManyElements);
    expect(parseJson('{"a":[1,2]}', 32, 0).members).toHaveLength(1);
    expect(parseJson("[]", 32, 0).elements).toHaveLength(0);
  });

  test("the refusal repeats nothing of the text", () => {
    expect(() => parseJson("secret", 32)).toThrow(new JsonError("is not valid JSON"));
  });
});

describe("text made to cost much", () => {
  const mebibyte = 1_048_576;

  // Each is 1 MiB. A scan that looks at some part twice for every part takes minutes over them, a linear one some 10 ms.
  const texts: Record<string, string> = {
    "100,000 levels": '{"a":'.repeat(100_000),
    "a huge key": `{"${"k".repeat(mebibyte)}":1}`,
    "a huge escaped key": `{"${"\\u005f".repeat(mebibyte / 6)}":1}`,
    "many escaped quotes": `{"a":"${'\\"'.repeat(mebibyte / 2)}"}`,
    "many backslashes": `{"a":"${"\\\\".repeat(mebibyte / 2)}"}`,
    "an open string of backslashes": `{"a":"${"\\".repeat(mebibyte)}`,
    "many quotes": '"'.repeat(mebibyte),
    "the same key again and again": `{${'"a":1,'.repeat(mebibyte / 6)}"a":1}`,
    "white space everywhere": `{"a"${" ".repeat(mebibyte / 2)}:${" ".repeat(mebibyte / 2)}1}`,
    "white space after strings": `[${`"a"${" ".repeat(1000)},`.repeat(1000)}1]`,
  };
  for (const [name, text] of Object.entries(texts)) {
    test(`${name}: answered in linear time`, () => {
      const ms = took(() => {
        try {
          parseJson(text, 32);
        } catch (error) {
          expect(error).toBeInstanceOf(JsonError);
        }
      });
      expect(ms).toBeLessThan(1000);
    });
  }
});
