/** Path and query of a stream of these channels and patterns. */
export function pathOf(selection: readonly string[]): string {
  const [only] = selection;
  if (selection.length === 1 && !only!.includes("*")) return `/channel/${only}/stream`;
  return `/stream?${selection.map((name) => `channel=${name}`).join("&")}`;
}

export function hasPattern(selection: readonly string[]): boolean {
  return selection.some((name) => name.includes("*"));
}

/** Whether a channel is among them, as docs/protocol.md has it. Not the server's own code, which is what is looked at. */
export function selects(selection: readonly string[]): (channel: string) => boolean {
  const forms = selection.map((name) =>
    name
      .split(".")
      .map((segment) => (segment === "**" ? ".+" : segment === "*" ? "[^.]*" : RegExp.escape(segment)))
      .join("\\."),
  );
  const form = new RegExp(`^(?:${forms.join("|")})$`);
  return (channel) => form.test(channel);
}
