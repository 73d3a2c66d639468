import { ApiError } from "../core/errors.ts";

/** One `name=value` of a query string or an urlencoded form, decoded. */
export interface Pair {
  readonly name: string;
  readonly value: string;
}

/** More names than any request of this API has a use for; a megabyte of `a&a&a…` would hold the process up. */
const MAX_PAIRS = 1000;

/**
 * The pairs of `application/x-www-form-urlencoded` text in their order. As WHATWG URL section 5.1 has it (`+` is a
 * space, a name without `=` has the value ""), but strict: text that is not percent-encoded UTF-8 throws ApiError
 * `parameter_invalid` that names the parameter, because U+FFFD in its place would be another name or other data.
 */
export function pairsOf(text: string): Pair[] {
  const pairs: Pair[] = [];
  for (let start = 0; start < text.length;) {
    const ampersand = text.indexOf("&", start);
    const end = ampersand === -1 ? text.length : ampersand;
    if (end > start) {
      if (pairs.length === MAX_PAIRS) throw new ApiError("bad_request", `At most ${MAX_PAIRS} parameters are taken.`);
      pairs.push(pairOf(part(text, start, end)));
    }
    start = end + 1;
  }
  return pairs;
}

/** Null when the text is not percent-encoded UTF-8. */
function decodeStrict(text: string): string | null {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/**
 * `text.slice(start, end)` that does not keep a much longer text in memory. A slice shares its whole text: 300 kept
 * values of 15 characters, cut from bodies of 1 MB, held 300 MB.
 */
export function part(text: string, start: number, end: number): string {
  const slice = text.slice(start, end);
  return text.length > 4096 && slice.length < text.length / 2 ? Buffer.from(slice).toString() : slice;
}

function pairOf(piece: string): Pair {
  const equals = piece.indexOf("=");
  const rawName = equals === -1 ? piece : piece.slice(0, equals);
  const name = decodePlus(rawName);
  const value = equals === -1 ? "" : decodePlus(piece.slice(equals + 1));
  if (name === null || value === null) {
    const shown = (name ?? rawName).slice(0, 100).toWellFormed();
    throw new ApiError("parameter_invalid", `\`${shown}\` is not percent-encoded UTF-8.`, shown);
  }
  return { name, value };
}

function decodePlus(text: string): string | null {
  return decodeStrict(text.includes("+") ? text.replaceAll("+", " ") : text);
}
