/** What a rate generation network is trained on: reports, their rows, and whose they are. */
import { PenumbraError } from '../errors.ts';
import { Identity } from '../files/index.ts';
import { Random } from '../random.ts';
import {
  type InputOptions,
  type Language,
  type Report,
  readableReports,
  readRows,
  reportKey,
} from '../reports/index.ts';
import { Corpus, type WordSentence } from './corpus.ts';
import { type Choice, chosenReports, REPORT_COLUMNS, readTable, reportsOf, type Table } from './table.ts';
import type { WordSplitter } from './words.ts';

export type RateSplit = 'train' | 'val' | 'test';

/** A report with what its rows say of K findings. */
export interface RateExample {
  readonly id: string;
  readonly sentences: readonly WordSentence[];
  /** Its place in the targets: cell k is `row · K + k`. */
  readonly row: number;
}

export interface RateTargets {
  /** K findings. */
  readonly findings: readonly string[];
  /** N×K: P(finding); anything where nothing is said. */
  readonly probability: Float32Array;
  /** N×K: 1 where the report says something that has a probability. */
  readonly said: Uint8Array;
  /** N×K: 1 where nothing is known of the cell: its row failed, and it trains nothing. */
  readonly unknown: Uint8Array;
}

export interface RateData {
  readonly corpus: Corpus;
  readonly targets: RateTargets;
  readonly splits: Readonly<Record<RateSplit, readonly RateExample[]>>;
  /** Split by report, in the order of the reports: what the run keeps. */
  readonly splitOf: ReadonlyMap<string, RateSplit>;
  /** Reports of the input without a row, and rows without a report. */
  readonly unmatched: { readonly reports: number; readonly rows: number };
  /** Phrases that training must not meet, as they stand in a text. */
  readonly heldOut: readonly RegExp[];
  /** Identifies words, targets and splits. */
  readonly fingerprint: string;
  /** What a person should know before training on it. */
  readonly notes: readonly string[];
}

export interface RateDataOptions extends InputOptions {
  /** The K findings in their order; default: as they stand in the rows. */
  readonly findings?: readonly string[];
  /**
   * A CSV by report: `report` (or `id`), `patient`, and `split` (train, val, test), each of the last two where it is known.
   * Default: the reports themselves, where they are a CSV with such columns.
   */
  readonly splits?: string;
  /** What becomes of reports that this table has no split for, where it has any. Default: `refuse`. */
  readonly unlisted?: 'refuse' | 'leave out';
  /** Shares of the patients where no splits are given. */
  readonly val?: number;
  readonly test?: number;
  readonly seed?: number;
  /** Phrases whose reports, and all others of their patients, make the test split. */
  readonly holdOutHedges?: readonly string[];
  /** The same of reports by a column of the table: those of some readers, of a hospital. */
  readonly holdOut?: Choice;
  /** Headings and abbreviations; default: of the shipped lexicon. */
  readonly language?: Language;
  /** Cuts texts into words as the tokenizer of a trained encoder wants them; default: that of the compact one. */
  readonly split?: WordSplitter;
}

/**
 * Reads reports and rows.
 * @throws `rates/no-match` where no report has rows
 * @throws `rates/splits` where a patient is on two sides, or nothing is left to train on
 */
