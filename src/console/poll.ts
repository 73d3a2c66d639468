/** Runs `look` once a second while its view is shown and somebody can see it; never twice at once. */
export class Poll {
  readonly #look: () => Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isWanted = false;
  #isRunning = false;

  constructor(look: () => Promise<void>) {
    this.#look = look;
    document.addEventListener("visibilitychange", () => this.#run());
  }

  set wanted(wanted: boolean) {
    this.#isWanted = wanted;
    this.#run();
  }

  #run(): void {
    clearTimeout(this.#timer);
    if (!this.#isWanted || document.hidden || this.#isRunning) return;
    this.#isRunning = true;
    const beganAtMs = performance.now();
    void this.#look().finally(() => {
      this.#isRunning = false;
      const waitMs = Math.max(100, 1000 - (performance.now() - beganAtMs));
      if (this.#isWanted && !document.hidden) this.#timer = setTimeout(() => this.#run(), waitMs);
    });
  }
}
