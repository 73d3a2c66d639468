import { at } from "./element.ts";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 120;
const HEIGHT = 32;
const MOST_VALUES = 60;

/** A small plot of the newest values, the newest at the right; its top is the largest of them. */
export class Plot {
  readonly element: SVGSVGElement;
  readonly #area = svg("path", { class: "area" });
  readonly #line = svg("path", { class: "line" });
  readonly #what: string;
  readonly #looks: "line" | "bars";
  readonly #values: number[] = [];

  /** `what` is read aloud, with the newest value. */
  constructor(what: string, looks: "line" | "bars" = "line") {
    this.#what = what;
    this.#looks = looks;
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" };
    this.element = svg("svg", { class: `plot ${looks}`, ...box });
    this.element.append(svg("path", { class: "base", d: `M0,${HEIGHT}H${WIDTH}` }), this.#area, this.#line);
    this.#draw();
  }

  add(value: number): void {
    this.#values.push(value);
    if (this.#values.length > MOST_VALUES) this.#values.shift();
    this.#draw();
  }

  #draw(): void {
    const values = this.#values;
    const top = Math.max(1, ...values);
    const step = WIDTH / MOST_VALUES;
    this.element.setAttribute("aria-label", `${this.#what}: ${values.at(-1) ?? 0}, at most ${Math.max(0, ...values)}`);
    const points = values.map((value, i) => ({
      x: round(WIDTH - (values.length - 1 - i) * step - step / 2),
      y: round(HEIGHT - (value / top) * (HEIGHT - 4)),
    }));
    const [first] = points;
    if (first === undefined) return;
    if (this.#looks === "bars") {
      this.#line.setAttribute("d", points.map(({ x, y }) => (y === HEIGHT ? "" : `M${x},${HEIGHT}V${y}`)).join(""));
      return;
    }
    const path = `M${points.map(({ x, y }) => `${x},${y}`).join("L")}`;
    this.#line.setAttribute("d", path);
    this.#area.setAttribute("d", `${path}V${HEIGHT}H${first.x}Z`);
  }
}

/** A plot at the place of the page with this id. */
export function plotAt(id: string, what: string): Plot {
  const plot = new Plot(what);
  at(id).append(plot.element);
  return plot;
}

export function svg<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, string | number>>,
): SVGElementTagNameMap[Tag] {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
