import { type Api, Refusal } from "./api.ts";
import { at, element, field, onSubmit, setText } from "./element.ts";
import { wordsOf } from "./listening.ts";
import { Poll } from "./poll.ts";
import { spanOf } from "./position.ts";

const MOST_SHOWN = 200;

interface Stream {
  readonly stream: string;
  readonly channels: readonly string[];
  readonly user: string | null;
  readonly grant: "secret" | "token" | "cookie" | "public";
  readonly token: string | null;
  readonly since: string;
  readonly expires_at: string | null;
  readonly position: string | null;
  readonly state: "live" | "behind";
}

/** The view of who listens on this node. */
export class Streams {
  readonly #api: Api;
  readonly #poll = new Poll(() => this.#look());
  #rows = new Map<string, HTMLTableRowElement>();

  constructor(api: Api) {
    this.#api = api;
    onSubmit("streams", () => void this.#look());
  }

  set shown(shown: boolean) {
    this.#poll.wanted = shown && this.#api.hasSecret;
    if (!this.#api.hasSecret) setText(at("streams-note"), "The list of streams takes the app’s secret.");
  }

  async #look(): Promise<void> {
    const [channel, user] = [field("by-channel").value, field("by-user").value];
    try {
      const { streams, next } = await this.#api.get<{ streams: readonly Stream[]; next: number | null }>("/streams", {
        limit: String(MOST_SHOWN),
        ...(channel === "" ? {} : { channel }),
        ...(user === "" ? {} : { user }),
      });
      const behind = streams.filter(({ state }) => state === "behind").length;
      const count = `${streams.length}${next === null ? "" : " and more"} on this node, ${behind} behind.`;
      setText(at("streams-note"), streams.length === 0 ? "" : count);
      this.#show(streams, channel !== "" || user !== "");
    } catch (error) {
      setText(at("streams-note"), wordsOf(error));
      // What is still being typed may be no name yet.
      if (error instanceof Refusal && !error.passes && error.field === undefined) this.#poll.wanted = false;
    }
  }

  #show(streams: readonly Stream[], isFiltered: boolean): void {
    const before = this.#rows;
    this.#rows = new Map(streams.map((stream) => [stream.stream, before.get(stream.stream) ?? element("tr")]));
    for (const stream of streams) this.#fill(this.#rows.get(stream.stream)!, stream);
    at("stream-rows").replaceChildren(...this.#rows.values());
    at("streams-empty").hidden = streams.length > 0;
    setText(at("streams-empty"), isFiltered ? "No stream is found by this." : "Nobody listens on this node.");
  }

  #fill(
    row: HTMLTableRowElement,
    { stream, channels, user, grant, token, since, expires_at, position, state }: Stream,
  ): void {
    const isOwn = user === this.#api.user;
    const open = spanOf(Date.now() - Date.parse(since));
    const ends = expires_at === null ? null : `expires in ${spanOf(Date.parse(expires_at) - Date.now())}`;
    row.replaceChildren(
      element(
        "th",
        { scope: "row", title: `stream ${stream}` },
        user ?? element("i", {}, "nobody named"),
        isOwn ? element("span", { class: "tag" }, "this page") : null,
      ),
      element("td", {}, element("span", { class: `state ${state}` }, state)),
      element("td", { class: "names", title: channels.join("\n") }, channels.join(", ")),
      element("td", { "data-label": "Open for", title: since }, open),
      element(
        "td",
        { "data-label": "Sent up to" },
        element(
          "code",
          { title: position ?? "" },
          position === null ? "nothing yet" : `#${position.slice(position.indexOf("-") + 1)}`,
        ),
      ),
      element(
        "td",
        { "data-label": "Grant", title: token ?? "" },
        grant,
        ends === null ? null : element("small", {}, ` ${ends}`),
      ),
    );
  }
}
