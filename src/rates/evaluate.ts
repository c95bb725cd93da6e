/** A network beside its teacher, and, where the truth is known, who of the two is right. */
import { PenumbraError } from '../errors.ts';
import {
  type Assessor,
  type Extractor,
  type FindingRow,
  type GoldLabel,
  type InputOptions,
  probabilityToRate,
  type Report,
  type ReportScore,
  type ReportTargets,
  readableReports,
  readRows,
  reportKey,
  scoreReports,
  spearman,
  statusCodes,
} from '../reports/index.ts';
import { phrasePattern } from './data.ts';
import { readTable } from './table.ts';

export interface EvaluateRatesOptions extends InputOptions {
  /** Only these reports; default: all that have rows. */
  readonly only?: (id: string) => boolean;
  /**
   * Only findings whose deciding sentence, as the rules find it, holds one of these phrases: what a network makes of wording
   * that was held out of its training.
   */
  readonly hedges?: readonly string[];
  /** The rules that find the deciding sentence, for `hedges`. */
  readonly assessor?: Assessor;
  readonly truth?: Truth;
  /** Labels by people, by report and finding: 1 present, 0 absent. */
  readonly gold?: readonly GoldLabel[];
  readonly onProgress?: (done: number) => void;
}

/** What is true, by report and finding. */
export interface Truth {
  /** P(finding) that the reader held, by `reportKey` and finding. */
  readonly probability: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** The certainty that was put into words, where it is known: what the best reader of texts could learn. */
  readonly said: ReadonlyMap<string, ReadonlyMap<string, number>> | undefined;
}

/** Agreement of two readings of the same findings of the same reports. */
export interface Agreement {
  /** Findings of which both say something. */
  readonly both: number;
  readonly onlyNetwork: number;
  readonly onlyTeacher: number;
  /** Where both do: the share of equal labels, the mean |p − p′|, and Spearman's correlation. */
  readonly sameLabel: number | null;
  readonly meanDifference: number | null;
  readonly spearman: number | null;
  /** |p − p′| in units of the network's deviation: root of the mean square. */
  readonly deviationRatio: number | null;
  /** Where the truth is known too, and both say something. */
  readonly truth?: {
    readonly n: number;
    /** Spearman's correlation with the true probability. */
    readonly network: number | null;
    readonly teacher: number | null;
    /** The same of the certainty that was put into words: what a text can tell. */
    readonly bound: number | null;
    /** Spearman's correlation with that certainty: how well the words were read. */
    readonly networkReads: number | null;
    readonly teacherReads: number | null;
    /** Mean |p − truth|. */
    readonly networkError: number;
    readonly teacherError: number;
    /** Where the two differ by more than `DISAGREE`: which is nearer to the truth. */
    readonly networkNearer: number;
    readonly teacherNearer: number;
  };
  /** Where people marked: of unequal labels, whose is theirs. */
  readonly gold?: { readonly networkRight: number; readonly teacherRight: number };
}

export interface RateComparison {
  readonly reports: number;
  readonly all: Agreement;
  readonly findings: readonly ({ readonly finding: string } & Agreement)[];
  /** Against people: the network, and its teacher. */
  readonly gold?: { readonly network: ReportScore; readonly teacher: ReportScore };
  /** Disagreements, the largest first; no text. */
  readonly disagreements: readonly RateDisagreement[];
}

export interface RateDisagreement {
  readonly id: string;
  readonly finding: string;
  readonly teacher: number | null;
  readonly network: number | null;
  readonly deviation: number | null;
  readonly truth?: number;
  readonly gold?: number;
  /** Where the network looked: offsets into the text, or into that of the section. */
  readonly evidence: readonly { readonly section: string; readonly start: number; readonly end: number }[];
}

/** Probabilities that differ by more than this disagree. */
export const DISAGREE = 0.25;

/** One finding of one report. */
interface Cell {
  readonly id: string;
  readonly row: FindingRow;
  readonly teacher: number | null;
  readonly status: FindingRow['status'];
  readonly truth: number | undefined;
  readonly said: number | undefined;
  readonly gold: number | undefined;
}

/**
 * @param rows the teacher's
 * @throws `rates/no-match` where no report has rows
 */
