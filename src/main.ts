#!/usr/bin/env bun
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { version } from "../package.json";
import { ConfigError, loadConfig, type Settings } from "./config.ts";
import { showDuration } from "./config/values.ts";
import { help } from "./help.ts";
import type { Log } from "./http/gateway.ts";
import { openLog } from "./log.ts";
import { type RunningServer, startServer, type StartOptions } from "./server.ts";
import { stopOnSignal } from "./signals.ts";
import { welcome } from "./welcome.ts";
import { asWorker, ofWorker } from "./worker.ts";
import { runWorkers } from "./workers.ts";

/** The exit code of a start that a setting stopped (sysexits.h, EX_CONFIG). */
const EXIT_CONFIG = 78;

/** `serve`, the command that runs when none is named. */
async function serve(argv: readonly string[]): Promise<void> {
  const settings = loadConfig({ env: process.env, argv, readFile: (path) => readFileSync(path, "utf8") });
  const stop = stopOnSignal();
  const worker = asWorker(stop);
  const { log, close } = openLog(settings, worker === null ? {} : { worker: worker.index });
  const { signal } = stop;
  let code: number;
  if (worker !== null) {
    code = await serveHere(ofWorker(settings), log, { signal, sharesPort: true }, worker.ready);
  } else if (settings.workers > 1) {
    goOn(log);
    code = await runWorkers(settings, log, signal, (port) => process.stdout.write(welcome(settings, port)));
  } else {
    code = await serveHere(settings, log, { signal }, ({ port, apps }) => {
      process.stdout.write(welcome(settings, port, apps.made));
    });
  }
  await close();
  process.exit(code);
}

/** Serves in this process until the signal is aborted. Resolves with the exit code. */
async function serveHere(
  settings: Settings,
  log: Log,
  options: StartOptions & { readonly signal: AbortSignal },
  serves: (server: RunningServer) => void,
): Promise<number> {
  const { signal } = options;
  let server: RunningServer;
  try {
    server = await startServer(settings, log, options);
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    log("info", "stopped before it served", { signal: signal.reason as string });
    return 0;
  }
  goOn(server.log);
  serves(server);
  if (!signal.aborted) await once(signal, "abort");
  const window = settings.drainMs === 0 ? "at once" : `over ${showDuration(settings.drainMs)}`;
  log("info", `stopping: streams end ${window}; a second signal ends the process without waiting`, {
    signal: signal.reason as string,
  });
  await server.stop();
  return 0;
}

/** The last net: whatever no other caught is logged, and the process, which serves others, goes on. */
function goOn(log: Log): void {
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process
      .removeAllListeners(event)
      .on(event, (error: unknown) => log("error", `unexpected error: ${event}`, { error }));
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
