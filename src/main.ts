#!/usr/bin/env bun
import { version } from "../package.json";
import type { Command } from "./cli/command.ts";
import { CommandError, EXIT } from "./cli/exit.ts";
import { note, OutputClosed, print } from "./cli/terminal.ts";
import { ConfigError } from "./config/error.ts";
import { help } from "./help.ts";

/** Each is loaded when it is asked for: publishing a message opens no store. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: () => import("./cli/serve.ts"),
  send: () => import("./cli/send.ts"),
  listen: () => import("./cli/listen.ts"),
  token: () => import("./cli/token.ts"),
  doctor: () => import("./cli/doctor.ts"),
};

/** Resolves with the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv;
  if (first === "--version") return await tell(`${version}\n`);
  const isHelp = first === "help";
  if (first === "--help" || first === "-h" || (isHelp && rest.length === 0)) return await tell(help());
  const isNamed = first !== undefined && !first.startsWith("-");
  const name = isHelp ? rest[0]! : isNamed ? first : "serve";
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    throw new CommandError(EXIT.usage, `${name} is no command; there are ${Object.keys(COMMANDS).join(", ")}`);
  }
  const command = await load();
  const args = isNamed ? rest : argv;
  return isHelp || asksForHelp(args) ? await tell(command.help()) : await command.run(args);
}

/** What follows `--` is no option. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end === -1 ? args : args.slice(0, end)).some((argument) => argument === "--help" || argument === "-h");
}

async function tell(text: string): Promise<number> {
  await print(text);
  return EXIT.ok;
}

function codeOf(error: unknown): number {
  if (error instanceof OutputClosed) return EXIT.ok;
  note(`service-socket: ${error instanceof Error ? error.message : String(error)}`);
  if (error instanceof CommandError) return error.code;
  return error instanceof ConfigError ? EXIT.config : 1;
}

process.exit(await main(process.argv.slice(2)).catch(codeOf));