export async function evaluateRates(
  extractor: Extractor,
  input: string,
  rows: string | readonly string[],
  options: EvaluateRatesOptions = {},
): Promise<RateComparison> {
  const { truth, gold, assessor, only = () => true, hedges = [], onProgress = () => {} } = options;
  const patterns = hedges.map(phrasePattern);
  if (patterns.length > 0 && assessor === undefined) throw new TypeError('hedges are found by the rules');
  const teacher = await readRows(rows);
  const k = teacher.findings.length;
  const rowOf = new Map(teacher.ids.map((id, row) => [reportKey(id), row]));
  const goldOf = new Map((gold ?? []).map(({ report, finding, label }) => [`${report}\0${finding}`, label]));
  const cells: Cell[] = [];
  const ids = new Set<string>();
  const take = (reports: readonly Report[], found: readonly (readonly FindingRow[])[]) => {
    reports.forEach((report, i) => {
      const at = rowOf.get(reportKey(report.id))!;
      ids.add(report.id);
      const wanted = patterns.length === 0 ? undefined : decidedBy(patterns, assessor!, report);
      for (const row of found[i]!) {
        const f = teacher.findings.indexOf(row.finding);
        if (f < 0 || row.status === 'failed' || (wanted !== undefined && !wanted.has(row.finding))) continue;
        cells.push({
          id: report.id,
          row,
          teacher: teacher.mask[at * k + f] === 1 ? teacher.probability[at * k + f]! : null,
          status: statusCodes[teacher.status[at * k + f]!]!,
          truth: truth?.probability.get(reportKey(report.id))?.get(row.finding),
          said: truth?.said?.get(reportKey(report.id))?.get(row.finding),
          gold: goldOf.get(`${report.id}\0${row.finding}`),
        });
      }
    });
  };
  for await (const batch of readableReports(input, options)) {
    const some = batch.filter((report) => rowOf.has(reportKey(report.id)) && only(report.id));
    if (some.length === 0) continue;
    take(some, await extractor.extractBatch!(some));
    onProgress(ids.size);
  }
  if (ids.size === 0) {
    throw new PenumbraError('rates/no-match', `no report of ${input} that is wanted has a row`, {
      hint: `the rows are of ${teacher.ids.length} reports: are these the rows of these reports, and is the split not empty?`,
      where: { file: input },
    });
  }
  const findings = teacher.findings.filter((finding) => cells.some(({ row }) => row.finding === finding));
  return {
    reports: ids.size,
    all: agreementOf(cells),
    findings: findings.map((finding) => ({
      finding,
      ...agreementOf(cells.filter(({ row }) => row.finding === finding)),
    })),
    ...(gold && { gold: scored(gold, cells, teacher, ids) }),
    disagreements: disagreementsOf(cells),
  };
}

/** Findings whose deciding sentence holds one of the phrases: the one that the rules' first words of evidence stand in. */
function decidedBy(patterns: readonly RegExp[], assessor: Assessor, report: Report): Set<string> {
  return new Set(
    assessor
      .assessReport(report)
      .filter(({ evidence: [first] }) => first && patterns.some((pattern) => pattern.test(first.sentence)))
      .map(({ finding }) => finding),
  );
}

function agreementOf(cells: readonly Cell[]): Agreement {
  const both = cells.filter(({ row, teacher }) => row.probability !== null && teacher !== null);
  const mine = both.map(({ row }) => row.probability!);
  const theirs = both.map(({ teacher }) => teacher!);
  const n = both.length;
  const mean = (values: readonly number[]) =>
    values.length === 0 ? null : values.reduce((sum, x) => sum + x, 0) / values.length;
  const differences = mine.map((p, i) => Math.abs(p - theirs[i]!));
  const same = both.map(({ row, teacher }) => (row.label === (teacher! >= 0.5 ? 1 : 0) ? 1 : 0));
  const squares = mean(differences.map((d, i) => (d / both[i]!.row.deviation!) ** 2));
  const known = both.filter(({ truth }) => truth !== undefined);
  const errors = known.map(({ row, teacher, truth }) => ({
    network: Math.abs(row.probability! - truth!),
    teacher: Math.abs(teacher! - truth!),
    apart: Math.abs(row.probability! - teacher!),
  }));
  const disputed = errors.filter(({ apart }) => apart > DISAGREE);
  const allSaid = known.every(({ said }) => said !== undefined);
  const network = ({ row }: Cell) => row.probability!;
  const marked = both.filter(({ gold }, i) => gold !== undefined && same[i] === 0);
  const right = marked.filter(({ row, gold }) => row.label === (gold! >= 0.5 ? 1 : 0)).length;
  return {
    both: n,
    onlyNetwork: cells.filter(({ row, teacher }) => row.probability !== null && teacher === null).length,
    onlyTeacher: cells.filter(({ row, teacher }) => row.probability === null && teacher !== null).length,
    sameLabel: mean(same),
    meanDifference: mean(differences),
    spearman: spearman(mine, theirs),
    deviationRatio: squares === null ? null : Math.sqrt(squares),
    ...(known.length > 0 && {
      truth: {
        n: known.length,
        network: ranked(known, network, ({ truth }) => truth!),
        teacher: ranked(
          known,
          ({ teacher }) => teacher!,
          ({ truth }) => truth!,
        ),
        bound: allSaid
          ? ranked(
              known,
              ({ said }) => said!,
              ({ truth }) => truth!,
            )
          : null,
        networkReads: allSaid ? ranked(known, network, ({ said }) => said!) : null,
        teacherReads: allSaid
          ? ranked(
              known,
              ({ teacher }) => teacher!,
              ({ said }) => said!,
            )
          : null,
        networkError: mean(errors.map(({ network }) => network))!,
        teacherError: mean(errors.map(({ teacher }) => teacher))!,
        networkNearer: disputed.filter(({ network, teacher }) => network < teacher).length,
        teacherNearer: disputed.filter(({ network, teacher }) => teacher < network).length,
      },
    }),
    ...(cells.some(({ gold }) => gold !== undefined) && {
      gold: { networkRight: right, teacherRight: marked.length - right },
    }),
  };
}

