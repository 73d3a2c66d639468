#!/usr/bin/env bun
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { version } from "../package.json";
import { ConfigError, loadConfig } from "./config.ts";
import { showDuration } from "./config/values.ts";
import { help } from "./help.ts";
import { openLog } from "./log.ts";
import { type RunningServer, startServer } from "./server.ts";
import { welcome } from "./welcome.ts";

/** The exit code of a start that a setting stopped (sysexits.h, EX_CONFIG). */
const EXIT_CONFIG = 78;
/** Within this time the same signal is the same request. */
const SAME_SIGNAL_MS = 100;

/** `serve`, the command that runs when none is named. */
async function serve(argv: readonly string[]): Promise<void> {
  const settings = loadConfig({ env: process.env, argv, readFile: (path) => readFileSync(path, "utf8") });
  const { log, close } = openLog(settings);
  const signal = stopSignal();
  const server = await startServer(settings, log, { signal }).catch(async (error: unknown) => {
    if (!signal.aborted || error !== signal.reason) throw error;
    log("info", "stopped before it served", { signal: signal.reason as string });
    await close();
    process.exit(0);
  });
  goOn(server);
  process.stdout.write(welcome(settings, server));
  if (!signal.aborted) await once(signal, "abort");
  const window = settings.drainMs === 0 ? "at once" : `over ${showDuration(settings.drainMs)}`;
  log("info", `stopping: streams end ${window}; a second signal ends the process without waiting`, {
    signal: signal.reason as string,
  });
  await server.stop();
  await close();
  process.exit(0);
}

/**
 * Aborted by the first signal that asks for an end, with its name. The second, of whichever kind, ends the process at
 * once.
 *
 * A Ctrl-C comes twice where the server has a parent: from the terminal, to every process, and from `bun start`, which
 * hands on what it gets itself. So does systemd's SIGTERM.
 */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  let firstAtMs = 0;
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      if (!stop.signal.aborted) {
        firstAtMs = performance.now();
        stop.abort(name);
      } else if (stop.signal.reason !== name || performance.now() - firstAtMs > SAME_SIGNAL_MS) {
        process.exit(128 + constants.signals[name]);
      }
    });
  }
  return stop.signal;
}

/** The last net: whatever no other caught is logged, and the process, which serves others, goes on. */
function goOn({ log }: RunningServer): void {
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, (error: unknown) => log("error", `unexpected error: ${event}`, { error }));
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
