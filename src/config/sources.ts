import { Value } from "@sinclair/typebox/value";
import { ConfigError } from "./error.ts";
import { TOKEN_ENV } from "./listener.ts";
import { type Setting, type SettingKey, SETTINGS } from "./schema.ts";
import { type Kind, KINDS } from "./values.ts";

/** A value as it was written, with the name that its owner gave it. */
export interface Given {
  readonly name: string;
  readonly raw: unknown;
}

export type Givens = Map<SettingKey, Given>;

/** The variable and the flag that name the settings file; the file cannot name itself. */
export const CONFIG_ENV = "SOCKET_CONFIG";
export const CONFIG_FLAG = "--config";

const BY_ENV = new Map(SETTINGS.map((setting) => [setting.env, setting]));
const BY_FLAG = new Map(SETTINGS.flatMap((setting) => (setting.flag === null ? [] : [[setting.flag, setting]])));
const BY_FILE_KEY = new Map(SETTINGS.map((setting) => [setting.fileKey, setting]));

/** `PORT`, `APP_SECRET` and everything that starts with `SOCKET_`; an unknown one of these is an error. */
export function fromEnv(env: Readonly<Record<string, string | undefined>>): { givens: Givens; file: Given | null } {
  const givens: Givens = new Map();
  let file: Given | null = null;
  for (const [name, raw] of Object.entries(env)) {
    if (raw === undefined) continue;
    const setting = BY_ENV.get(name);
    if (setting !== undefined) givens.set(setting.key, { name, raw });
    else if (name === CONFIG_ENV) file = { name, raw };
    else if (name.startsWith("SOCKET_") && name !== TOKEN_ENV) throw unknown(name, [...BY_ENV.keys(), CONFIG_ENV]);
  }
  return { givens, file };
}

/** `--history-count 5` and `--history-count=5`, each at most once. */
export function fromArgv(argv: readonly string[]): { givens: Givens; file: Given | null } {
  const givens: Givens = new Map();
  let file: Given | null = null;
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i]!;
    if (!argument.startsWith("--")) throw new ConfigError(argument, "is no flag; a setting is written --name value");
    const equals = argument.indexOf("=");
    const name = equals === -1 ? argument : argument.slice(0, equals);
    const setting = BY_FLAG.get(name);
    if (setting === undefined && name !== CONFIG_FLAG) throw unknownFlag(name);
    const raw = equals === -1 ? argv[++i] : argument.slice(equals + 1);
    if (raw === undefined || (equals === -1 && raw.startsWith("--"))) {
      throw new ConfigError(name, `takes ${setting?.takes ?? "a path"}`);
    }
    if (setting === undefined ? file !== null : givens.has(setting.key)) throw new ConfigError(name, "is given twice");
    if (setting === undefined) file = { name, raw };
    else givens.set(setting.key, { name, raw });
  }
  return { givens, file };
}

/** The settings of one table of the file. `where` stands before a key in an error, `file` after it. */
export function fromTable(
  table: Readonly<Record<string, unknown>>,
  file: string,
  where = "",
  keys: ReadonlyMap<string, Setting> = BY_FILE_KEY,
  others: readonly string[] = [],
): Givens {
  const givens: Givens = new Map();
  for (const [key, raw] of Object.entries(table)) {
    if (others.includes(key)) continue;
    const setting = keys.get(key);
    const name = `${where}${key} in ${file}`;
    if (setting === undefined) throw unknown(name, [...keys.keys(), ...others], key);
    givens.set(setting.key, { name, raw });
  }
  return givens;
}

/** Kinds whose values may hold a secret: what was given is not repeated. */
const HIDDEN: ReadonlySet<string> = new Set(["secrets", "broker"]);

/** The value of a setting, checked; throws ConfigError with the name as it was written. */
export function valueOf(setting: Setting, { name, raw }: Given): unknown {
  const kind: Kind = KINDS[setting.kind];
  const value = kind.list === true ? parseList(kind, raw) : parseOne(kind, raw);
  if (value === undefined || !Value.Check(setting.schema, value)) {
    throw new ConfigError(name, `takes ${setting.takes}${HIDDEN.has(setting.kind) ? "" : wrong(raw)}`);
  }
  return value;
}

function parseOne(kind: Kind, raw: unknown): string | number | undefined {
  // A file writes numbers bare; from there on they are read as the text that they would be elsewhere.
  if (typeof raw === "number") return kind.show === undefined ? undefined : kind.parse(String(raw));
  return typeof raw === "string" ? kind.parse(raw.trim()) : undefined;
}

/** Text is parted at commas; an array of a file is not, since a channel's name may hold a comma. */
function parseList(kind: Kind, raw: unknown): unknown[] | undefined {
  const parts: unknown = typeof raw === "string" ? splitList(raw) : raw;
  if (!Array.isArray(parts)) return undefined;
  const values = parts.map((part) => (typeof part === "string" ? kind.parse(part) : undefined));
  return values.includes(undefined) ? undefined : values;
}

/** Empty text is an empty list: that is how a list that has a default is emptied. */
export function splitList(text: string): string[] {
  return text.trim() === "" ? [] : text.split(",").map((part) => part.trim());
}

function wrong(raw: unknown): string {
  if (typeof raw !== "string" && typeof raw !== "number" && typeof raw !== "boolean") return "";
  const text = String(raw);
  return text.length > 60 || text === "" ? "" : `, not ${JSON.stringify(text)}`;
}

function unknownFlag(name: string): ConfigError {
  const secret = SETTINGS.find((setting) => setting.flag === null && name === `--${setting.fileKey.replace("_", "-")}`);
  if (secret === undefined) return unknown(name, [...BY_FLAG.keys(), CONFIG_FLAG]);
  const file = secret.key === "appSecret" ? "--secret-file" : "--token-keys-file";
  return new ConfigError(name, `is no flag, since process lists show flags; use ${secret.env} or ${file}`);
}

function unknown(name: string, known: readonly string[], word: string = name): ConfigError {
  const near = known
    .map((candidate) => ({ candidate, distance: distance(word, candidate) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const hint =
    near !== undefined && near.distance <= Math.min(3, word.length / 3) ? `; did you mean ${near.candidate}?` : "";
  return new ConfigError(name, `there is no such setting${hint}`);
}

/** How many characters must change (Levenshtein). */
function distance(a: string, b: string): number {
  if (a.length > 60) return a.length;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
