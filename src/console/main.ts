import { Api, credentialOf, type Credential } from "./api.ts";
import { Channels } from "./channels.ts";
import { Doctor } from "./doctor.ts";
import { at, field, onSubmit, setText } from "./element.ts";
import { Listen } from "./listen.ts";
import { type State, wordsOf } from "./listening.ts";
import { Publish } from "./publish.ts";
import { Streams } from "./streams.ts";

const KEPT = "service-socket-credential";

/** Null where the browser gives the page none, as some do when they keep no cookies. */
function tabStorage(): Storage | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}
const storage = tabStorage();

const VIEWS = ["listen", "publish", "channels", "streams", "doctor"] as const;
type View = (typeof VIEWS)[number];

const STATES: Readonly<Record<State, string>> = {
  connecting: "connecting",
  replaying: "catching up",
  live: "live",
  reconnecting: "reconnecting",
  ended: "not listening",
};

function showState(state: State | null): void {
  setText(at("state"), state === null ? "not listening" : STATES[state]);
  at("state").className = `state ${state ?? "ended"}`;
}

/** Everything behind the door. Signing out loads the page afresh, which forgets all of it. */
function open(credential: Credential): void {
  const api = new Api(credential);
  const listen = new Listen(api, showState);
  const publish = new Publish(api);
  const channels = new Channels(api, {
    listen: (channel) => {
      listen.to([channel]);
      location.hash = "/listen";
    },
    publish: (channel) => {
      location.hash = "/publish";
      publish.to(channel);
    },
  });
  const streams = new Streams(api);
  void new Doctor(api);

  function show(): void {
    const wanted = location.hash.slice(2);
    const shown: View = VIEWS.find((view) => view === wanted) ?? (credential.kind === "none" ? "doctor" : "listen");
    for (const view of VIEWS) at(`view-${view}`).hidden = view !== shown;
    for (const link of document.querySelectorAll<HTMLElement>("nav a")) {
      if (link.dataset["view"] === shown) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    channels.shown = shown === "channels";
    streams.shown = shown === "streams";
  }
  addEventListener("hashchange", () => {
    show();
    scrollTo(0, 0);
  });
  showState(null);
  at("door").hidden = true;
  at("inside").hidden = false;
  at("leave").hidden = false;
  document.body.classList.add("entered");
  show();
}

async function enter(typed: string): Promise<void> {
  setText(at("refused"), "");
  try {
    const credential = credentialOf(typed);
    await check(credential);
    if (field("keep").checked) storage?.setItem(KEPT, typed);
    field("credential").value = "";
    open(credential);
  } catch (error) {
    at("door").hidden = false;
    storage?.removeItem(KEPT);
    setText(at("refused"), wordsOf(error));
    field("credential").focus();
  }
}

/** Rejects where the gateway does not take it. */
async function check(credential: Credential): Promise<void> {
  if (credential.kind === "secret") await new Api(credential).get("/channels", { limit: "1" });
}

onSubmit("enter", () => {
  if (field("credential").value.trim() === "")
    setText(at("refused"), "Enter a secret, a token or an address; or go on without.");
  else void enter(field("credential").value);
});
at("without").addEventListener("click", () => void enter(""));
at("leave").addEventListener("click", () => {
  storage?.removeItem(KEPT);
  location.reload();
});
at("plainly").hidden = window.isSecureContext;

const kept = storage?.getItem(KEPT) ?? null;
if (kept === null) field("credential").focus();
else {
  at("door").hidden = true;
  field("keep").checked = true;
  void enter(kept);
}
