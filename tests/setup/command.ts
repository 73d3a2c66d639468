import { join } from "node:path";
import type { Gateway } from "./gateway.ts";

const MAIN = join(import.meta.dir, "..", "..", "src", "main.ts");

export interface CommandOptions {
  /** All that it is given beside PATH. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What it reads. Default: nothing. */
  readonly input?: string | Uint8Array;
}

/**
 * The program as a process of its own, as a user starts it:
 *
 *     await using listener = command(["listen", "news", "--url", gateway.url], { env: secretOf(gateway) });
 *     await listener.says("hello");
 */
export class Command implements AsyncDisposable {
  out = "";
  err = "";
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #read: Promise<unknown>;
  #changed = Promise.withResolvers<void>();

  constructor(args: readonly string[], { env = {}, cwd = import.meta.dir, input }: CommandOptions = {}) {
    this.#child = Bun.spawn([process.execPath, MAIN, ...args], {
      cwd,
      env: { PATH: process.env["PATH"] ?? "", ...env },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#read = Promise.all([
      this.#collect(this.#child.stdout, (text) => (this.out += text)),
      this.#collect(this.#child.stderr, (text) => (this.err += text)),
    ]);
    if (input !== undefined) this.write(input);
  }

  write(input: string | Uint8Array): void {
    void this.#child.stdin.write(input);
    void this.#child.stdin.flush();
  }

  /** Ends what it reads. */
  endInput(): void {
    void this.#child.stdin.end();
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Resolves once one of its outputs holds the text; rejects when it ends without. */
  async says(text: string): Promise<void> {
    let isOver = false;
    const ended = this.#read.then(() => (isOver = true));
    for (;;) {
      const { promise } = this.#changed;
      if (this.out.includes(text) || this.err.includes(text)) return;
      if (isOver) throw new Error(`The command did not say "${text}":\n${this.out}\n${this.err}`);
      await Promise.race([promise, ended]);
    }
  }

  /** Resolves with its exit code, once all that it wrote was read. */
  async exit(): Promise<number> {
    await this.#read;
    return await this.#child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exit();
  }

  async #collect(stream: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      add(decoder.decode(bytes, { stream: true }));
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }
}

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the program to its end. */
export async function run(args: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  await using command = new Command(args, options);
  command.endInput();
  const code = await command.exit();
  return { code, out: command.out, err: command.err };
}

export function secretOf(gateway: Pick<Gateway, "secret">): Record<string, string> {
  return { APP_SECRET: gateway.secret };
}
