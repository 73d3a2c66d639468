import type { Api } from "./api.ts";
import { Chips } from "./chips.ts";
import { copyButton } from "./copy.ts";
import { at, element, field, onSubmit, setText } from "./element.ts";
import { addressOf, Listening, type State, type Wish } from "./listening.ts";
import { curlListen, curlSubscribe, eventSource } from "./lines.ts";
import { Log, type LogCounts, showCounts } from "./log.ts";
import { plotAt } from "./plot.ts";

const EMPTY = {
  before: "Name a channel or a pattern and press Listen. What arrives appears here, the newest first.",
  quiet: "Nothing was published here yet. Publish something, and it appears.",
};

/** The view that listens; it goes on while others are looked at. */
export class Listen {
  readonly #api: Api;
  readonly #state: (state: State | null) => void;
  readonly #log = new Log(at("log"), (counts) => this.#counted(counts));
  readonly #channels: Chips;
  readonly #events: Chips;
  #listening: Listening | null = null;
  #isPaused = false;
  #received = 0;

  /** `state` is told of the stream; null when there is none. */
  constructor(api: Api, state: (state: State | null) => void) {
    this.#api = api;
    this.#state = state;
    const granted = api.credential.kind === "token" ? api.credential.channels : ["news"];
    this.#channels = new Chips("channels", "channel", granted, () => this.#showLines());
    this.#events = new Chips("events", "event", [], () => this.#showLines());
    onSubmit("listen", () => (this.#listening === null ? this.#start() : this.#stop()));
    at("beginning").addEventListener("change", () => this.#showLines());
    at("format").addEventListener("change", () => {
      at("events-field").hidden = this.#wish.format === "envelope";
      this.#showLines();
    });
    field("filter").addEventListener("input", () => (this.#log.filter = field("filter").value));
    at("pause").addEventListener("click", () => this.#pause(!this.#isPaused));
    at("held").addEventListener("click", () => this.#pause(false));
    at("formatted").addEventListener("click", () => (this.#log.formatted = press("formatted")));
    at("clear").addEventListener("click", () => this.#log.clear());
    setText(at("listen-empty"), EMPTY.before);
    this.#showLines();
    this.#plot();
  }

  /** Listens to these instead. */
  to(channels: readonly string[]): void {
    this.#stop();
    this.#channels.names = channels;
    this.#start();
  }

  get #wish(): Wish {
    return {
      channels: this.#channels.names,
      events: this.#events.names,
      format: field("format").value === "plain" ? "plain" : "envelope",
      beginning: field("beginning").value,
    };
  }

  #start(): void {
    this.#channels.take();
    this.#events.take();
    const wish = this.#wish;
    setText(at("listen-wrong"), wish.channels.length === 0 ? "Name at least one channel." : "");
    if (wish.channels.length === 0) return;
    this.#listening = new Listening(this.#api, wish, {
      entry: (entry) => {
        setText(at("listen-empty"), EMPTY.quiet);
        if (entry.kind === "open") showApp(entry.data);
        this.#log.add(entry);
      },
      state: (state) => {
        this.#state(state);
        if (state === "replaying") this.#showLines(); // there is a token to show
        if (state === "ended") this.#ended();
      },
    });
    this.#showStarted(true);
    // On a phone the form stands above: what arrives is what was asked for.
    if (matchMedia("(max-width: 60rem)").matches) at("log").closest("section")?.scrollIntoView();
  }

  #stop(): void {
    this.#listening?.stop();
  }

  #ended(): void {
    this.#listening = null;
    this.#showStarted(false);
    this.#showLines();
  }

  #showStarted(isStarted: boolean): void {
    setText(at("start"), isStarted ? "Stop" : "Listen");
    at("start").classList.toggle("main", !isStarted);
    for (const id of ["channels", "beginning", "format", "events"]) field(id).disabled = isStarted;
    at("listen").classList.toggle("started", isStarted);
  }

  #pause(paused: boolean): void {
    this.#isPaused = paused;
    this.#log.paused = paused;
    at("pause").setAttribute("aria-pressed", String(paused));
    setText(at("pause"), paused ? "Resume" : "Pause");
  }

  #counted(counts: LogCounts): void {
    this.#received = counts.received;
    showCounts(at("listen-count"), counts, field("filter").value !== "");
    at("listen-empty").hidden = counts.kept > 0;
    const { held } = counts;
    at("held").hidden = held === 0;
    setText(at("held"), held === 0 ? "" : `${held.toLocaleString("en")} held back: show`);
  }

  #plot(): void {
    const plot = plotAt("listen-plot", "Messages a second");
    let [before, atMs] = [0, performance.now()];
    setInterval(() => {
      const nowMs = performance.now();
      const rate = Math.max(0, Math.round(((this.#received - before) * 1000) / (nowMs - atMs)));
      [before, atMs] = [this.#received, nowMs];
      setText(at("listen-rate"), rate.toLocaleString("en"));
      plot.add(rate);
    }, 1000);
  }

  /** What would do the same outside of this page. A page is never given the secret, but an address with a token. */
  #showLines(): void {
    const { credential } = this.#api;
    const wish = this.#wish;
    const hasSecret = credential.kind === "secret";
    const token = credential.kind === "token" ? credential.text : null;
    const given = hasSecret ? (this.#listening?.token ?? "TOKEN") : token;
    const address = (token: string | null) => addressOf(wish, token === null ? {} : { token });
    const page = eventSource(address(given), wish.format === "envelope", wish.events);
    const hint = element(
      "p",
      { class: "hint" },
      "The shell has the secret: ",
      element("code", {}, "export APP_SECRET=…"),
    );
    at("listen-lines").replaceChildren(
      codeBlock("curl", curlListen(address(token), hasSecret)),
      codeBlock("EventSource", page),
      ...(hasSecret ? [codeBlock("An address for a page", curlSubscribe(wish.channels)), hint] : []),
    );
  }
}

function showApp(opening: string): void {
  setText(at("app"), (JSON.parse(opening) as { app: string }).app);
  at("app").hidden = false;
}

function codeBlock(words: string, text: string): HTMLElement {
  const copy = copyButton("Copy", `Copy ${words}`, () => text);
  const head = element("div", { class: "head" }, element("h3", {}, words), copy);
  return element("div", { class: "block" }, head, element("pre", { tabindex: "0" }, text));
}

/** Turns a button that stays pressed; whether it is now. */
function press(id: string): boolean {
  const pressed = at(id).getAttribute("aria-pressed") !== "true";
  at(id).setAttribute("aria-pressed", String(pressed));
  return pressed;
}
