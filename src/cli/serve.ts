import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describeSettings, loadConfig, type Settings } from "../config.ts";
import { showDuration } from "../config/values.ts";
import type { Log } from "../http/gateway.ts";
import { openLog } from "../log.ts";
import { type RunningServer, startServer } from "../server.ts";
import { type Asked, listenForSignals } from "../signals.ts";
import { welcome } from "../welcome.ts";
import { asWorker, ofWorker } from "../worker.ts";
import { runWorkers } from "../workers.ts";
import { EXIT, exitCodes } from "./exit.ts";

/** How to start, and every setting by its flag, its variable and its default. */
export function help(): string {
  const settings = describeSettings().map(({ flag, env, description, takes, default: value }) => {
    const names = flag === null ? env : `${flag}, ${env}`;
    return `  ${names}\n      ${description} Takes ${takes}. Default: ${value}.`;
  });
  return `service-socket [serve] [settings]: starts the gateway, and shows how to listen and publish

  service-socket serve --port 8080 --public-channels "news,prices.*"

SIGTERM and Ctrl-C drain it and stop it; a second one stops it at once. SIGHUP has it read its settings again.

Settings, by flag, by environment variable, or in the file that --config names:

${settings.join("\n")}

${exitCodes([EXIT.ok, "stopped"], [1, "the port, the store or something else could not be opened"], [EXIT.config, "a setting is wrong"])}
`;
}

export async function run(argv: readonly string[]): Promise<number> {
  process.umask(0o077); // what is kept is for nobody else to read
  const load = () => loadConfig({ env: process.env, argv, readFile: (path) => readFileSync(path, "utf8") });
  const settings = load();
  const asked = listenForSignals();
  const worker = asWorker(asked);
  const { log, close } = openLog(settings, worker === null ? {} : { worker: worker.index });
  let code: number;
  if (worker !== null) {
    code = await serveHere(
      { settings: ofWorker(settings), load: () => ofWorker(load()), log, asked, sharesPort: true },
      worker.ready,
    );
  } else if (settings.workers > 1) {
    goOn(log);
    code = await runWorkers(settings, log, asked, (port) => process.stdout.write(welcome(settings, { port })));
  } else {
    code = await serveHere({ settings, load, log, asked, sharesPort: false }, ({ port, adminUrl, apps }) => {
      process.stdout.write(welcome(settings, { port, adminUrl, made: apps.made }));
    });
  }
  await close();
  return code;
}

interface Serving {
  readonly settings: Settings;
  /** Reads the settings anew. */
  readonly load: () => Settings;
  readonly log: Log;
  readonly asked: Asked;
  readonly sharesPort: boolean;
}

/** Serves in this process until the signal is aborted. Resolves with the exit code. */
async function serveHere(
  { settings, load, log, asked, sharesPort }: Serving,
  serves: (server: RunningServer) => void,
): Promise<number> {
  const { signal } = asked.stop;
  let server: RunningServer;
  try {
    server = await startServer(settings, log, { load, signal, sharesPort });
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    log("info", "stopped before it served", { signal: signal.reason as string });
    return 0;
  }
  goOn(server.log);
  asked.onReload = () => void server.reload();
  serves(server);
  if (!signal.aborted) await once(signal, "abort");
  const window = server.drainMs === 0 ? "at once" : `over ${showDuration(server.drainMs)}`;
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
