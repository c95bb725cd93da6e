import { readSync } from 'node:fs';
import { PenumbraError } from '../errors.ts';
import { checkDistinct } from './distinct.ts';
import { openRegular } from './open.ts';
import { writeNamed, writePieces, writeWhole } from './write.ts';

/** How the files of a kind begin. */
const beginnings = {
  json: /^\s*[[{]/,
  jsonl: /^\s*\{/,
  svg: /^\s*</,
  html: /^\s*</,
  markdown: /^# /,
  parquet: /^PAR1/,
  safetensors: /^[\s\S]{8}\{/,
  npy: /^\x93NUMPY/,
  /** Predictions of samples, as CSV. */
  predictions: /^name,(label,predicted|predicted|y_|p_)/,
  /** Images that could not be read, as CSV. */
  broken: /^name,reason\n/,
  /** A lexicon of ours, or one without remarks. */
  lexicon: /^(#|phrase\t)/,
} as const;
export type ResultKind = keyof typeof beginnings;

export interface ResultOptions {
  readonly kind: ResultKind;
  /** What the verb reads: the result must be none of it. */
  readonly inputs: readonly string[];
}

/**
 * Makes sure that a result may be written where the user says: it is no input, and what is there already is of the same
 * kind. A figure is made anew at will; a thesis whose name slipped into `--json` is not overwritten by it.
 * Call it before the work, and writing calls it again.
 * @throws `files/same`, `files/exists`
 */
export function checkResult(path: string, { kind, inputs }: ResultOptions): void {
  checkDistinct(path, inputs);
  let begin: string;
  try {
    using file = openRegular(path);
    const buffer = Buffer.alloc(Math.min(4096, file.stat.size));
    begin = buffer.toString('latin1', 0, readSync(file.descriptor, buffer, 0, buffer.length, 0));
  } catch (error) {
    // Nothing is there, or a device that the user named; writing says what is wrong with all else.
    if (error instanceof PenumbraError && error.code !== 'files/not-allowed') return;
    throw error;
  }
  if (begin === '' || beginnings[kind].test(begin)) return;
  throw new PenumbraError('files/exists', `${path} exists already and is no ${kind} file`, {
    hint: 'it is not overwritten: choose another name, or delete it yourself',
    where: { file: path },
  });
}

/** Writes a result that the user asked for by name. @throws as {@link checkResult} and {@link writeWhole} */
export function writeResult(
  path: string,
  content: string | Uint8Array | Iterable<string | Uint8Array>,
  options: ResultOptions,
): void {
  checkResult(path, options);
  writeWhole(path, content);
}

/** {@link writeResult} for content that comes piece by piece. */
export async function writePiecesResult(
  path: string,
  pieces: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  options: ResultOptions,
): Promise<void> {
  checkResult(path, options);
  await writePieces(path, pieces);
}

/** {@link writeResult} for libraries that write by name. */
export async function writeNamedResult<T>(
  path: string,
  options: ResultOptions,
  fill: (temporary: string) => Promise<T>,
): Promise<T> {
  checkResult(path, options);
  return await writeNamed(path, fill);
}
