import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CommandError, EXIT } from "./exit.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What help texts say of it. */
export const SECRET_HELP = `The app's secret is read from --secret-file, else APP_SECRET, SOCKET_SECRET_FILE, or \`secret\` in the folder
SOCKET_DATA (data): where the gateway has it, when both run in the same folder. It is never given on the command line,
which process lists show.`;

/**
 * The app's secret, as the gateway itself finds it; the first of several. Null where none is set and there is no file.
 * Throws CommandError `config` for a file that is named and cannot be read.
 */
export function findSecret(file: string | undefined, env: Environment): string | null {
  if (file !== undefined) return firstOf(read(file, true)!, file);
  const { APP_SECRET, SOCKET_SECRET_FILE, SOCKET_DATA = "data" } = env;
  if (APP_SECRET !== undefined && APP_SECRET !== "") return firstOf(APP_SECRET, "APP_SECRET");
  if (SOCKET_SECRET_FILE !== undefined) return firstOf(read(SOCKET_SECRET_FILE, true)!, SOCKET_SECRET_FILE);
  const made = join(SOCKET_DATA, "secret");
  const text = read(made, false);
  return text === null ? null : firstOf(text, made);
}

/** As `findSecret`; throws CommandError `config` where there is none. */
export function needSecret(file: string | undefined, env: Environment): string {
  const secret = findSecret(file, env);
  if (secret !== null) return secret;
  const made = join(env["SOCKET_DATA"] ?? "data", "secret");
  const message = `there is no secret: ${made} is not there. Run this in the gateway's folder, set APP_SECRET, or give --secret-file`;
  throw new CommandError(EXIT.config, message);
}

function read(path: string, isNamed: boolean): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as { code?: string }).code ?? "unknown reason";
    if (code === "ENOENT" && !isNamed) return null;
    throw new CommandError(EXIT.config, `the secret file ${path} cannot be read (${code})`);
  }
}

function firstOf(text: string, from: string): string {
  const secret = text.split(",")[0]!.trim();
  if (/^[\x21-\x7e]+$/.test(secret)) return secret;
  throw new CommandError(EXIT.config, `${from} holds no secret`);
}
