import { randomBytes } from "node:crypto";
import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { ConfigError } from "../config/error.ts";

export interface LoadedSecret {
  /** What the file holds, without one line end after it. Not checked. */
  readonly text: string;
  /** True when the file was made by this call. */
  readonly made: boolean;
  /** A sentence for the log when others than the owner can read the file. */
  readonly warning: string | null;
}

/**
 * The secret in a file; when there is no such file, a new one of 32 random bytes in base64url (43 characters), with
 * mode 0600, in a folder that is made with mode 0700 if it is missing. Of several processes that start at once all get
 * the same secret, and none ever reads half of one. Throws ConfigError when the file can be neither read nor made, or is
 * missing where none may be made.
 */
export function loadOrMakeSecret(path: string, mayMake = true): LoadedSecret {
  try {
    const found = read(path);
    if (found !== null) return found;
    if (!mayMake)
      throw new ConfigError(
        path,
        "there is no such file; one is made on a first start only, and not for a Redis, whose nodes all take the same",
      );
    return make(path);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(path, `the secret file can be neither read nor made (${codeOf(error) ?? "unknown reason"})`);
  }
}

/** What a file of keys holds. Throws ConfigError when it cannot be read. */
export function loadSecret(path: string): LoadedSecret {
  let loaded: LoadedSecret | null;
  try {
    loaded = read(path);
  } catch (error) {
    throw new ConfigError(path, `the file cannot be read (${codeOf(error) ?? "unknown reason"})`);
  }
  if (loaded !== null) return loaded;
  throw new ConfigError(path, "there is no such file");
}

function read(path: string): LoadedSecret | null {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
  try {
    const text = readFileSync(file, "utf8").replace(/\r?\n$/, "");
    const mode = fstatSync(file).mode & 0o777;
    const open = (mode & 0o077) !== 0 && process.platform !== "win32";
    const warning = `${path} has mode 0${mode.toString(8)}, so that others can read the secret; chmod 600 closes it`;
    return { text, made: false, warning: open ? warning : null };
  } finally {
    closeSync(file);
  }
}

function make(path: string): LoadedSecret {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // Not passed in like other randomness: no caller may choose where a key comes from.
  const text = randomBytes(32).toString("base64url");
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  const file = openSync(draft, "wx", 0o600);
  try {
    writeSync(file, `${text}\n`);
    fsyncSync(file);
    // Unlike a rename, a link fails when another process was first.
    linkSync(draft, path);
  } catch (error) {
    const other = codeOf(error) === "EEXIST" ? read(path) : null;
    if (other === null) throw error;
    return other;
  } finally {
    closeSync(file);
    unlinkSync(draft);
  }
  return { text, made: true, warning: null };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as { code?: string }).code : undefined;
}