export async function readRateData(
  input: string,
  rows: string | readonly string[],
  options: RateDataOptions = {},
): Promise<RateData> {
  const found = await readRows(rows, options.findings === undefined ? {} : { findings: options.findings });
  const k = found.findings.length;
  const failed = found.status.map((code) => (code === FAILED ? 1 : 0));
  const targets: RateTargets = {
    findings: found.findings,
    probability: found.probability.map((p) => (Number.isNaN(p) ? 0 : p)),
    said: found.mask,
    unknown: failed,
  };
  const rowOf = new Map(found.ids.map((id, row) => [reportKey(id), row]));
  const whose = new Owners(input, options);
  const corpus = new Corpus(options.language, options.split);
  const hedges = (options.holdOutHedges ?? []).map(phrasePattern);
  const read: { readonly example: RateExample; readonly heldOut: boolean }[] = [];
  let without = 0;
  for await (const batch of readableReports(input, options)) {
    for (const report of batch) {
      const row = rowOf.get(reportKey(report.id));
      if (row === undefined) {
        without++;
        continue;
      }
      rowOf.delete(reportKey(report.id));
      const sentences = corpus.read(report);
      const heldOut =
        whose.heldOut.has(reportKey(report.id)) ||
        hedges.some((hedge) => textsOf(report).some((text) => hedge.test(text)));
      read.push({ example: { id: report.id, sentences, row }, heldOut });
    }
  }
  if (read.length === 0) {
    throw new PenumbraError('rates/no-match', `no report of ${input} has a row`, {
      hint: `the rows are of ${found.ids.length} reports, the input has ${without} others: are these the rows of these reports?`,
      where: { file: input },
    });
  }
  const sides = whose.split(
    read.map(({ example, heldOut }) => ({ id: example.id, heldOut })),
    options,
  );
  const splits: Record<RateSplit, RateExample[]> = { train: [], val: [], test: [] };
  const identity = new Identity().add(JSON.stringify(targets.findings));
  for (const [i, { example }] of read.entries()) {
    const split = sides.splits[i];
    if (split === undefined) continue;
    splits[split].push(example);
    identity.add(example.id).add(split);
    for (const { section, words: numbers } of example.sentences) {
      identity.add(section).add(numbers);
    }
    for (let at = example.row * k; at < (example.row + 1) * k; at++)
      identity.add(targets.said[at]! * 2 + targets.unknown[at]!).add(targets.probability[at]!);
  }
  identity.add(corpus.words.join('\0'));
  if (splits.train.length === 0) {
    throw new PenumbraError('rates/splits', 'no report is left to train on', {
      hint: 'give smaller shares, fewer phrases to hold out, or splits of your own',
    });
  }
  const notes = [...sides.notes];
  for (const [f, finding] of targets.findings.entries()) {
    const said = splits.train.filter(({ row }) => targets.said[row * k + f] === 1).length;
    if (said === 0) notes.push(`nothing is said of ${finding} in the reports to train on`);
  }
  return {
    corpus,
    targets,
    splits,
    splitOf: new Map(
      read.flatMap(({ example }, i) =>
        sides.splits[i] === undefined ? [] : [[example.id, sides.splits[i]]],
      ),
    ),
    unmatched: { reports: without, rows: rowOf.size },
    heldOut: hedges,
    fingerprint: identity.digest(),
    notes,
  };
}

/** The code of a failed row in `ReportTargets.status`. */
const FAILED = 7;

/** The texts of a report. */
export function textsOf(report: Report): string[] {
  return [...(report.text === undefined ? [] : [report.text]), ...(report.sections ?? []).map((s) => s.text)];
}

/** A phrase as it stands in a text: whole words, in any case, over any white space. */
export function phrasePattern(phrase: string): RegExp {
  const words = phrase.trim().split(/\s+/u);
  if (words[0] === '') {
    throw new PenumbraError('usage/phrase', 'an empty phrase stands everywhere', {
      hint: 'phrases are separated by commas: "cannot be excluded,possible"',
    });
  }
  const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`(?<![\\p{L}\\p{N}])${escaped.join('\\s+')}(?![\\p{L}\\p{N}])`, 'iu');
}

/** Which patient a report is of, and in which split, where a table says so. */
class Owners {
  /** Reports that are held out by a column. */
  readonly heldOut: ReadonlySet<string> = new Set();
  private readonly patients = new Map<string, string>();
  private readonly given = new Map<string, RateSplit>();
  private readonly table: Table | undefined;

