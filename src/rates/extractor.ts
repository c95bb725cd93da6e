/** A rate generation network as an extractor of reports, like the rules and the language model. */
import { PenumbraError } from '../errors.ts';
import {
  type Evidence,
  type Extractor,
  type ExtractorRequest,
  type FindingRow,
  failedRow,
  type Language,
  type OpenedExtractor,
  type Report,
} from '../reports/index.ts';
import { noGrad, tidy } from '../torch/index.ts';
import { tensorsOf, tokenBatch } from './batch.ts';
import { PlacedReader, type PlacedReport, type PlacedWord } from './corpus.ts';
import { type LoadedRates, loadRates } from './folder.ts';
import { meaningOf } from './outputs.ts';
import { languageIdentity } from './train.ts';

/** Longer reports (UTF-16 units) are refused, as the rules do. */
const LONGEST_TEXT = 1_000_000;
/** Pieces of a report that are read: some ten times a long one. */
export const MOST_PIECES = 4096;
/** Places (reports × pieces of the longest) that are computed at once: what memory holds. */
const MOST_PLACES = 1 << 15;
/** Reports that the loop of `extract` hands over at once: so many repeat sentences. */
const BATCH = 256;
/** Words that count as evidence have so much of the attention of the word that has most, and there are so many at most. */
const EVIDENCE_SHARE = 0.25;
const MOST_EVIDENCE = 5;

/**
 * Opens the network of `flags.network`.
 * @throws `rates/findings` where it is of another set of findings; `rates/language` for other headings; `rates/network`
 */
export function openRatesExtractor({ findings, flags, assessor }: ExtractorRequest): OpenedExtractor {
  const { network: path, longest } = flags as { network?: string; longest?: number };
  if (path === undefined) {
    throw new PenumbraError('usage/network', 'the extractor rgn needs a network', {
      hint: 'name the folder that `penumbra rates train` wrote: --network runs/rgn',
    });
  }
  const rates = loadRates(path);
  const close = async () => rates.network.dispose();
  try {
    checkFindings(rates, findings.findings, path);
    const { language } = assessor.lexicon;
    if (languageIdentity(language) !== rates.description.language) {
      throw new PenumbraError('rates/language', `${path} was trained with other headings and abbreviations`, {
        hint: 'give the --lexicon that it was trained with',
        where: { file: path },
      });
    }
    return {
      extractor: ratesExtractor(rates, { findings: findings.findings, language, longest }),
      close,
      info: () => '',
    };
  } catch (error) {
    rates.network.dispose();
    throw error;
  }
}

function checkFindings({ description }: LoadedRates, wanted: readonly string[], path: string): void {
  const own = new Set(description.findings);
  const missing = wanted.filter((finding) => !own.has(finding));
  if (missing.length === 0 && own.size === wanted.length) return;
  const more = description.findings.filter((finding) => !wanted.includes(finding));
  const parts = [
    ...(missing.length > 0 ? [`it does not know ${missing.join(', ')}`] : []),
    ...(more.length > 0 ? [`it knows ${more.join(', ')} besides`] : []),
  ];
  throw new PenumbraError(
    'rates/findings',
    `${path} is a network of another set of findings: ${parts.join('; ')}`,
    {
      hint: 'choose its set with --findings, or train a network for this one',
      where: { file: path },
    },
  );
}

export interface RatesExtractorOptions {
  /** The network's findings, in the order in which rows are wanted. */
  readonly findings?: readonly string[];
  /** What it was trained with; default: of the shipped lexicon. */
  readonly language?: Language;
  /** Longer reports (UTF-16 units) become failed rows. Default 1,000,000. */
  readonly longest?: number | undefined;
}

/**
 * The extractor of a loaded network. Computes in single precision on the CPU, so that a row does not depend on the machine
 * beyond its last decimal; rows do not depend on what else is in a batch.
 */
