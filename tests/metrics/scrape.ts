/** One line of a scrape: `name{label="value"} 1`. */
export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Scrape {
  /** What `# TYPE` and `# HELP` say of each metric. */
  readonly types: ReadonlyMap<string, string>;
  readonly helps: ReadonlyMap<string, string>;
  readonly series: readonly Series[];
  /** The value of one series; throws where there is no such one, or several. */
  readonly value: (name: string, labels?: Readonly<Record<string, string>>) => number;
}

export async function scrape(adminUrl: string | null): Promise<Scrape> {
  const response = await fetch(`${adminUrl}/metrics`);
  const type = response.headers.get("Content-Type");
  if (response.status !== 200 || type !== "text/plain; version=0.0.4; charset=utf-8") {
    throw new Error(`Not a scrape: ${response.status} ${type}`);
  }
  return parse(await response.text());
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = String.raw`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^\\"\n]|\\\\|\\"|\\n)*)"`;
const SERIES = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (\\+Inf|-?[0-9][0-9.]*(?:e[+-]?[0-9]+)?)$`);

/** Reads the text format of Prometheus 0.0.4 and takes nothing else: one that is not in it throws. */
export function parse(text: string): Scrape {
  if (!text.endsWith("\n")) throw new Error("The last line has no end.");
  const [types, helps, series] = [new Map<string, string>(), new Map<string, string>(), [] as Series[]];
  for (const line of text.slice(0, -1).split("\n")) {
    const about = new RegExp(`^# (TYPE|HELP) (${NAME}) (.+)$`).exec(line);
    if (about !== null) {
      const known = about[1] === "TYPE" ? types : helps;
      if (known.has(about[2]!)) throw new Error(`${line} stands twice.`);
      known.set(about[2]!, about[3]!);
      continue;
    }
    const found = SERIES.exec(line);
    if (found === null) throw new Error(`Not in the format: ${line}`);
    const labels = Object.fromEntries(
      [...(found[2] ?? "").matchAll(new RegExp(LABEL, "g"))].map(([, label, value]) => [label!, unescaped(value!)]),
    );
    series.push({ name: found[1]!, labels, value: found.at(-1) === "+Inf" ? Infinity : Number(found.at(-1)) });
  }
  const identities = series.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`);
  if (new Set(identities).size < identities.length) throw new Error("A series stands twice.");

  function value(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const wanted = JSON.stringify(labels);
    const [one, ...more] = series.filter((each) => each.name === name && JSON.stringify(each.labels) === wanted);
    if (one === undefined || more.length > 0) throw new Error(`There is no one series ${name} ${wanted}.`);
    return one.value;
  }

  return { types, helps, series, value };
}

function unescaped(value: string): string {
  return value.replaceAll(/\\(.)/g, (_all, letter: string) => (letter === "n" ? "\n" : letter));
}
