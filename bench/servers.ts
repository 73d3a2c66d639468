import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { end, family, folder, freePort, ready, start } from "./process.ts";
import { nchanConfig } from "./rivals/nchan.ts";

/** A server under test that answers. */
export interface Server {
  readonly name: string;
  readonly port: number;
  /** All of its processes, as a comma list. */
  readonly pids: string;
  /** Options of the load generator: how to publish on channel `c<n>`. */
  readonly publish: Record<string, string | string[]>;
  stop(): Promise<void>;
}

/** The secret of the one app; 32 characters are the least that is taken. */
export const SECRET = "bench-secret-of-forty-characters-0000000";

const JSON_BODY = "Content-Type: application/json";

let command = [process.execPath, join(import.meta.dir, "..", "src", "main.ts")];

/** Measures another build than this checkout: any program that takes the same settings. */
export function measure(other: string): void {
  command = other.split(" ");
}

/** How this project is started. */
export function ownCommand(): string[] {
  return command;
}

let beside: string[] | null = null;

/** Where there are several nodes, has every other one be of that build. */
export function mixWith(other: string): void {
  beside = other.split(" ");
}

/** How the n-th node is started, counted from 0. */
export function commandOf(node: number): string[] {
  return node % 2 === 1 && beside !== null ? beside : command;
}

async function serve(
  name: string,
  program: (port: number, temp: string) => string[],
  env: (temp: string) => Record<string, string>,
  probe: string,
  publish: Server["publish"],
): Promise<Server> {
  const port = freePort();
  const temp = folder();
  const log = join(temp, "log");
  const child = start(program(port, temp), { PORT: String(port), ...env(temp) }, log);
  await ready(child, `http://127.0.0.1:${port}${probe}`, log);
  return { name, port, pids: family(child.pid), publish, stop: () => end(child) };
}

/** This project on Redis. */
export function oursOn(redis: { readonly url: string }, name = "ours (redis)"): Promise<Server> {
  return ours("redis", { SOCKET_BROKER: redis.url }).then((server) => ({ ...server, name }));
}

/** This project. `settings` are added to the bench's own environment variables, or stand in their place. */
export function ours(broker: "sqlite" | "memory" | "redis", settings: Record<string, string> = {}): Promise<Server> {
  return serve(
    `ours (${broker})`,
    ownCommand,
    (temp) => ({
      ...(settings["SOCKET_CONFIG"] === undefined ? { APP_SECRET: SECRET } : {}), // the file has its apps' secrets
      SOCKET_HOST: "127.0.0.1",
      SOCKET_DATA: temp,
      ...(broker === "memory" ? { SOCKET_BROKER: "memory:" } : {}),
      SOCKET_MAX_STREAMS_PER_APP: "0",
      SOCKET_PUBLIC_CHANNELS: "**",
      SOCKET_DRAIN: "0",
      SOCKET_LOG_LEVEL: "warn",
      ...settings,
    }),
    "/readyz",
    { publishHeader: [`Authorization: key=${SECRET}`, JSON_BODY] },
  );
}

const BARE: Readonly<Record<string, string>> = {
  listen: "bare Bun.listen",
  serve: "bare Bun.serve",
  direct: "bare direct streams",
};

/** One of the programs in `rivals/`. */
export function rival(name: "listen" | "serve" | "direct" | "elysia" | "better-sse"): Promise<Server> {
  return serve(
    BARE[name] ?? name,
    () => ["bun", join(import.meta.dir, "rivals", `${name}.ts`)],
    (temp) => ({ NODE_ENV: "production", DATA: temp }),
    "/",
    { publishHeader: [JSON_BODY] },
  );
}

/** How nginx gets nchan: built in (""), the path of its module, or null where it is not installed. */
export function findNchan(): string | null {
  if (Bun.which("nginx") === null) return null;
  const built = Bun.spawnSync(["nginx", "-V"]).stderr.toString();
  if (/--add-module=\S*nchan/.test(built)) return "";
  const modules = /--modules-path=(\S+)/.exec(built)?.[1] ?? "/usr/lib/nginx/modules";
  const module = join(modules, "ngx_nchan_module.so");
  return existsSync(module) ? module : null;
}

export function nchan(module: string): Promise<Server> {
  return serve(
    "nchan",
    (port, temp) => {
      const config = join(temp, "nginx.conf");
      writeFileSync(config, nchanConfig(temp, port, module === "" ? null : module));
      return ["nginx", "-p", temp, "-c", config];
    },
    () => ({}),
    "/",
    {
      publishPath: "/publish/c{channel}",
      publishBody: "{data}",
      publishHeader: ["X-EventSource-Event: m", "Content-Type: text/plain"],
    },
  );
}
