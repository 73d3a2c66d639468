import { button, element, setText } from "./element.ts";

const TOLD_MS = 1500;

/** A button that copies what `text` gives, and says that it did. */
export function copyButton(words: string, label: string, text: () => string): HTMLButtonElement {
  const made = button(words, { class: "copy", "aria-label": label }, () => {
    void copy(text()).then((done) => {
      setText(made, done ? "Copied" : "Not copied");
      setTimeout(() => setText(made, words), TOLD_MS);
    });
  });
  return made;
}

async function copy(text: string): Promise<boolean> {
  // Pages that came by plain HTTP from another machine have no clipboard of their own.
  if (navigator.clipboard === undefined) return copySelected(text);
  return await navigator.clipboard.writeText(text).then(
    () => true,
    () => copySelected(text),
  );
}

function copySelected(text: string): boolean {
  const area = element("textarea", { class: "off" });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
