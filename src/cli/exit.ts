/** What a command ends with. Numbers from 64 on are those of sysexits.h. */
export const EXIT = {
  ok: 0,
  /** `doctor`: a problem was found. */
  problem: 1,
  /** `doctor`: it could not look. */
  couldNotLook: 2,
  /** The command was not understood (EX_USAGE). */
  usage: 64,
  /** What was to be sent is refused (EX_DATAERR). */
  data: 65,
  /** The gateway does not answer, or takes nothing right now (EX_UNAVAILABLE). */
  unavailable: 69,
  /** The credential is refused (EX_NOPERM). */
  noPermission: 77,
  /** A setting is wrong or missing (EX_CONFIG). */
  config: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command: one line for standard error, and the exit code. Holds no secret. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: ExitCode;

  constructor(code: ExitCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** As a help text shows them. */
export function exitCodes(...lines: readonly (readonly [ExitCode, string])[]): string {
  return ["Exit codes:", ...lines.map(([code, what]) => `  ${String(code).padEnd(4)} ${what}`)].join("\n");
}