  constructor(input: string, { splits, idColumn, holdOut }: RateDataOptions) {
    this.table = splits === undefined ? ownTable(input) : readTable(splits);
    if (holdOut !== undefined) {
      if (this.table === undefined) {
        throw new PenumbraError('rates/splits', `no table has a column ${holdOut.column}`, {
          hint: 'name a CSV by report that has it: --splits FILE',
          where: { file: input },
        });
      }
      this.heldOut = chosenReports(this.table, holdOut);
    }
    if (this.table === undefined) return;
    const { table } = this;
    const patient = table.column('patient', 'subject_id', 'patient_id');
    const split = table.column('split');
    if (patient === undefined && split === undefined) {
      if (splits === undefined) return;
      table.needColumn('patient', 'split');
    }
    const id =
      splits === undefined && idColumn !== undefined
        ? table.column(idColumn)
        : table.column(...REPORT_COLUMNS);
    if (id === undefined) {
      if (splits === undefined) return;
      table.needColumn('report', 'id');
      return;
    }
    const readings = table.rows.flatMap((row) => reportsOf(row[id]!).map((key) => ({ row, key })));
    for (const { row, key } of readings) {
      if (patient !== undefined) this.patients.set(key, row[patient]!);
      if (split === undefined) continue;
      const name = row[split]!.trim().toLowerCase();
      const side = SPLIT_WORDS[name];
      if (side === undefined) {
        throw new PenumbraError('rates/splits', `${table.path} has a split that is not known`, {
          hint: `splits are ${Object.keys(SPLIT_WORDS).join(', ')}`,
          where: { file: table.path },
        });
      }
      this.given.set(key, side);
    }
  }

  split(
    reports: readonly { readonly id: string; readonly heldOut: boolean }[],
    { val = 0.1, test = 0.1, seed = 0, unlisted = 'refuse' }: RateDataOptions,
  ): { splits: (RateSplit | undefined)[]; notes: string[] } {
    if (!(val >= 0 && test >= 0 && val + test < 1)) {
      throw new PenumbraError('rates/splits', `shares of ${val} and ${test} leave nothing to train on`, {
        hint: 'give shares of the patients that add up to less than 1, such as 0.1 and 0.1',
      });
    }
    const notes: string[] = [];
    const patientOf = (id: string) => this.patients.get(reportKey(id)) ?? id;
    if (this.patients.size === 0)
      notes.push('no patients are known: reports are split one by one (--splits names a table of them)');
    const heldOut = new Set(reports.filter((report) => report.heldOut).map(({ id }) => patientOf(id)));
    const shareOf = (patient: string): RateSplit => {
      const u = new Random(seed, 0x5e7, ...Buffer.from(patient)).uniform();
      if (heldOut.size > 0) return u < val ? 'val' : 'train';
      return u < test ? 'test' : u < test + val ? 'val' : 'train';
    };
    const sideOfPatient = new Map<string, RateSplit>();
    const splits = reports.map(({ id }): RateSplit | undefined => {
      const patient = patientOf(id);
      let side = heldOut.has(patient) ? 'test' : this.given.get(reportKey(id));
      if (side === undefined && this.given.size > 0) {
        if (unlisted === 'leave out') return undefined;
        throw new PenumbraError('rates/splits', `${this.table!.path} has no split for some of the reports`, {
          hint: 'name a split for every report, or for none',
          where: { file: this.table!.path },
        });
      }
      side ??= shareOf(patient);
      const before = sideOfPatient.get(patient);
      if (before !== undefined && before !== side) {
        throw new PenumbraError('rates/splits', `${this.table?.path} has a patient on two sides of a split`, {
          hint: 'a network that has seen a patient is not tested on that patient',
          where: { file: this.table?.path ?? '' },
        });
      }
      sideOfPatient.set(patient, side);
      return side;
    });
    const left = splits.filter((split) => split === undefined).length;
    if (left > 0) notes.push(`${left} reports without a split are not learnt from`);
    return { splits, notes };
  }
}

/** The reports as a table, where they are one that may name patients. */
function ownTable(input: string): Table | undefined {
  if (!/\.csv$/i.test(input)) return undefined;
  try {
    return readTable(input);
  } catch (error) {
    // Reports are read more leniently than tables: then they name no patients.
    if (error instanceof PenumbraError && error.code === 'data/csv') return undefined;
    throw error;
  }
}

const SPLIT_WORDS: Readonly<Record<string, RateSplit>> = {
  train: 'train',
  val: 'val',
  valid: 'val',
  validate: 'val',
  validation: 'val',
  test: 'test',
};
