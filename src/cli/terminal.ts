/**
 * What may stand on a terminal: a message, or what a server answers, can hold anything, and control characters make
 * terminals do things (ECMA-48). Line ends and tabs stay.
 */
export function shown(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (character) =>
    character === "\n" || character === "\t"
      ? character
      : `\\x${character.codePointAt(0)!.toString(16).padStart(2, "0")}`,
  );
}

/** The reader of the output has gone, as `head` does: a reason to end, and no fault. */
export class OutputClosed extends Error {}

/**
 * Writes to standard output; resolves once it is taken, so that a slow reader slows down what is read. To a terminal
 * without control characters, to anything else as it is.
 */
export function print(text: string): Promise<void> {
  if (process.stdout.listenerCount("error") === 0) process.stdout.on("error", () => undefined); // told to the writer
  return new Promise((resolve, reject) => {
    process.stdout.write(process.stdout.isTTY ? shown(text) : text, (error) => {
      if (error === undefined || error === null) resolve();
      else reject((error as { code?: string }).code === "EPIPE" ? new OutputClosed() : error);
    });
  });
}

/** A line for whoever runs the command, on standard error. */
export function note(text: string): void {
  process.stderr.write(`${shown(text)}\n`);
}
