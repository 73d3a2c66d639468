import { ApiError, type ErrorType } from "../core/errors.ts";
import { type Member, membersOf, type Span } from "../core/json.ts";
import { part } from "./urlencoded.ts";

/** One value, found in one place. */
export interface Given {
  /** As the caller would write it: `channel`, `body[3].event`. */
  readonly field: string;
  readonly place: Place;
  /** The text, or what JSON.parse gives. */
  readonly value: unknown;
  /** Gives the exact JSON text of the value; null in a query or form, whose values are text and never parsed. */
  readonly json: (() => string) | null;
}

export type Place = "query" | "body";

/** Named values: the parameters of a request, or one object of a batch. */
export interface Fields {
  /** Undefined when it is absent. Throws ApiError `parameter_repeated` when it is given more than once. */
  given(name: string): Given | undefined;
  /** What errors call the value of that name. */
  field(name: string): string;
}

/** The members of one JSON object within a text that was parsed. */
export class JsonFields implements Fields {
  readonly #text: string;
  readonly #value: Record<string, unknown>;
  readonly #members: readonly Member[];
  readonly #prefix: string;

  /** `prefix` stands before the names in errors: `body[3].`. Default "". Throws JsonError as `membersOf` does. */
  constructor(text: string, value: unknown, at: Span | readonly Member[], prefix = "") {
    this.#text = text;
    this.#value = value as Record<string, unknown>;
    this.#members = "start" in at ? membersOf(text, at) : at;
    this.#prefix = prefix;
  }

  field(name: string): string {
    return this.#prefix + name;
  }

  has(name: string): boolean {
    return this.#members.some((member) => member.key === name);
  }

  given(name: string): Given | undefined {
    let found: Member | undefined;
    for (const member of this.#members) {
      if (member.key !== name) continue;
      if (found !== undefined) throw repeated(this.field(name), "twice in the body");
      found = member;
    }
    if (found === undefined) return undefined;
    const { start, end } = found;
    const json = (): string => part(this.#text, start, end);
    return { field: this.field(name), place: "body", value: this.#value[name], json };
  }
}

/**
 * The text that was given; undefined when it is absent, or null in JSON. Throws ApiError of `type` for a value that is
 * no string, or that holds half a surrogate pair, which no UTF-8 can carry.
 */
export function textOf(
  given: Given | undefined,
  type: ErrorType = "parameter_invalid",
  takes = "a string",
): string | undefined {
  if (given === undefined || given.value === null) return undefined;
  if (typeof given.value !== "string") throw new ApiError(type, `\`${given.field}\` takes ${takes}.`, given.field);
  if (given.value.isWellFormed()) return given.value;
  throw new ApiError(type, `\`${given.field}\` holds half a surrogate pair, which is no character.`, given.field);
}

/** `where` is a phrase: `twice in the query`. */
export function repeated(field: string, where: string): ApiError {
  return new ApiError("parameter_repeated", `\`${field}\` is given ${where}.`, field);
}
