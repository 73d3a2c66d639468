#!/usr/bin/env bun
import { readFileSync } from "node:fs";
import pino from "pino";
import { version } from "../package.json";
import { ConfigError, loadConfig, type Settings } from "./config.ts";
import { help } from "./help.ts";
import type { Log } from "./http/gateway.ts";
import { type RunningServer, startServer } from "./server.ts";
import { welcome } from "./welcome.ts";

/** The exit code of a start that a setting stopped (sysexits.h, EX_CONFIG). */
const EXIT_CONFIG = 78;

/** `serve`, the command that runs when none is named. */
async function serve(argv: readonly string[]): Promise<void> {
  const settings = loadConfig({ env: process.env, argv, readFile: (path) => readFileSync(path, "utf8") });
  const log = openLog(settings);
  const server = await startServer(settings, log);
  process.stdout.write(welcome(settings, server));
  stopOnSignals(server, log);
}

function openLog(settings: Settings): Log {
  // Straight to the descriptor and at once: nothing that was logged is missing after a kill.
  const logger = pino(
    { level: settings.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
  return (level, message, { error, ...fields } = {}) => {
    logger[level]({ ...fields, ...(error === undefined ? {} : { err: error }) }, message);
  };
}

function stopOnSignals(server: RunningServer, log: Log): void {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      log("info", "stopping", { signal });
      server.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          log("error", "could not stop in order", { error });
          process.exit(1);
        },
      );
    });
  }
}

try {
  process.umask(0o077); // what is kept is for nobody else to read
  const [command, ...rest] = process.argv.slice(2);
  if (process.argv.includes("--help") || command === "help") process.stdout.write(help());
  else if (command === "--version") process.stdout.write(`${version}\n`);
  else if (command === undefined || command.startsWith("-")) await serve(process.argv.slice(2));
  else if (command === "serve") await serve(rest);
  else throw new ConfigError(command, "is no command; takes `serve`, or no command at all");
} catch (error) {
  process.stderr.write(`service-socket: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(error instanceof ConfigError ? EXIT_CONFIG : 1);
}
