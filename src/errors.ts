/** What went wrong, as a literal that callers and tests may branch on. */
export type ErrorCode =
  | "usage" // the command line asks for what does not exist
  | "input" // a file, recipe, archive or bundle is not what it should be
  | "limit" // input exceeds a bound that we set on purpose
  | "lacking" // this machine lacks a tool or a right; the hint says how to get it
  | "build" // the project's own build failed
  | "outside" // the network, a registry or a key service failed
  | "conflict" // something with that name or digest exists and differs
  | "refused"; // a rule forbids it

/** Exit codes of every verb: DESIGN.md, "The command line". */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

/**
 * The one error class. `message` names the offending value, in lower case and
 * without a full stop; `hint` says what a person can do about it.
 */
export class BitforbitError extends Error {
  override readonly name = "BitforbitError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

export function exitCodeOf(error: unknown): ExitCode {
  if (!(error instanceof BitforbitError)) return 2;
  switch (error.code) {
    case "build":
      return 3;
    case "outside":
      return 4;
    case "refused":
      return 1;
    default:
      return 2;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` that Node puts on system errors ("ENOENT", …), if there is one. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof BitforbitError) return undefined;
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return undefined;
}
