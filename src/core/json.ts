/**
 * JSON text whose values keep the exact text that was given, so that a 64-bit number keeps its digits.
 *
 * `JSON.parse` decides what is valid. A scan before it costs one pass and refuses what parsing would make dangerous:
 * nesting that later recursion cannot bear, and `__proto__` keys.
 */
export interface Span {
  /** The value is `text.slice(start, end)`, without white space around it. */
  readonly start: number;
  readonly end: number;
}

export interface Member extends Span {
  /** Decoded: escapes are resolved. */
  readonly key: string;
}

export interface Json {
  readonly text: string;
  /** What `JSON.parse` gives. */
  readonly value: unknown;
  /** Of a top-level object, in the order of the text; a key that was given twice is here twice. Else empty. */
  readonly members: readonly Member[];
  /** Of a top-level array. Else empty. */
  readonly elements: readonly Span[];
}

/** The text is not JSON that we take. The message goes on from the name of the text: `is not valid JSON`. It holds none of the text. */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

/** The top-level array has more elements than are taken. */
export class TooManyElements extends JsonError {}

/**
 * Parses JSON and finds the spans of the top-level object or array.
 *
 * Takes time linear in the text. `maxDepth` counts objects and arrays within each other, the outermost is 1; 0 means no
 * limit. Throws JsonError when the text is not valid, nests deeper, has a key, at any depth, that is `__proto__`, or is an
 * object of more than 1,000 members; TooManyElements as soon as the array has more than `maxElements`, because to parse
 * a megabyte of small ones takes 40 ms.
 */
export function parseJson(text: string, maxDepth: number, maxElements = Infinity): Json {
  const members: Member[] = [];
  const elements: Span[] = [];
  scan(text, 0, text.length, maxDepth === 0 ? Infinity : maxDepth, members, elements, maxElements);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new JsonError("is not valid JSON");
  }
  return { text, value, members, elements };
}

/**
 * The members of an object that stands at `span` within text that was parsed already. Throws JsonError when there are
 * more than 1,000.
 */
export function membersOf(text: string, span: Span): Member[] {
  const members: Member[] = [];
  scan(text, span.start, span.end, Infinity, members, []);
  return members;
}

/** The elements of an array that stands at `span` within text that was parsed already. */
export function elementsOf(text: string, span: Span): Span[] {
  const elements: Span[] = [];
  scan(text, span.start, span.end, Infinity, [], elements);
  return elements;
}

/** More than any request of this API has a use for: 95,000 members in a megabyte took 50 ms, a third of it the parser's. */
const MAX_MEMBERS = 1000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * Spans of what stands one level deep between `start` and `end`. Of text that is not JSON it finds some spans or none;
 * that text is refused by the parser afterwards, so the scan needs no state but the depth.
 */
function scan(
  text: string,
  start: number,
  end: number,
  maxDepth: number,
  members: Member[],
  elements: Span[],
  maxElements = Infinity,
): void {
  let depth = 0;
  let inObject = false;
  /** Where the value begins that is being passed, one level deep; -1 between a `{` or a `,` and the next colon. */
  let valueStart = -1;
  let key = "";

  for (let i = start; i < end; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE: {
        const close = closingQuote(text, i);
        if (close === -1) return;
        const next = skipSpace(text, close + 1, end);
        if (text.charCodeAt(next) !== COLON) {
          i = next - 1;
          break;
        }
        // In valid JSON a string before a colon is a key, and no other is.
        const top = depth === 1 && inObject;
        if (top || mayBeProto(text, i + 1, close)) {
          const name = keyText(text, i + 1, close);
          if (name === "__proto__") throw new JsonError("holds a key `__proto__`, which is not allowed");
          if (top) {
            key = name;
            valueStart = next + 1;
          }
        }
        i = next;
        break;
      }
      case OPEN_BRACE:
      case OPEN_BRACKET:
        if (++depth > maxDepth) throw new JsonError(`is nested deeper than ${maxDepth} levels`);
        if (depth === 1) {
          inObject = text.charCodeAt(i) === OPEN_BRACE;
          valueStart = inObject ? -1 : i + 1;
        }
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
      case COMMA:
        if (depth === 1 && valueStart !== -1) {
          const from = skipSpace(text, valueStart, i);
          let to = i;
          while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
          if (inObject && members.length === MAX_MEMBERS) throw new JsonError(`has more than ${MAX_MEMBERS} members`);
          if (inObject) members.push({ key, start: from, end: to });
          else if (to > from) elements.push({ start: from, end: to }); // nothing stands between the brackets of `[]`
          if (elements.length > maxElements) throw new TooManyElements(`has more than ${maxElements} elements`);
          valueStart = inObject ? -1 : i + 1;
        }
        if (text.charCodeAt(i) !== COMMA) depth--;
        break;
      default:
    }
  }
}

/** The quote that ends the string which opens at `open`, or -1. Jumps from quote to quote: most of a body is text. */
function closingQuote(text: string, open: number): number {
  for (let at = text.indexOf('"', open + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let before = at - 1;
    while (text.charCodeAt(before) === BACKSLASH) before--;
    // An even number of backslashes escapes only itself. A quote ends each run, so no run is counted twice.
    if ((at - before) % 2 === 1) return at;
  }
  return -1;
}

/** 9 characters, or up to 54 when each is written as an escape of 6. Longer keys are not decoded to find out. */
function mayBeProto(text: string, start: number, end: number): boolean {
  const length = end - start;
  if (length === 9) return text.startsWith("__proto__", start);
  return length > 9 && length <= 54 && text.slice(start, end).includes("\\");
}

function keyText(text: string, start: number, end: number): string {
  const raw = text.slice(start, end);
  if (!raw.includes("\\")) return raw;
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    throw new JsonError("is not valid JSON");
  }
}

function skipSpace(text: string, from: number, end: number): number {
  let i = from;
  while (i < end && isSpace(text.charCodeAt(i))) i++;
  return i;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
