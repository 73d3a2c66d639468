import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { end, folder, freePort, ready, start } from "../process.ts";
import { ownCommand, SECRET } from "../servers.ts";
import type { Report } from "./report.ts";

/** Each start has a log of its own. */
let starts = 0;

/** Lines of the log from this level on (pino: error) are of what nobody expected. */
const ERROR_LEVEL = 50;

export interface GatewayOptions {
  /** The one whose port and folder it takes over. */
  readonly predecessor?: Pick<Gateway, "port" | "folder">;
  /** What its log may tell at the level of errors, because the proof brings it about. */
  readonly expected?: RegExp;
  /** Default: how this project is started. */
  readonly command?: readonly string[];
}

/**
 * The real server as a process of its own, on one port and one folder over all its starts. When it ends by itself the
 * proof is over.
 */
export class Gateway {
  readonly port: number;
  readonly folder: string;
  readonly #report: Report;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #lifeS: number;
  readonly #expected: RegExp;
  readonly #command: readonly string[];
  #child: Subprocess | null = null;
  #log = "";

  /** `settings` by the names of their variables, beside those that place it. It lives so long at most. */
  constructor(
    report: Report,
    settings: Readonly<Record<string, string>>,
    lifeS: number,
    { predecessor, expected = /^$/, command = ownCommand() }: GatewayOptions = {},
  ) {
    this.port = predecessor?.port ?? freePort();
    this.folder = predecessor?.folder ?? folder();
    this.#report = report;
    this.#settings = settings;
    this.#lifeS = lifeS;
    this.#expected = expected;
    this.#command = command;
  }

  get pid(): number {
    if (this.#child === null) throw new Error("The server is not running.");
    return this.#child.pid;
  }

  /** Starts it and does not wait. */
  spawn(): void {
    this.#log = join(this.folder, `log-${(starts += 1)}`);
    const env = {
      PORT: String(this.port),
      ...(this.#settings["SOCKET_CONFIG"] === undefined ? { APP_SECRET: SECRET } : {}), // the file has its apps' secrets
      SOCKET_HOST: "127.0.0.1",
      SOCKET_DATA: join(this.folder, "data"),
      SOCKET_PUBLIC_CHANNELS: "**",
      SOCKET_LOG_LEVEL: "warn",
      SOCKET_DRAIN: "0",
      ...this.#settings,
    };
    const child = (this.#child = start(this.#command, env, this.#log, this.#lifeS));
    void child.exited.then((code) => {
      if (this.#child !== child) return;
      this.#child = null;
      this.#report.fail(`the server ended by itself with ${code}: ${this.#errors().slice(-2000)}`);
    });
  }

  /** Resolves when it takes publishes and streams. */
  ready(): Promise<void> {
    return ready(this.#child!, `http://127.0.0.1:${this.port}/readyz`, this.#log);
  }

  async start(): Promise<void> {
    this.spawn();
    await this.ready();
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    const child = this.#child!;
    this.#child = null;
    child.kill("SIGKILL");
    await child.exited;
    this.#checkLog();
  }

  /** SIGTERM, and the time that it takes over its drain. */
  async drain(): Promise<void> {
    const child = this.#child!;
    this.#child = null;
    child.kill("SIGTERM");
    const code = await child.exited;
    this.#report.claim("a drained server ends with 0").check(code === 0, () => `it ended with ${code}`);
    this.#checkLog();
  }

  async stop(): Promise<void> {
    const child = this.#child!;
    this.#child = null;
    await end(child);
    this.#checkLog();
  }

  #checkLog(): void {
    const claim = this.#report.claim("the server's log tells of nothing unexpected");
    const unexpected = this.#errors()
      .split("\n")
      .find((line) => isError(line) && !this.#expected.test(line));
    claim.check(unexpected === undefined, () => unexpected!.slice(0, 500));
  }

  #errors(): string {
    return readFileSync(`${this.#log}.err`, "utf8");
  }
}

function isError(line: string): boolean {
  const level = /^\{"level":(\d+)/.exec(line)?.[1];
  return level === undefined ? line !== "" : Number(level) >= ERROR_LEVEL;
}
