/**
 * A wrong setting, which stops the start. The message is one line: the setting as its owner wrote it, and what it takes.
 * It never holds a secret.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** The setting as it was written: `SOCKET_HEARTBEAT`, `--heartbeat`, `heartbeat in conf.toml`. */
  readonly setting: string;

  constructor(setting: string, takes: string) {
    super(printable(`${setting}: ${takes}`));
    this.setting = printable(setting);
  }
}

/** Keys of a file can hold anything; a line of a log or a terminal must not. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, " ");
}
