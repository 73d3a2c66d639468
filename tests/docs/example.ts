const WITHIN_MS = 10_000;
/** Where the documents' server listens. */
export const DOCUMENTED = "http://localhost:3000";

/** A command of a document that was started; some, such as a listener, do not end. */
export class Example {
  readonly name: string;
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  #output = "";
  #complaints = "";
  #changed = Promise.withResolvers<void>();

  constructor(name: string, command: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}) {
    this.name = name;
    this.#child = Bun.spawn([...command], {
      cwd,
      env: { ...process.env, ...env },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      detached: true, // a group of its own, to be ended with all that it started
    });
    void this.#collect(this.#child.stdout, (text) => (this.#output += text));
    void this.#collect(this.#child.stderr, (text) => (this.#complaints += text));
  }

  get output(): string {
    return this.#output;
  }

  /** Writes a line to its standard input. */
  tell(line: string): void {
    void this.#child.stdin.write(`${line}\n`);
    void this.#child.stdin.flush();
  }

  /** Resolves once the output, or a part of it, is what the document shows; rejects when it does not come. */
  async says(text: string, url: string): Promise<void> {
    const expected = alike(text).trim();
    await this.when(expected, () => alike(this.#output.replaceAll(url, DOCUMENTED)).includes(expected) || undefined);
  }

  /** Resolves with what `look` gives once that is not undefined; rejects when it ends before, or does not come. */
  async when<T>(expected: string, look: () => T | undefined): Promise<T> {
    const deadline = AbortSignal.timeout(WITHIN_MS);
    const late = new Promise<void>((resolve) => deadline.addEventListener("abort", () => resolve(), { once: true }));
    for (;;) {
      const { promise } = this.#changed;
      const found = look();
      if (found !== undefined) return found;
      if (deadline.aborted || this.#child.exitCode !== null) {
        const said = `${alike(this.#output)}${this.#complaints}`;
        throw new Error(`${this.name} should have said\n${expected}\nbut said\n${said}`);
      }
      await Promise.race([promise, this.#child.exited, late]);
      await new Promise(setImmediate); // what was written before the end is read after it
    }
  }

  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) process.kill(-this.#child.pid, "SIGKILL");
    await this.#child.exited;
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

/** What differs from run to run is made alike: ids but for their count, times, tokens, waits. */
export function alike(text: string): string {
  return text
    .replaceAll(/\b[0-9a-z]{10}-(\d+)\b/g, "<epoch>-$1")
    .replaceAll(/"(stream|node|request_id)":"[0-9a-z]+"/g, '"$1":"…"')
    .replaceAll(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "<uuid>")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<time>")
    .replaceAll(/eyJ[\w.…-]+/g, "<token>")
    .replaceAll(/^retry: \d+$/gm, "retry: …");
}
