import { type Api, randomHex, Refusal } from "./api.ts";
import { copyButton } from "./copy.ts";
import { at, element, field, onSubmit, setText } from "./element.ts";
import { clockTime } from "./entry.ts";
import { wordsOf } from "./listening.ts";
import { curlPublish } from "./lines.ts";

const MOST_ANSWERS = 200;

interface Published {
  readonly id: string;
  readonly channel: string;
  readonly subscribers: number;
}

/** The view that publishes one message, or a batch. */
export class Publish {
  readonly #api: Api;
  #isBatch = false;
  #isJson = false;

  constructor(api: Api) {
    this.#api = api;
    onSubmit("publish", () => void this.#publish());
    this.#choose("one", "batch", (isBatch) => {
      this.#isBatch = isBatch;
      at("publish-one").hidden = isBatch;
      at("publish-batch").hidden = !isBatch;
    });
    this.#choose("as-text", "as-json", (isJson) => (this.#isJson = isJson));
    for (const id of ["publish-data", "batch-data"]) field(id).addEventListener("input", () => this.#check());
    at("make-key").addEventListener("click", () => (field("key").value = randomHex(16)));
    at("publish-copy").append(
      copyButton("Copy curl", "Copy as curl", () => curlPublish(this.#path, this.#body, field("key").value)),
    );
    this.#check();
  }

  /** Fills in the channel. */
  to(channel: string): void {
    at("one").click();
    field("publish-channel").value = channel;
    field("publish-data").focus();
  }

  get #path(): string {
    return this.#isBatch ? "/chat/send-multi" : "/chat/send";
  }

  /** JSON data goes in as it was typed, with its digits. */
  get #body(): string {
    if (this.#isBatch) return field("batch-data").value.trim();
    const text = field("publish-data").value;
    const event = field("publish-event").value;
    const head = JSON.stringify({ channel: field("publish-channel").value, ...(event === "" ? {} : { event }) });
    return `${head.slice(0, -1)},"data":${this.#isJson ? text.trim() : JSON.stringify(text)}}`;
  }

  /** Two buttons of which one is pressed. */
  #choose(first: string, second: string, chosen: (isSecond: boolean) => void): void {
    for (const id of [first, second]) {
      at(id).addEventListener("click", () => {
        at(first).setAttribute("aria-pressed", String(id === first));
        at(second).setAttribute("aria-pressed", String(id === second));
        chosen(id === second);
        this.#check();
      });
    }
  }

  /** Says what is wrong with the JSON, as far as the browser can tell; null where nothing is. */
  #check(): string | null {
    const [data, batch] = [field("publish-data").value, field("batch-data").value];
    const wrong = this.#isBatch ? wrongWithBatch(batch) : this.#isJson ? wrongWithJson(data) : null;
    const bytes = new TextEncoder().encode(data).length.toLocaleString("en");
    show("data-check", wrong, this.#isJson ? "Well-formed JSON; sent just as it stands." : `${bytes} bytes of text.`);
    show("batch-check", wrong, `Well-formed: ${wrong === null && this.#isBatch ? countOf(batch) : ""}.`);
    return wrong;
  }

  async #publish(): Promise<void> {
    const wrong = this.#check();
    setText(at("publish-wrong"), wrong ?? "");
    if (wrong !== null) return;
    const key = field("key").value;
    const beganAtMs = performance.now();
    try {
      const headers: Record<string, string> = key === "" ? {} : { "Idempotency-Key": key };
      const answer = await this.#api.post<Published | { messages: readonly Published[] }>(
        this.#path,
        this.#body,
        headers,
      );
      const messages = "messages" in answer ? answer.messages : [answer];
      this.#answered(messages, performance.now() - beganAtMs, key);
    } catch (error) {
      const field = error instanceof Refusal ? error.field : undefined;
      setText(at("publish-wrong"), `${wordsOf(error)}${field === undefined ? "" : ` (${field})`}`);
    }
  }

  #answered(messages: readonly Published[], tookMs: number, key: string): void {
    at("publish-empty").hidden = true;
    const rows = messages.map(({ id, channel, subscribers }) =>
      element(
        "li",
        {},
        element("code", { class: "id" }, id),
        element("span", { class: "channel", title: channel }, channel),
        element("span", { class: subscribers === 0 ? "reached none" : "reached" }, streamsOf(subscribers)),
      ),
    );
    const head = element(
      "p",
      { class: "facts" },
      element("span", {}, clockTime(Date.now())),
      element("span", {}, messages.length === 1 ? "published" : `${messages.length} published`),
      element("span", {}, `${Math.max(1, Math.round(tookMs))} ms`),
      key === "" ? null : element("span", {}, "key ", element("code", {}, key)),
    );
    const list = at("published");
    list.prepend(element("li", { class: "answer" }, head, element("ul", {}, ...rows)));
    if (list.childElementCount > MOST_ANSWERS) list.lastElementChild?.remove();
  }
}

function streamsOf(count: number): string {
  return count === 1 ? "1 stream" : `${count.toLocaleString("en")} streams`;
}

function show(id: string, wrong: string | null, right: string): void {
  setText(at(id), wrong ?? right);
  at(id).classList.toggle("wrong", wrong !== null);
}

function wrongWithJson(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return `Not JSON: ${wordsOf(error)}`;
  }
}

function wrongWithBatch(text: string): string | null {
  const wrong = wrongWithJson(text);
  if (wrong !== null) return wrong;
  return Array.isArray(JSON.parse(text)) ? null : "A batch is an array of messages.";
}

function countOf(batch: string): string {
  const { length } = JSON.parse(batch) as readonly unknown[];
  return length === 1 ? "1 message" : `${length} messages`;
}
