/** Whatever comes from outside goes in as text: nothing here, and nothing else in the console, makes markup of a string. */
export type Child = Node | string | null;

/** Attributes that are safe whatever they hold: none that runs, loads or leads anywhere. */
export interface Attributes {
  readonly class?: string;
  readonly title?: string;
  readonly type?: "button";
  readonly role?: string;
  readonly scope?: "row";
  /** Where it scrolls, so that keys reach it. */
  readonly tabindex?: "0";
  readonly datetime?: string;
  readonly "aria-label"?: string;
  readonly "data-label"?: string;
}

/** A new element. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value as string);
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function button(words: string, attributes: Attributes, act: () => void): HTMLButtonElement {
  const made = element("button", { type: "button", ...attributes }, words);
  made.addEventListener("click", act);
  return made;
}

/** The element of the page with this id. */
export function at(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no #${id}.`);
  return found;
}

/** As `at`, of what is typed into or chosen from. */
export function field(id: string): HTMLInputElement {
  return at(id) as HTMLInputElement;
}

/** Sets the text only where it differs, so that what is read aloud or selected is left alone. */
export function setText(of: Element, text: string): void {
  if (of.textContent !== text) of.textContent = text;
}

/** Asks for nothing but the form's own action: a page must not be left by Enter. */
export function onSubmit(id: string, act: () => void): void {
  at(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act();
  });
}
