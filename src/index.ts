import { type ConfigSources, loadConfig } from "./config.ts";
import type { Log } from "./http/gateway.ts";
import { type RunningServer, startServer } from "./server.ts";

export { ConfigError } from "./config.ts";
export type { RunningServer } from "./server.ts";

export interface ServerOptions extends ConfigSources {
  /** Told what the command would write to its log; nothing by default. */
  readonly log?: Log;
}

/**
 * Starts a gateway inside another program, such as a test: `await createServer({ argv: ["--port", "0"] })`. Settings are
 * those of the command, from the flags and the environment that are given here and from nowhere else.
 */
export function createServer(options: ServerOptions = {}): Promise<RunningServer> {
  const load = () => loadConfig(options);
  return startServer(load(), options.log ?? (() => undefined), { load });
}
