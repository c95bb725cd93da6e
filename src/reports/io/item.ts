import type { Report } from '../types.ts';

/** A report, or the reason why there is none under this id. The reason never holds text of the report. */
export type InputItem = { readonly report: Report } | { readonly id: string; readonly failure: string };

export interface InputOptions {
  /** Column of the report's id; default: the first of `idColumns` that exists, else the number of the row. */
  idColumn?: string;
  /** Column of the whole text; default: the first of `textColumns`, else the section columns. */
  textColumn?: string;
  /** Longer reports (UTF-16 units) become failures. Default 1,000,000. */
  longestText?: number;
  /** Also read what links in the folder lead to outside it. Default: false. */
  allowOutside?: boolean;
  /** Encoding of text files; default `utf-8`. Whatever a `TextDecoder` knows. */
  encoding?: string;
}

/** Why a text could not be decoded. */
export const notUtf8 =
  'the text is not valid UTF-8; name its encoding with --encoding (for example windows-1252)';

export function tooLong(length: number, longest: number): string {
  return `the report has ${length > longest ? `more than ${longest}` : length} characters; is this one report?`;
}
