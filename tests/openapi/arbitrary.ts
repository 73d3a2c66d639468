import * as fc from "fast-check";
import { misfit, type Schema } from "./document.ts";

/** Numbers without a bound of their own are small ones. */
const MOST = 1000;

/** What no parameter takes, or only some do. */
export const JUNK: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1.5,
    "",
    " ",
    "a b",
    "*",
    "a*",
    "**.a",
    "socket:a",
    "error",
    "open",
    [],
    {},
  ),
  fc.constantFrom<unknown>("x".repeat(201), "a\nb", "1e3", "01", "-1", 1e300, ["a", 1], [["a"]], { a: { b: [] } }),
  fc.jsonValue({ maxDepth: 2 }),
  fc.string({ maxLength: 20 }),
);

/** Values that fit a schema, of the keywords that the document uses; throws for any other. */
export function fitting(schema: Schema): fc.Arbitrary<unknown> {
  const { anyOf, allOf, type } = schema as { anyOf?: readonly Schema[]; allOf?: readonly Schema[]; type?: string };
  if ("const" in schema) return fc.constant(schema["const"]);
  if (anyOf !== undefined) return fc.oneof(...anyOf.map(fitting));
  if (allOf?.length === 1) return fitting(allOf[0]!);
  switch (type) {
    case undefined:
      return fc.jsonValue({ maxDepth: 4 });
    case "null":
      return fc.constant(null);
    case "string":
      return text(schema);
    case "integer": {
      const { minimum = 0, maximum } = schema as { minimum?: number; maximum?: number };
      return fc.integer({ min: minimum, max: Math.min(maximum ?? MOST, MOST) });
    }
    case "array": {
      const { items, minItems = 0 } = schema as { items: Schema; minItems?: number };
      return fc.array(fitting(items), { minLength: minItems, maxLength: 5 });
    }
    case "object": {
      const { properties, required = [] } = schema as { properties: Record<string, Schema>; required?: string[] };
      const parts = Object.entries(properties).map(([name, part]) => [name, fitting(part)] as const);
      return fc.record(Object.fromEntries(parts), { requiredKeys: required });
    }
    default:
      throw new Error(`There are no values of ${JSON.stringify(schema)}.`);
  }
}

function text(schema: Schema): fc.Arbitrary<string> {
  const {
    pattern,
    minLength = 0,
    format,
    examples,
  } = schema as {
    pattern?: string;
    minLength?: number;
    format?: string;
    examples?: readonly string[];
  };
  if (format === "date-time") {
    return fc
      .date({ min: new Date(0), max: new Date("2099-12-31"), noInvalidDate: true })
      .map((at) => at.toISOString());
  }
  const simple = pattern !== undefined && !pattern.includes("(?");
  if (simple) return fc.stringMatching(new RegExp(pattern, "u"));
  const any = fc.string({ minLength, maxLength: 30, unit: pattern === undefined ? "grapheme" : "grapheme-ascii" });
  return fc.oneof(fc.constantFrom(...(examples ?? ["a"])), any).filter((value) => misfit(schema, value) === null);
}

/** Values that fit, and ones that were made not to at one place, or everywhere. */
export function nearly(schema: Schema): fc.Arbitrary<unknown> {
  const good = fitting(schema);
  const spoiled = fc.tuple(good, JUNK, fc.nat()).map(([value, junk, place]) => spoil(value, junk, place));
  return fc.oneof({ weight: 4, arbitrary: good }, { weight: 4, arbitrary: spoiled }, { weight: 1, arbitrary: JUNK });
}

/** Puts junk in the place of one member or element, or drops it. */
function spoil(value: unknown, junk: unknown, place: number): unknown {
  if (Array.isArray(value) && value.length > 0) {
    const i = place % value.length;
    return value.with(i, spoil(value[i], junk, Math.floor(place / value.length)));
  }
  if (typeof value !== "object" || value === null) return junk;
  const keys = Object.keys(value);
  const key = keys[place % keys.length];
  if (key === undefined) return junk;
  const { [key]: _dropped, ...rest } = value as Record<string, unknown>;
  return place % 5 === 0 ? rest : { ...value, [key]: junk };
}
