import { PenumbraError } from '../../errors.ts';
import { type Section, sectionNames } from '../types.ts';
import { parseTable } from './table.ts';

/**
 * What the rules know of a language beside its cues: data, in the folder of the language (`lexicon/en/`), which holds
 * `cues.tsv` (the lexicon), `headings.tsv` and `words.tsv`.
 */
export interface Language {
  /** Headings as they are written in reports, lower case. */
  readonly headings: Readonly<Record<Section, readonly string[]>>;
  /** Words whose full stop ends no sentence, lower case, without the stop. */
  readonly abbreviations: readonly string[];
  /** Does the word (lower case) look like one of doubt? For mining only: what is a hedge, the lexicon says. */
  looksLikeDoubt(word: string): boolean;
  /** Words that say nothing by themselves. */
  readonly functionWords: ReadonlySet<string>;
  /** The files' text, for fingerprints. */
  readonly text: string;
}

const wordKinds = ['abbreviation', 'doubt', 'function'] as const;

/**
 * Reads the two tables of a language.
 * @throws PenumbraError `reports/language` naming file and line for a section or kind that is not known.
 */
export function parseLanguage(headings: string, words: string, name: string): Language {
  const bySection = Object.fromEntries(sectionNames.map((section) => [section, [] as string[]])) as Record<
    Section,
    string[]
  >;
  const oneOf = (value: string, known: readonly string[], file: string, line: number): void => {
    if (known.includes(value)) return;
    throw new PenumbraError('reports/language', `${file}, line ${line}: "${value}" is not known.`, {
      hint: `Expected one of: ${known.join(', ')}.`,
      where: { file, line },
    });
  };
  const headingsFile = `${name}/headings.tsv`;
  for (const { line, cells } of parseTable(headings, ['section', 'heading'], headingsFile)) {
    oneOf(cells.section!, sectionNames, headingsFile, line);
    bySection[cells.section as Section].push(cells.heading!.toLowerCase());
  }
  const byKind: Record<string, string[]> = { abbreviation: [], doubt: [], function: [] };
  const wordsFile = `${name}/words.tsv`;
  for (const { line, cells } of parseTable(words, ['kind', 'word'], wordsFile)) {
    oneOf(cells.kind!, wordKinds, wordsFile, line);
    byKind[cells.kind!]!.push(cells.word!.toLowerCase());
  }
  const whole = new Set(byKind.doubt!.filter((word) => !word.endsWith('*')));
  const stems = byKind.doubt!.filter((word) => word.endsWith('*')).map((word) => word.slice(0, -1));
  return {
    headings: bySection,
    abbreviations: byKind.abbreviation!,
    looksLikeDoubt: (word) => whole.has(word) || stems.some((stem) => word.startsWith(stem)),
    functionWords: new Set(byKind.function),
    text: `${headings}\n${words}`,
  };
}
