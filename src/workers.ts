import type { Subprocess } from "bun";
import { constants } from "node:os";
import { ConfigError, type Settings } from "./config.ts";
import type { Log } from "./http/gateway.ts";
import { freePort } from "./listener.ts";
import type { Asked } from "./signals.ts";
import { type FromWorker, type ToWorker, WORKER_ENV } from "./worker.ts";

/** The pause before a worker that ended is started again; twice as long each time that it did not last. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** One that lived so long did not end because of its start. */
const LASTED_MS = 10_000;

interface Worker {
  readonly index: number;
  child: Subprocess | null;
  startedAtMs: number;
  pauseMs: number;
  restart: ReturnType<typeof setTimeout> | null;
}

/**
 * Serves by several processes on one port, each a node of its own; the kernel gives each connection to one of them
 * (SO_REUSEPORT, socket(7)). `serves` is called with the port once all do.
 *
 * A worker that ends is started again. One that cannot start at first ends all the others: then it resolves with its exit
 * code, having told why itself. Resolves with 0 when all have stopped, as was asked. A reload is each one's own.
 */
export async function runWorkers(
  settings: Settings,
  log: Log,
  asked: Asked,
  serves: (port: number) => void,
): Promise<number> {
  if (process.platform !== "linux") {
    throw new ConfigError("SOCKET_WORKERS", "takes 1 on this system: only Linux shares a port out among processes");
  }
  const port = await freePort(settings);
  const held = holdPort(port);
  try {
    return await new Workers(settings, log, port).run(asked, serves);
  } finally {
    held.stop();
  }
}

/**
 * Of gateways that start at once one has the port: the name is gone with the process that has it, and is of one network
 * namespace, as the port is (unix(7), abstract sockets).
 */
function holdPort(port: number): { stop(): void } {
  try {
    return Bun.listen({ unix: `\0service-socket ${port}`, socket: { data() {} } });
  } catch (error) {
    throw new Error(`Port ${port} is in use by another gateway.`, { cause: error });
  }
}

class Workers {
  readonly #log: Log;
  readonly #port: number;
  readonly #workers: readonly Worker[];
  readonly #over = Promise.withResolvers<number>();
  #isUp = false;
  #isStopping = false;
  #code = 0;

  constructor(settings: Settings, log: Log, port: number) {
    this.#log = log;
    this.#port = port;
    this.#workers = Array.from({ length: settings.workers }, (_, index) => {
      return { index, child: null, startedAtMs: 0, pauseMs: FIRST_PAUSE_MS, restart: null };
    });
  }

  async run(asked: Asked, serves: (port: number) => void): Promise<number> {
    // However this process ends, but for a kill -9, which the workers notice.
    process.on("exit", () => this.#kill());
    const { signal } = asked.stop;
    if (signal.aborted) return 0;
    signal.addEventListener("abort", () => this.#stop(signal.reason as NodeJS.Signals));
    asked.onReload = () => {
      // Not by a signal, which would end one that has just been started.
      for (const { child } of this.#workers) if (child !== null) tell(child, "reload");
    };
    void this.#startAll(serves);
    return await this.#over.promise;
  }

  /** The first alone: what stops it stops all, and is to be told once. */
  async #startAll(serves: (port: number) => void): Promise<void> {
    const [first, ...others] = this.#workers;
    await this.#start(first!);
    await Promise.all(others.map((worker) => this.#start(worker)));
    if (this.#isStopping) return;
    this.#isUp = true;
    serves(this.#port);
  }

  /** Resolves once it serves; never, when it does not. */
  #start(worker: Worker): Promise<void> {
    worker.restart = null;
    worker.startedAtMs = performance.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    const child = Bun.spawn([process.execPath, ...process.execArgv, ...ownScript(), ...process.argv.slice(2)], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "inherit",
      env: { ...process.env, [WORKER_ENV]: `${worker.index} ${this.#port}` },
      serialization: "json",
      ipc: (message: FromWorker) => {
        if (message !== "ready") return;
        this.#log("info", "a worker serves", { worker: worker.index, pid: child.pid });
        resolve();
      },
      onExit: ({ signalCode }, code) => this.#ended(worker, code ?? codeOf(signalCode as NodeJS.Signals)),
    });
    worker.child = child;
    return promise;
  }

  #ended(worker: Worker, code: number): void {
    const pid = worker.child!.pid;
    worker.child = null;
    if (this.#isStopping) this.#code ||= code;
    else if (!this.#isUp) {
      // It did not start, and has told why.
      this.#code = code === 0 ? 1 : code;
      this.#stop("SIGTERM");
    } else this.#restart(worker, pid, code);
    if (this.#isStopping && this.#workers.every(({ child }) => child === null)) this.#over.resolve(this.#code);
  }

  #restart(worker: Worker, pid: number, code: number): void {
    const lasted = performance.now() - worker.startedAtMs > LASTED_MS;
    worker.pauseMs = lasted ? FIRST_PAUSE_MS : worker.pauseMs;
    const fields = { worker: worker.index, pid, exit_code: code, pause_ms: worker.pauseMs };
    this.#log("warn", "a worker has ended, and is started again", fields);
    worker.restart = setTimeout(() => void this.#start(worker), worker.pauseMs);
    worker.pauseMs = Math.min(2 * worker.pauseMs, LONGEST_PAUSE_MS);
  }

  #stop(signal: ToWorker): void {
    this.#isStopping = true;
    for (const { child, restart } of this.#workers) {
      if (restart !== null) clearTimeout(restart);
      // Not by a signal: from a terminal, or from systemd, each has got one, and a second ends it at once.
      if (child !== null) tell(child, signal);
    }
    if (this.#workers.every(({ child }) => child === null)) this.#over.resolve(this.#code);
  }

  #kill(): void {
    for (const { child } of this.#workers) child?.kill("SIGKILL");
  }
}

function tell(child: Subprocess, message: ToWorker): void {
  try {
    child.send(message);
  } catch {
    child.kill("SIGTERM"); // its end of the channel is closed
  }
}

/** As a shell tells it. */
function codeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** A program that was compiled into one file runs itself. */
function ownScript(): readonly string[] {
  return Bun.main.startsWith("/$bunfs/") ? [] : [Bun.main];
}