export function ratesExtractor(rates: LoadedRates, options: RatesExtractorOptions = {}): Extractor {
  const { findings = rates.description.findings, language, longest = LONGEST_TEXT } = options;
  const { network, deviationScale, version, tokenizer } = rates;
  const stamp = { extractor: 'rgn', version };
  const columns = findings.map((finding) => rates.description.findings.indexOf(finding));
  const k = rates.description.findings.length;
  const reader = new PlacedReader(tokenizer, language);

  /** The rows of some reports whose pieces are computed together. */
  const rowsOf = (
    some: readonly { readonly id: string; readonly placed: PlacedReport }[],
  ): FindingRow[][] => {
    const batch = tokenBatch(some.map(({ placed }) => placed.pieces));
    const [mentioned, certainty, doubt, attention] = tidy(() =>
      noGrad(() => {
        const output = network.read(tensorsOf(batch, 'cpu'));
        return [output.mentioned, output.certainty, output.doubt, output.attention].map((x) =>
          x.contiguous().toTypedArray(),
        );
      }),
    ) as [Float32Array, Float32Array, Float32Array, Float32Array];
    return some.map(({ id, placed }, i) =>
      columns.map((column, f): FindingRow => {
        const at = i * k + column;
        const meaning = meaningOf(mentioned[at]!, certainty[at]!, doubt[at]!, deviationScale);
        const weights = attention.subarray(at * batch.length, at * batch.length + placed.words.length);
        const row = {
          id,
          finding: findings[f]!,
          ...meaning,
          evidence: meaning.probability === null ? [] : evidenceOf(placed.words, weights),
          ...stamp,
        };
        if (placed.leftOut === 0) return row;
        return {
          ...row,
          reason: `long report: the last ${placed.leftOut} of ${placed.leftOut + MOST_PIECES} pieces were not read`,
        };
      }),
    );
  };

  const extractBatch = (reports: readonly Report[]): FindingRow[][] => {
    const rows = new Array<FindingRow[]>(reports.length);
    const ready: { readonly at: number; readonly id: string; readonly placed: PlacedReport }[] = [];
    reports.forEach((report, at) => {
      const length = lengthOf(report);
      if (length > longest) {
        const reason = `the report has ${length} characters, and ${longest} are read at most`;
        rows[at] = [failedRow(report.id, '', reason, stamp)];
      } else ready.push({ at, id: report.id, placed: reader.read(report, MOST_PIECES) });
    });
    // Reports of like length together: all are padded to the longest.
    ready.sort((a, b) => a.placed.words.length - b.placed.words.length || a.at - b.at);
    for (let from = 0; from < ready.length; ) {
      let to = from + 1;
      while (to < ready.length && (to + 1 - from) * ready[to]!.placed.words.length <= MOST_PLACES) to++;
      const some = ready.slice(from, to);
      for (const [i, own] of rowsOf(some).entries()) rows[some[i]!.at] = own;
      from = to;
    }
    return rows;
  };

  return {
    name: 'rgn',
    version,
    concurrency: 1,
    rowsPerReport: findings.length,
    batchSize: BATCH,
    extractBatch,
    extract: (report) => extractBatch([report])[0]!,
  };
}

function lengthOf({ text = '', sections = [] }: Report): number {
  return sections.reduce((sum, section) => sum + section.text.length, text.length);
}

/** The words that a finding's query attended to most, neighbours joined; the one with most attention first. */
function evidenceOf(words: PlacedReport['words'], weights: Float32Array): Evidence[] {
  const shares = new Map<PlacedWord, number>();
  words.forEach((word, i) => {
    if (word !== undefined) shares.set(word, (shares.get(word) ?? 0) + weights[i]!);
  });
  const order = [...shares].sort(([, a], [, b]) => b - a);
  const least = (order[0]?.[1] ?? 0) * EVIDENCE_SHARE;
  const chosen = new Set(
    order
      .filter(([, share]) => share >= least)
      .slice(0, MOST_EVIDENCE)
      .map(([word]) => word),
  );
  const joined: { sentence: PlacedWord['sentence']; start: number; end: number; share: number }[] = [];
  for (const [word, share] of shares) {
    if (!chosen.has(word)) continue;
    const { sentence, start, end } = word;
    const last = joined.at(-1);
    if (last?.sentence === sentence && /^\s*$/.test(sentence.text.slice(last.end, start)))
      Object.assign(last, { end, share: Math.max(last.share, share) });
    else joined.push({ sentence, start, end, share });
  }
  return joined
    .sort((a, b) => b.share - a.share)
    .map(({ sentence, start, end }) => ({
      phrase: sentence.text.slice(start, end),
      start,
      end,
      section: sentence.section,
      sentence: sentence.text.slice(sentence.start, sentence.end),
    }));
}
