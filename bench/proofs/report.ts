/** How many of a claim's faults are told in words. */
const DETAILS = 3;

/** Something that must hold every time that it is looked at. */
export class Claim {
  readonly what: string;
  checked = 0;
  broken = 0;
  readonly details: string[] = [];

  constructor(what: string) {
    this.what = what;
  }

  check(holds: boolean, detail: () => string): void {
    this.checked += 1;
    if (holds) return;
    this.broken += 1;
    if (this.details.length < DETAILS) this.details.push(detail());
  }

  /** What was never looked at does not hold. */
  get held(): boolean {
    return this.checked > 0 && this.broken === 0;
  }
}

interface Figure {
  readonly what: string;
  readonly value: string;
  readonly must: string;
  /** Null where the figure is shown and not judged. */
  readonly held: boolean | null;
}

/** What a proof found: claims, and figures of which some have a limit. */
export class Report {
  readonly #claims: Claim[] = [];
  readonly #figures: Figure[] = [];
  readonly #began = performance.now();
  readonly #failed = Promise.withResolvers<never>();

  constructor() {
    this.#failed.promise.catch(() => undefined);
  }

  /** Tells how far it is. */
  say(text: string): void {
    console.error(`  ${((performance.now() - this.#began) / 1000).toFixed(0).padStart(5)} s  ${text}`);
  }

  /** The claim of those words; the same one when it is asked for again. */
  claim(what: string): Claim {
    let claim = this.#claims.find((one) => one.what === what);
    if (claim === undefined) this.#claims.push((claim = new Claim(what)));
    return claim;
  }

  figure(what: string, value: string): void {
    this.#figures.push({ what, value, must: "", held: null });
  }

  /** A figure that must be at most so much. */
  atMost(what: string, value: number, most: number, unit = ""): void {
    this.#judge(what, value, "<=", most, unit, value <= most);
  }

  /** A figure that must be exactly so much. */
  exactly(what: string, value: number, wanted: number, unit = ""): void {
    this.#judge(what, value, "=", wanted, unit, value === wanted);
  }

  /** Ends the proof: what it still waits for cannot come. */
  fail(why: string): void {
    this.#failed.reject(new Error(why));
  }

  /** Rejects when the proof is ended by `fail`. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  get held(): boolean {
    return this.#claims.every(({ held }) => held) && this.#figures.every(({ held }) => held !== false);
  }

  toString(): string {
    return [
      ...this.#figures.map(({ what, value, must, held }) => [what, value, must, verdict(held)]),
      ...this.#claims.map((claim) => [claim.what, shown(claim), "0 times broken", verdict(claim.held)]),
    ]
      .map((cells) => `| ${cells.join(" | ")} |`)
      .toSpliced(0, 0, "| what | figure | must be | |", "| --- | --- | --- | --- |")
      .concat(this.#claims.flatMap(({ details }) => details.map((detail) => `  ${detail}`)))
      .join("\n");
  }

  #judge(what: string, value: number, sign: string, limit: number, unit: string, held: boolean): void {
    this.#figures.push({ what, value: quantity(value, unit), must: `${sign} ${quantity(limit, unit)}`, held });
  }
}

function verdict(held: boolean | null): string {
  return held === null ? "" : held ? "held" : "BROKEN";
}

function shown({ checked, broken }: Claim): string {
  const times = `${whole(checked)} checked`;
  return broken === 0 ? times : `${times}, ${whole(broken)} broken`;
}

export function whole(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

export function quantity(value: number, unit: string): string {
  const text = value.toLocaleString("en-US", { maximumFractionDigits: Math.abs(value) < 100 ? 2 : 0 });
  return unit === "" ? text : `${text} ${unit}`;
}
