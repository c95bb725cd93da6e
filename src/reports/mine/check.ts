import type { FindingSet } from '../findings/findings.ts';
import type { Lexicon } from '../lexicon/lexicon.ts';
import { createAssessor } from '../rules/assess.ts';
import type { Report, Status } from '../types.ts';
import { CorpusReader } from './corpus.ts';

/** An entry whose example does not come out as it says. */
export interface WrongExample {
  readonly line: number;
  readonly phrase: string;
  readonly expected: Status;
  readonly got: Status;
  /** The entry's cue was not even seen in its example. */
  readonly unseen: boolean;
}

export interface LexiconCoverage {
  readonly reports: number;
  /** Mentions of findings, by what the lexicon makes of them. */
  readonly mentions: Readonly<Record<string, number>>;
  /** Mentions in sentences with a word that looks like doubt. */
  readonly doubtful: number;
  /**
   * Of these, mentions in sentences where every such word belongs to a cue that judges one of the mentions, or where
   * none of them is called present.
   */
  readonly covered: number;
  /** covered / doubtful; null without any. */
  readonly coverage: number | null;
  /** Words that look like doubt and belong to no cue, most frequent first. */
  readonly uncovered: readonly { readonly word: string; readonly count: number }[];
  /**
   * Hedges that were seen beside a mention and judged none: they look the wrong way, do not reach, or speak of something
   * else ("likely chronic"). Most frequent first, with up to two sentences, which hold text of the reports.
   */
  readonly idle: readonly {
    readonly line: number;
    readonly phrase: string;
    readonly count: number;
    readonly seen: number;
    readonly contexts: readonly string[];
  }[];
  /** How often each entry was seen, most frequent first; with 0 for those never seen. */
  readonly entries: readonly { readonly line: number; readonly phrase: string; readonly count: number }[];
}

/** Tries every entry on its own example. */
export function checkExamples(lexicon: Lexicon, findings: FindingSet): WrongExample[] {
  const assessor = createAssessor({ lexicon, findings });
  const wrong: WrongExample[] = [];
  for (const { example, expected, kind, line, pattern } of lexicon.entries) {
    if (example === '') continue;
    const start = example.indexOf('[');
    const text = example.replace(/[[\]]/g, '');
    const got = assessor.assessMention(text, [start, example.indexOf(']') - 1]).status;
    // A word of extent is no cue of its own; it changes what a denial is worth.
    const unseen =
      kind !== 'extent' && kind !== 'ahead' && !assessor.cuesIn(text).some((cue) => cue.line === line);
    if (got !== expected || unseen) wrong.push({ line, phrase: pattern, expected, got, unseen });
  }
  return wrong;
}

/** How much of a corpus's doubt the lexicon covers. */
export async function checkCoverage(
  reports: AsyncIterable<readonly Report[]>,
  lexicon: Lexicon,
  findings: FindingSet,
): Promise<LexiconCoverage> {
  const reader = new CorpusReader(lexicon, findings);
  const assessor = createAssessor({ lexicon, findings });
  const seen = new Float64Array(lexicon.entries.length);
  const mentions: Record<string, number> = {};
  const uncovered = new Map<string, number>();
  const idle = new Map<number, { count: number; contexts: string[] }>();
  let doubtful = 0;
  let covered = 0;
  let count = 0;
  for await (const batch of reports) {
    for (const report of batch) {
      count++;
      for (const row of assessor.assessReport(report)) {
        if (row.status !== 'not_mentioned') mentions[row.status] = (mentions[row.status] ?? 0) + 1;
      }
      for (const { text, words, cue, judges, plain, mentions: found } of reader.read(report)) {
        let doubts = 0;
        let free = 0;
        const inMention = new Uint8Array(words.length);
        for (const { start, end } of found) inMention.fill(1, start, end);
        words.forEach((word, i) => {
          if (cue[i]! >= 0 && (i === 0 || cue[i - 1] !== cue[i])) {
            seen[cue[i]!]!++;
            if (judges[i] === 0 && plain && reader.kindOf(cue[i]!) === 'hedge') {
              const one = idle.get(cue[i]!) ?? { count: 0, contexts: [] };
              one.count++;
              if (one.contexts.length < 2) one.contexts.push(text.replace(/\s+/g, ' ').slice(0, 300));
              idle.set(cue[i]!, one);
            }
          }
          if (inMention[i] || !lexicon.language.looksLikeDoubt(word)) return;
          doubts++;
          if (judges[i] === 1 || !plain) return;
          free++;
          if (cue[i]! >= 0) return; // counted under its entry
          uncovered.set(word, (uncovered.get(word) ?? 0) + 1);
        });
        if (doubts > 0) {
          doubtful += found.length;
          if (free === 0) covered += found.length;
        }
      }
    }
  }
  return {
    reports: count,
    mentions,
    doubtful,
    covered,
    coverage: doubtful === 0 ? null : covered / doubtful,
    uncovered: [...uncovered]
      .map(([word, n]) => ({ word, count: n }))
      .sort((a, b) => b.count - a.count || (a.word < b.word ? -1 : 1)),
    idle: [...idle]
      .map(([entry, one]) => ({
        line: lexicon.entries[entry]!.line,
        phrase: lexicon.entries[entry]!.pattern,
        seen: seen[entry]!,
        ...one,
      }))
      .sort((a, b) => b.count - a.count || a.line - b.line),
    entries: lexicon.entries
      .map(({ line, pattern, example }, i) => ({ line, phrase: pattern, count: seen[i]!, example }))
      .filter(({ example }) => example !== '')
      .map(({ line, phrase, count: n }) => ({ line, phrase, count: n }))
      .sort((a, b) => b.count - a.count || a.line - b.line),
  };
}
