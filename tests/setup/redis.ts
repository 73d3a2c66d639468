import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "redis";
import { freePort } from "./gateway.ts";
import { find } from "./programs.ts";

const STARTS_WITHIN_MS = 10_000;
const POLL_MS = 10;
/** Where there is memory to hold files, nothing waits for a disk. */
const ROOT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

export interface RedisOptions {
  /** Settings as on the command line, without `--`: `{ appendonly: "yes" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: a free one, which stays the same over restarts. */
  readonly port?: number;
  readonly password?: string;
  /** Runs as a Sentinel, on a file that holds these lines. */
  readonly sentinel?: readonly string[];
  /** A command that makes way for the one that follows it: `["nice"]`. */
  readonly under?: readonly string[];
}

/**
 * A real redis-server as a process of its own, on a free port of the loopback and in a folder of its own; it ends with
 * `await using`. It keeps nothing on disk unless it is told to (`SAVE`, `settings`).
 */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  readonly url: string;
  readonly #options: RedisOptions;
  #child: Bun.Subprocess | null = null;

  constructor(folder: string, options: RedisOptions) {
    this.folder = folder;
    this.port = options.port ?? freePort();
    this.url = `redis://${options.password === undefined ? "" : `:${options.password}@`}127.0.0.1:${this.port}`;
    this.#options = options;
  }

  get pid(): number {
    if (this.#child === null) throw new Error("redis-server is not running.");
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#child !== null;
  }

  /** Resolves once it answers. `settings` add to its own. */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const { settings: own = {}, password, sentinel, under = [] } = this.#options;
    const all = {
      port: String(this.port),
      bind: "127.0.0.1",
      dir: this.folder,
      save: "",
      "repl-diskless-sync-delay": "0",
      ...own,
      ...settings,
    };
    const flags = Object.entries(all).flatMap(([name, value]) =>
      value === "" ? [`--${name}`, ""] : [`--${name}`].concat(value.split(" ")),
    );
    if (password !== undefined) flags.push("--requirepass", password);
    let args = flags;
    if (sentinel !== undefined) {
      const file = join(this.folder, "sentinel.conf");
      if (!existsSync(file))
        await Bun.write(file, [`port ${this.port}`, `dir ${this.folder}`, ...sentinel, ""].join("\n"));
      args = [file, "--sentinel"];
    }
    this.#child = Bun.spawn([...under, find("redis-server")!, ...args], {
      cwd: this.folder,
      stdio: ["ignore", Bun.file(join(this.folder, "log")), "inherit"],
    });
    await this.#answers();
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    child.kill("SIGKILL");
    await child.exited;
    this.#child = null;
  }

  /** It answers nothing until it is thawed; the kernel still takes connections for it. */
  freeze(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  thaw(): void {
    process.kill(this.pid, "SIGCONT");
  }

  /** One command on a connection of its own. */
  async command(...args: readonly string[]): Promise<unknown> {
    const { password } = this.#options;
    const client = createClient({
      socket: { host: "127.0.0.1", port: this.port, reconnectStrategy: false },
      ...(password !== undefined && { password }),
      maintNotifications: "disabled",
      disableClientInfo: true,
    });
    client.on("error", () => undefined);
    try {
      await client.connect();
      return await client.sendCommand([...args]);
    } finally {
      client.destroy();
    }
  }

  /** How often each command was called since the last `CONFIG RESETSTAT`. */
  async calls(): Promise<Readonly<Record<string, number>>> {
    const info = String(await this.command("INFO", "commandstats"));
    return Object.fromEntries(
      [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name, count]) => [name!, Number(count)]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #answers(): Promise<void> {
    const deadline = performance.now() + STARTS_WITHIN_MS;
    for (;;) {
      try {
        await this.command("PING");
        return;
      } catch (error) {
        if (this.#child?.exitCode !== null || performance.now() > deadline) {
          const log = await Bun.file(join(this.folder, "log")).text();
          throw new Error(`redis-server did not start:\n${log}`, { cause: error });
        }
        await Bun.sleep(POLL_MS);
      }
    }
  }
}

/** A redis-server that answers. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const server = new RedisServer(await mkdtemp(join(ROOT, "service-socket-redis-")), options);
  try {
    await server.start();
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}
