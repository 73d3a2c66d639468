import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { isChannel, isPattern } from "../core/channel.ts";
import { parseDuration } from "../core/duration.ts";
import { CommandError, EXIT } from "./exit.ts";

/** One command of the program; what each module of a command holds. */
export interface Command {
  /** What `--help` shows, with an example that can be pasted. */
  readonly help: () => string;
  /** Resolves with the exit code. Rejects with CommandError, or ConfigError of settings. */
  readonly run: (argv: readonly string[]) => Promise<number>;
}

/** The options and the other words of a command. Throws CommandError `usage`, which names the command's help. */
export function parse<Options extends ParseArgsOptionsConfig>(name: string, argv: readonly string[], options: Options) {
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
    return { values, words: positionals };
  } catch (error) {
    throw usage(name, wrong(argv, error));
  }
}

export function usage(name: string, what: string): CommandError {
  return new CommandError(EXIT.usage, `${name}: ${what} See \`service-socket ${name} --help\`.`);
}

/** Of a secret that was typed nothing is shown again. */
function wrong(argv: readonly string[], error: unknown): string {
  const typed = argv.find((argument) => /^--(app-)?secret(=|$)/.test(argument));
  if (typed !== undefined) {
    return "a secret is no option, since process lists show the command line; set APP_SECRET, or give --secret-file.";
  }
  const [message = ""] = String(error instanceof Error ? error.message : error).split(/\. |\n/);
  return `${message.replace(/\.$/, "")}.`;
}

/** A duration such as `90s`, from `least` to `most`. */
export function durationOf(name: string, option: string, text: string, leastMs: number, mostMs: number): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= leastMs && ms <= mostMs) return ms;
  throw usage(name, `${option} takes a duration such as 500ms, 15s, 10m or 1h, from ${leastMs} ms to ${mostMs} ms.`);
}

export function countOf(name: string, option: string, text: string, least: number): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (count >= least) return count;
  throw usage(name, `${option} takes a whole number, at least ${least}.`);
}

/** The gateway's address without a slash at its end. */
export function addressOf(name: string, text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== "" || url.username !== "") {
    throw usage(name, "--url takes the gateway's address, such as https://events.example.com, without a query.");
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

/** Throws CommandError `usage` unless there is at least one, and all are names or patterns. */
export function checkNames(command: string, names: readonly string[]): void {
  if (names.length === 0) throw usage(command, "it takes a channel or pattern, or several.");
  const wrong = names.find((name) => !isChannel(name) && !isPattern(name));
  if (wrong !== undefined)
    throw usage(command, `${wrong} is neither a channel nor a pattern such as room.* or room.**.`);
}

/** Where a gateway of this machine answers. */
export const DEFAULT_URL = "http://localhost:3000";
