import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { covers, isChannel, isPattern, selectionOf, selects } from "../../src/core/channel.ts";

describe("a channel name", () => {
  test("takes printable ASCII but space and `*`, up to 200 characters", () => {
    for (const name of ["a", "room.1", "!~", "a/b?c#d%e", "..", "a".repeat(200)]) expect(isChannel(name)).toBe(true);
    for (const name of [
      "",
      "a b",
      "room.*",
      "a".repeat(201),
      "é",
      "a\u0000",
      "a\nb",
      "a\r",
      "a\n",
      "\u007f",
      "\ud800",
    ]) {
      expect(isChannel(name)).toBe(false);
    }
  });
});

describe("a pattern", () => {
  test("has whole segments that are `*`, and `**` only as the last", () => {
    for (const pattern of ["*", "**", "room.*", "*.1", "room.*.chat", "room.**", "*.**"]) {
      expect(isPattern(pattern)).toBe(true);
    }
    for (const pattern of ["room.1", "", "room*", "ro*m.1", "**.a", "room.***", "a *", `${"a".repeat(199)}.*`]) {
      expect(isPattern(pattern)).toBe(false);
    }
  });

  test("is no channel name", () => {
    fc.assert(fc.property(fc.string(), (text) => !(isPattern(text) && isChannel(text))));
  });
});

describe("a grant", () => {
  test("of a name covers that name and no pattern", () => {
    expect(covers("room.1", "room.1")).toBe(true);
    for (const wanted of ["room.2", "room", "room.1.chat", "room.*", "**"])
      expect(covers("room.1", wanted)).toBe(false);
  });

  test("of `*` covers exactly one segment", () => {
    expect(covers("room.*", "room.1")).toBe(true);
    expect(covers("room.*", "room.*")).toBe(true);
    for (const wanted of ["room", "room.1.chat", "room.**", "hall.1", "*.1", "*"]) {
      expect(covers("room.*", wanted)).toBe(false);
    }
  });

  test("of `**` covers the rest, which is one segment or more", () => {
    for (const wanted of ["room.1", "room.1.chat", "room.*", "room.**", "room.*.chat"]) {
      expect(covers("room.**", wanted)).toBe(true);
    }
    for (const wanted of ["room", "hall.1", "**", "*.1"]) expect(covers("room.**", wanted)).toBe(false);
  });

  const segment = fc.constantFrom("a", "b", "*");
  const pattern = fc
    .tuple(fc.array(segment, { maxLength: 3 }), fc.constantFrom("a", "b", "*", "**"))
    .map(([head, last]) => [...head, last].join("."));
  const name = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 5 }).map((parts) => parts.join("."));

  test("covers a pattern exactly when it covers every name that the pattern covers", () => {
    // Names of "a", "b", "c" up to five segments tell any two of these patterns apart: "c" stands for "some other".
    const names: string[] = [""];
    for (let i = 0; names[i]!.split(".").length <= 5; i++) {
      for (const c of ["a", "b", "c"]) names.push(names[i] === "" ? c : `${names[i]}.${c}`);
    }
    const all = names.filter((text) => text !== "" && text.split(".").length <= 5);
    fc.assert(
      fc.property(pattern, pattern, (granted, wanted) => {
        const implied = all.every((channel) => !covers(wanted, channel) || covers(granted, channel));
        expect(covers(granted, wanted)).toBe(implied);
      }),
      { numRuns: 500 },
    );
  });

  test("covers a name exactly when the pattern, as a regular expression, matches it", () => {
    fc.assert(
      fc.property(pattern, name, (granted, channel) => {
        const source = granted.replaceAll(".", "\\.").replace("**", "@").replaceAll("*", "[^.]+").replace("@", ".+");
        expect(covers(granted, channel)).toBe(new RegExp(`^${source}$`).test(channel));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("a selection", () => {
  test("has one key, whatever the order and however often a name is given", () => {
    const selection = selectionOf(["b", "room.*", "a", "b"]);
    expect(selection).toEqual({ channels: ["a", "b"], patterns: ["room.*"], key: "a b room.*" });
    expect(selectionOf(["room.*", "a", "b"]).key).toBe(selection.key);
  });

  test("selects the channels that it names and those that its patterns cover", () => {
    const selection = selectionOf(["news", "room.*"]);
    expect(["news", "room.1", "room", "room.1.chat", "new"].map((name) => selects(selection, name))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});
