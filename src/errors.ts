import { printable } from './files/text.ts';

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

/**
 * One error as lines for a person: what happened, then what to do. Control characters in names are shown, not obeyed.
 * What was not raised on purpose is named by its kind alone: messages of libraries quote what they were reading, and
 * that may be a patient's. `PENUMBRA_DEBUG=1` shows them.
 */
export function formatError(error: unknown): string {
  if (error instanceof PenumbraError) {
    const hint = error.hint === undefined ? '' : `\n  hint: ${printable(error.hint)}`;
    return `error [${error.code}]: ${printable(error.message)}${hint}`;
  }
  if (process.env.PENUMBRA_DEBUG === '1') {
    return error instanceof Error ? `error: ${error.stack ?? error.message}` : `error: ${String(error)}`;
  }
  const kind = error instanceof Error ? error.name : typeof error;
  const frames = error instanceof Error ? framesOf(error) : '';
  return `error [internal]: a fault in Penumbra or in a library it uses (${kind})\n  hint: PENUMBRA_DEBUG=1 shows its message, which may quote your data${frames}`;
}

/** Where an error came from, without what it says. */
function framesOf(error: Error): string {
  const lines = (error.stack ?? '').split('\n').filter((line) => /^\s+at .*:\d+:\d+\)?$/.test(line));
  return lines
    .slice(0, 8)
    .map((line) => `\n${printable(line)}`)
    .join('');
}
