/**
 * Every error that Penumbra raises on purpose is data: a stable `code` for programs, a `message` that says what
 * was found and what was expected, and a `hint` that says what to do. Formatting is separate (`formatError`).
 */
export class PenumbraError extends Error {
  override readonly name = 'PenumbraError';
  /** Stable, machine-readable: `area/what`, e.g. `data/empty-split`. */
  readonly code: string;
  /** What the reader can do about it. */
  readonly hint: string | undefined;
  /** Where it happened: file, row, argument, class … Never patient text. */
  readonly where: Readonly<Record<string, string | number>>;

  constructor(
    code: string,
    message: string,
    options: { hint?: string; where?: Record<string, string | number>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.where = options.where ?? {};
  }

  toJSON(): { code: string; message: string; hint?: string; where: Record<string, string | number> } {
    const json = { code: this.code, message: this.message, where: { ...this.where } };
    return this.hint === undefined ? json : { ...json, hint: this.hint };
  }
}

/** One error as lines for a person: what happened, then what to do. */
export function formatError(error: unknown): string {
  if (error instanceof PenumbraError) {
    const hint = error.hint === undefined ? '' : `\n  hint: ${error.hint}`;
    return `error [${error.code}]: ${error.message}${hint}`;
  }
  return error instanceof Error ? `error: ${error.message}` : `error: ${String(error)}`;
}
