import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { FOREIGN, formatPosition, parsePosition } from "../../src/core/position.ts";

test("a position is read as it was written", () => {
  const epoch = fc.stringMatching(/^[0-9a-z]{1,32}$/);
  fc.assert(
    fc.property(epoch, fc.maxSafeNat(), (epoch, seq) => {
      expect(parsePosition(formatPosition({ epoch, seq }))).toEqual({ epoch, seq });
    }),
  );
});

test("a position is written in one way only, so that what parses is what was given out", () => {
  const character = fc.constantFrom("a", "z", "0", "1", "9", "-", ".", " ", "+", "e");
  fc.assert(
    fc.property(fc.array(character, { maxLength: 24 }), (characters) => {
      const text = characters.join("");
      const position = parsePosition(text);
      if (position !== null) expect(formatPosition(position)).toBe(text);
    }),
    { numRuns: 5000 },
  );
});

test("text that is no position of ours is none", () => {
  const foreign = [
    "",
    "42",
    "-1",
    "a-",
    "a-01",
    "a--1",
    "a-1 ",
    " a-1",
    "A-1",
    "a-1\n",
    "a-1e3",
    "a-1.5",
    "a:1",
    "é-1",
  ];
  for (const text of [...foreign, `a-${Number.MAX_SAFE_INTEGER + 1}`, `a-${"9".repeat(17)}`, `${"a".repeat(33)}-1`]) {
    expect(parsePosition(text)).toBeNull();
  }
});

test("a wire id needs no preflight in a Last-Event-ID header: 128 bytes at most, no CORS-unsafe byte", () => {
  const longest = formatPosition({ epoch: "z".repeat(32), seq: Number.MAX_SAFE_INTEGER });
  expect(longest.length).toBeLessThanOrEqual(128);
  expect(longest).toMatch(/^[0-9a-z-]+$/);
});

test("the foreign position is one that nobody can present", () => {
  expect(parsePosition(formatPosition(FOREIGN))).toBeNull();
});
