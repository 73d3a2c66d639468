import { at, button, element, field } from "./element.ts";

/** Several names, typed one after the other: Enter, a comma or a space ends one, Backspace takes the last one back. */
export class Chips {
  readonly #field: HTMLInputElement;
  readonly #list: HTMLElement;
  readonly #what: string;
  readonly #onChange: () => void;
  readonly #placeholder: string;
  #names: readonly string[];

  constructor(id: string, what: string, names: readonly string[], onChange: () => void) {
    this.#field = field(id);
    this.#list = at(`${id}-chips`);
    this.#what = what;
    this.#placeholder = this.#field.placeholder;
    this.#names = names;
    this.#onChange = onChange;
    this.#field.addEventListener("keydown", (event) => {
      if (event.key === "Backspace" && this.#field.value === "") this.names = this.#names.slice(0, -1);
      else if ((event.key === "Enter" && this.#field.value !== "") || event.key === "," || event.key === " ") {
        event.preventDefault();
        this.take();
      }
    });
    // Not taken when the field is left: the list would grow under the button that is being pressed.
    this.#field.addEventListener("input", () => this.#onChange());
    this.#show();
  }

  /** With what is still being typed. */
  get names(): readonly string[] {
    return [...new Set([...this.#names, ...this.#typed])];
  }

  set names(names: readonly string[]) {
    this.#names = [...new Set(names)];
    this.#show();
    this.#onChange();
  }

  /** Ends the name that is being typed. */
  take(): void {
    const names = this.names;
    this.#field.value = "";
    this.names = names;
  }

  get #typed(): readonly string[] {
    return this.#field.value.split(/[\s,]+/).filter((name) => name !== "");
  }

  #show(): void {
    this.#field.placeholder = this.#names.length === 0 ? this.#placeholder : "";
    this.#list.replaceChildren(
      ...this.#names.map((name) =>
        element(
          "li",
          { class: name.includes("*") ? "chip pattern" : "chip" },
          element("span", {}, name),
          button("×", { "aria-label": `Remove ${this.#what} ${name}` }, () => {
            this.names = this.#names.filter((other) => other !== name);
            this.#field.focus();
          }),
        ),
      ),
    );
  }
}
