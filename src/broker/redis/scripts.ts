import { createHash } from "node:crypto";
import channels from "./channels.lua" with { type: "text" };
import check from "./check.lua" with { type: "text" };
import head from "./head.lua" with { type: "text" };
import known from "./known.lua" with { type: "text" };
import lowest from "./lowest.lua" with { type: "text" };
import matching from "./matching.lua" with { type: "text" };
import note from "./note.lua" with { type: "text" };
import publish from "./publish.lua" with { type: "text" };
import read from "./read.lua" with { type: "text" };
import renew from "./renew.lua" with { type: "text" };
import seek from "./seek.lua" with { type: "text" };
import since from "./since.lua" with { type: "text" };
import staying from "./staying.lua" with { type: "text" };
import state from "./state.lua" with { type: "text" };
import trim from "./trim.lua" with { type: "text" };

export interface Script {
  readonly text: string;
  /** By which the server knows it, once it has had the text. */
  readonly sha: string;
}

/** What the first line of a script says of it. Announcing counts as writing. */
const READS = "flags=no-writes";
const FREES = "flags=allow-oom";

/** Each is one atomic step of a server, of a few milliseconds at most. */
export const SCRIPTS = {
  channels: script(READS, known, matching, channels),
  check: script("", known, check),
  head: script(READS, known, head),
  lowest: script(READS, known, matching, lowest),
  note: script("", known, staying, note),
  publish: script("", known, staying, publish),
  read: script(READS, known, matching, read),
  renew: script("", renew),
  seek: script(READS, known, matching, seek),
  since: script(READS, known, matching, since),
  trim: script(FREES, known, staying, matching, trim),
} as const satisfies Record<string, Script>;

function script(flags: string, ...parts: readonly string[]): Script {
  const text = [`#!lua ${flags}`.trimEnd(), state, ...parts].join("\n");
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}
