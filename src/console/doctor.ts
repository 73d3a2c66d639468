import type { Api } from "./api.ts";
import { at, element, field, onSubmit, setText } from "./element.ts";
import { wordsOf } from "./listening.ts";
import { svg } from "./plot.ts";
import { observe, type Piece } from "./timed.ts";
import { type Finding, findingsOf } from "./verdict.ts";

const WIDTH = 600;
const HEIGHT = 56;
const LEVELS = { good: "Good", note: "Note", bad: "Trouble" } as const;

/** The view that says what stands in a stream's way. */
export class Doctor {
  readonly #api: Api;
  #running: AbortController | null = null;

  constructor(api: Api) {
    this.#api = api;
    onSubmit("doctor", () => (this.#running === null ? void this.#examine() : this.#running.abort()));
  }

  async #examine(): Promise<void> {
    const forMs = Number(field("doctor-for").value) * 1000;
    const running = (this.#running = new AbortController());
    const beganAtMs = performance.now();
    const pieces: Piece[] = [];
    this.#showRunning(true);
    const timer = setInterval(() => {
      const agoMs = performance.now() - beganAtMs;
      (at("doctor-progress") as HTMLProgressElement).value = Math.min(1, agoMs / forMs);
      setText(at("doctor-state"), `${Math.floor(agoMs / 1000)} of ${forMs / 1000} s, ${pieces.length} pieces`);
    }, 200);
    try {
      const told = (piece: Piece) => {
        pieces.push(piece);
        drawPieces(pieces);
      };
      const seen = await observe(this.#api, forMs, told, running.signal);
      const findings = findingsOf(seen);
      this.#show(findings);
      const troubles = findings.filter(({ level }) => level === "bad").length;
      setText(
        at("doctor-state"),
        troubles === 0 ? "No trouble found" : troubles === 1 ? "1 trouble" : `${troubles} troubles`,
      );
      setText(at("doctor-source"), SOURCES[seen.arrival === null ? "messages" : "probe"]);
    } catch (error) {
      setText(at("doctor-state"), "");
      if (!running.signal.aborted) setText(at("doctor-wrong"), wordsOf(error));
    } finally {
      clearInterval(timer);
      this.#running = null;
      this.#showRunning(false);
    }
  }

  #showRunning(isRunning: boolean): void {
    setText(at("examine"), isRunning ? "Stop" : "Examine");
    at("examine").classList.toggle("main", !isRunning);
    field("doctor-for").disabled = isRunning;
    at("doctor-progress").classList.toggle("running", isRunning);
    if (!isRunning) return;
    setText(at("doctor-wrong"), "");
    at("doctor-empty").hidden = true;
    at("findings").replaceChildren();
    drawPieces([]);
  }

  #show(findings: readonly Finding[]): void {
    at("findings").replaceChildren(
      ...findings.map(({ level, title, detail }) =>
        element(
          "li",
          { class: `finding ${level}` },
          element("b", { class: "level" }, LEVELS[level]),
          element("div", {}, element("h3", {}, title), element("p", {}, ...withCode(detail))),
        ),
      ),
    );
  }
}

const SOURCES = {
  probe: "The gateway sent a probe: its pieces hold nothing of any app.",
  messages: "This page published the pieces itself, on a channel of its own.",
};

/** What stands between backquotes is code. */
function withCode(text: string): readonly (string | HTMLElement)[] {
  return text.split("`").map((part, i) => (i % 2 === 1 ? element("code", {}, part) : part));
}

/** Sent above, arrived below. */
function drawPieces(pieces: readonly Piece[]): void {
  const figure = at("doctor-plot");
  figure.hidden = pieces.length === 0;
  const plot = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    class: "pieces",
    "aria-hidden": "true",
  });
  // Both clocks begin at the piece that came quickest.
  const skewMs = Math.min(...pieces.map(({ sentMs, arrivedMs }) => arrivedMs - sentMs));
  const endMs = Math.max(1000, ...pieces.map(({ arrivedMs }) => arrivedMs));
  const x = (ms: number) => Math.round((ms / endMs) * (WIDTH - 8)) + 4;
  for (const { sentMs, arrivedMs } of pieces) {
    plot.append(svg("line", { x1: x(sentMs + skewMs), y1: 6, x2: x(arrivedMs), y2: HEIGHT - 6 }));
  }
  figure.querySelector("svg")?.remove();
  figure.prepend(plot);
}
