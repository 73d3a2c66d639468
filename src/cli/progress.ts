/** How long nothing is shown: what is over by then needs no bar. */
const QUIET_MS = 1000;
const EVERY_MS = 100;
const WIDTH = 24;

/** How far sending has come, in one line of a terminal that is written over; of anything else nothing is shown. */
export class Progress {
  readonly #output: NodeJS.WriteStream;
  readonly #totalBytes: number | null;
  readonly #beganAtMs = performance.now();
  #shownAtMs = 0;
  #isShown = false;

  /** `totalBytes` is null where it is not known, such as of a pipe. */
  constructor(output: NodeJS.WriteStream, totalBytes: number | null) {
    this.#output = output;
    this.#totalBytes = totalBytes;
  }

  update(messages: number, bytes: number): void {
    const nowMs = performance.now();
    const passedMs = nowMs - this.#beganAtMs;
    if (!this.#output.isTTY || passedMs < QUIET_MS || nowMs - this.#shownAtMs < EVERY_MS) return;
    this.#shownAtMs = nowMs;
    this.#isShown = true;
    const rate = `${(messages / (passedMs / 1000)).toFixed(0)}/s`;
    this.#output.write(`\r\x1b[K${this.#bar(bytes)}${messages.toLocaleString("en-US")} sent, ${rate}`);
  }

  /** Clears the line, so that others can be written. */
  clear(): void {
    if (this.#isShown) this.#output.write("\r\x1b[K");
    this.#isShown = false;
  }

  #bar(bytes: number): string {
    if (this.#totalBytes === null || this.#totalBytes === 0) return "";
    const share = Math.min(1, bytes / this.#totalBytes);
    const full = Math.round(share * WIDTH);
    return `[${"#".repeat(full)}${"-".repeat(WIDTH - full)}] ${String(Math.floor(share * 100)).padStart(3)} %  `;
  }
}
