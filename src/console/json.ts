import { button, element } from "./element.ts";

/** A number in the digits that it was given in: `JSON.parse` alone would round a 64-bit one. */
class Digits {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Value = null | boolean | string | number | Digits | readonly Value[] | { readonly [name: string]: Value };

/** The value, or undefined where the text is no JSON. */
export function parseJson(text: string): Value | undefined {
  // Browsers that do not hand over the source (JSON.parse source text access, ES2026) show numbers as they read them.
  function keepDigits(_name: string, value: Value, context?: { readonly source?: string }): Value {
    return typeof value === "number" && context?.source !== undefined ? new Digits(context.source) : value;
  }
  try {
    return JSON.parse(text, keepDigits as (name: string, value: unknown) => unknown) as Value;
  } catch {
    return undefined;
  }
}

/** Whether there is something to fold: text, numbers and the like are shown as they are. */
export function isTree(value: Value | undefined): value is readonly Value[] | { readonly [name: string]: Value } {
  return typeof value === "object" && value !== null && !(value instanceof Digits);
}

/** Members that are shown before the rest is asked for: a message may hold tens of thousands, and there are many rows. */
const MOST_MEMBERS = 100;

/** The value as foldable lines, open as far as a hundred members reach. What is folded is not made before it is opened. */
export function jsonTree(value: Value): HTMLElement {
  return lines(value, null, true, { left: MOST_MEMBERS });
}

function lines(value: Value, name: string | null, isLast: boolean, room: { left: number }): HTMLElement {
  const comma = isLast ? null : element("span", { class: "sign" }, ",");
  const label = name === null ? null : element("span", { class: "name" }, `${JSON.stringify(name)}: `);
  if (!isTree(value)) return element("div", { class: "leaf" }, label, leaf(value), comma);
  const isArray = Array.isArray(value);
  const members: readonly (readonly [string | null, Value])[] = isArray
    ? (value as readonly Value[]).map((member) => [null, member] as const)
    : Object.entries(value as { readonly [name: string]: Value });
  const [start, end] = isArray ? ["[", "]"] : ["{", "}"];
  if (members.length === 0) {
    return element("div", { class: "leaf" }, label, element("span", { class: "sign" }, `${start}${end}`), comma);
  }
  const count = `${members.length} ${isArray ? "item" : "member"}${members.length === 1 ? "" : "s"}`;
  const tree = element(
    "details",
    { class: "json" },
    element(
      "summary",
      {},
      label,
      element("span", { class: "sign" }, start),
      element("span", { class: "folded" }, ` ${count} ${end}`),
    ),
  );
  const inner = element("div", { class: "members" });
  tree.append(inner, element("div", { class: "leaf" }, element("span", { class: "sign" }, end), comma));
  function fill(from: number): void {
    const until = Math.min(members.length, from + MOST_MEMBERS);
    for (let i = from; i < until; i++) {
      const [key, member] = members[i]!;
      inner.append(lines(member, key, i === members.length - 1, room));
    }
    if (until === members.length) return;
    const more = button(`${members.length - until} more`, { class: "quiet" }, () => {
      more.remove();
      fill(until);
    });
    inner.append(more);
  }
  tree.addEventListener("toggle", () => tree.open && inner.childElementCount === 0 && fill(0));
  if (room.left > 0) {
    room.left -= members.length;
    tree.open = true;
    fill(0);
  }
  return tree;
}

function leaf(value: null | boolean | string | number | Digits): HTMLElement {
  if (value instanceof Digits) return element("span", { class: "number" }, value.text);
  if (typeof value === "string") return element("span", { class: "string" }, JSON.stringify(value));
  return element("span", { class: value === null || typeof value === "boolean" ? "word" : "number" }, String(value));
}