function ranked(cells: readonly Cell[], a: (cell: Cell) => number, b: (cell: Cell) => number): number | null {
  return spearman(cells.map(a), cells.map(b));
}

function scored(
  gold: readonly GoldLabel[],
  cells: readonly Cell[],
  teacher: ReportTargets,
  ids: ReadonlySet<string>,
): NonNullable<RateComparison['gold']> {
  const marked = gold.filter(({ report, finding }) => ids.has(report) && teacher.findings.includes(finding));
  if (marked.length === 0) {
    throw new PenumbraError('rates/gold', 'the gold marks none of these findings in these reports', {
      hint: `the rows have ${teacher.findings.join(', ')}`,
    });
  }
  const theirs = cells.map(
    ({ row, status, teacher: probability }): FindingRow => ({
      ...row,
      status,
      probability,
      deviation: null,
      ...probabilityToRate(probability),
      evidence: [],
    }),
  );
  return {
    network: scoreReports(
      marked,
      cells.map(({ row }) => row),
    ),
    teacher: scoreReports(marked, theirs),
  };
}

function disagreementsOf(cells: readonly Cell[]): RateDisagreement[] {
  return cells
    .map((cell) => ({
      cell,
      apart:
        (cell.row.probability === null) !== (cell.teacher === null)
          ? 1
          : Math.abs((cell.row.probability ?? 0) - (cell.teacher ?? 0)),
    }))
    .filter(({ apart }) => apart > DISAGREE)
    .sort((a, b) => b.apart - a.apart)
    .map(({ cell: { id, row, teacher, truth, gold } }) => ({
      id,
      finding: row.finding,
      teacher: teacher === null ? null : Math.round(teacher * 1e6) / 1e6,
      network: row.probability,
      deviation: row.deviation,
      ...(truth !== undefined && { truth }),
      ...(gold !== undefined && { gold }),
      evidence: row.evidence.map(({ section, start, end }) => ({ section, start, end })),
    }));
}

/**
 * Reads what is true from a CSV by report: `<finding> reader_p` (or `<finding>`), a probability, and `<finding> said`, the certainty
 * that was put into words, blank where nothing was: the chest clinic's `truth.csv`. Where there is a `said`, findings without one
 * count as unknown.
 * @throws `rates/truth` for a value outside [0, 1], or a table without a column of one of the findings
 */
export function readTruth(path: string, findings: readonly string[]): Truth {
  const table = readTable(path);
  const id = table.needColumn('report', 'id', 'study_id');
  const columns = findings.flatMap((finding) => {
    const p = table.column(`${finding} reader_p`, finding);
    return p === undefined ? [] : [{ finding, p, said: table.column(`${finding} said`) }];
  });
  const fail = (what: string, line?: number) =>
    new PenumbraError('rates/truth', `${path}: ${what}`, {
      hint: 'columns are report, and "<finding> reader_p" or "<finding>" with a probability',
      where: { file: path, ...(line !== undefined && { line }) },
    });
  if (columns.length === 0) throw fail('it has no column of one of the findings');
  const anySaid = columns.some(({ said }) => said !== undefined);
  const probability = new Map<string, Map<string, number>>();
  const certainty = new Map<string, Map<string, number>>();
  table.rows.forEach((row, i) => {
    const own = new Map<string, number>();
    const level = new Map<string, number>();
    for (const { finding, p, said } of columns) {
      if (row[p]!.trim() === '' || (anySaid && (said === undefined || row[said]!.trim() === ''))) continue;
      const value = Number(row[p]);
      if (!(value >= 0 && value <= 1)) throw fail('a probability is not from 0 to 1', i + 2);
      own.set(finding, value);
      if (said !== undefined) level.set(finding, Number(row[said]));
    }
    probability.set(reportKey(row[id]!), own);
    certainty.set(reportKey(row[id]!), level);
  });
  return { probability, said: anySaid ? certainty : undefined };
}
