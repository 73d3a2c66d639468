/** Path and query of a stream of these channels and patterns, of the app that is named where there are several. */
export function pathOf(selection: readonly string[], app: string | null = null): string {
  const [only] = selection;
  const named = app === null ? [] : [`app=${app}`];
  if (selection.length === 1 && !only!.includes("*"))
    return `/channel/${only}/stream${named.map((one) => `?${one}`).join("")}`;
  return `/stream?${[...selection.map((name) => `channel=${name}`), ...named].join("&")}`;
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
