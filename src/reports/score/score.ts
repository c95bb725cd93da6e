import { PenumbraError } from '../../errors.ts';
import type { Assessor } from '../rules/assess.ts';
import type { FindingRow } from '../types.ts';
import { type LabelCase, type LabelErrorFigures, labelErrors } from './label-errors.ts';

export const goldStatuses = ['positive', 'negated', 'uncertain'] as const;
export type GoldStatus = (typeof goldStatuses)[number];

/** One line of a mentions gold file. */
export interface GoldMention {
  readonly id: string;
  readonly text: string;
  /** [start, end) in UTF-16 offsets. */
  readonly span: readonly [number, number];
  readonly finding: string;
  readonly status: GoldStatus;
  /** P(finding) by people, where the gold has it. */
  readonly probability?: number;
}

export interface StatusFigures {
  readonly precision: number | null;
  readonly recall: number | null;
  readonly f1: number | null;
  /** Number in the gold. */
  readonly support: number;
}

export interface ConfusionFigures {
  /** Mean F1 of the statuses that the gold holds. */
  readonly macroF1: number;
  readonly accuracy: number;
  readonly perStatus: Readonly<Record<GoldStatus, StatusFigures>>;
  /** confusion[gold][predicted] */
  readonly confusion: Readonly<Record<GoldStatus, Readonly<Record<GoldStatus, number>>>>;
  /** The share of negated mentions that were called positive. */
  readonly negatedCalledPositive: number | null;
}

export interface ProbabilityFigures {
  /** Mentions that have a probability. */
  readonly n: number;
  /** Spearman's ρ between the probability and the gold's order negated < uncertain < positive (or its probability). */
  readonly spearman: number | null;
  /** Mean squared error against 1 (positive) and 0 (negated), or against the gold's probability. */
  readonly brier: number | null;
  /** Σ n_b/n · |mean p − mean gold| over ten equal bins, of the same mentions as `brier`. */
  readonly calibrationError: number | null;
  readonly bins: readonly { from: number; to: number; n: number; probability: number; gold: number }[];
  /** Mean probability of the mentions of each gold status. */
  readonly meanByStatus: Readonly<Record<GoldStatus, number | null>>;
}

export interface MentionScore extends ConfusionFigures {
  readonly kind: 'mentions';
  readonly n: number;
  /**
   * The figures above read each assessment as the gold is marked: by scopes of negation and speculation over the
   * phrase (`polarity`). These read it as what is true of the patient: "heart size is normal" is negated (no
   * cardiomegaly), "no change in the effusion" is positive, "resolved pneumonia" is negated.
   */
  readonly asTruth: ConfusionFigures;
  readonly probabilities: ProbabilityFigures;
  /** How often labels are wrong, by finding, against mentions marked positive or negated. */
  readonly errors: readonly LabelErrorFigures[];
  readonly disagreements: readonly {
    id: string;
    finding: string;
    gold: GoldStatus;
    got: GoldStatus;
    span: readonly [number, number];
  }[];
}

/** Scores an assessor on mentions whose status people marked. */
export function scoreMentions(gold: readonly GoldMention[], assessor: Assessor): MentionScore {
  if (gold.length === 0) throw new PenumbraError('reports/empty-gold', 'The gold holds no mention to score.');
  const byScope = emptyConfusion();
  const byTruth = emptyConfusion();
  const disagreements: MentionScore['disagreements'][number][] = [];
  const points: Point[] = [];
  const cases: LabelCase[] = [];
  for (const mention of gold) {
    const got = assessor.assessMention(mention.text, mention.span);
    byScope[mention.status][got.polarity]++;
    byTruth[mention.status][truthOf(got.status, got.probability)]++;
    if (got.polarity !== mention.status) {
      disagreements.push({
        id: mention.id,
        finding: mention.finding,
        gold: mention.status,
        got: got.polarity,
        span: mention.span,
      });
    }
    if (got.probability !== null) {
      const known = { positive: 1, negated: 0, uncertain: null }[mention.status];
      if (known !== null)
        cases.push({ finding: mention.finding, probability: got.probability, truth: known === 1 });
      points.push({
        p: got.probability,
        status: mention.status,
        gold: mention.probability ?? known,
        order: mention.probability ?? { positive: 1, negated: 0, uncertain: 0.5 }[mention.status],
      });
    }
  }
  return {
    kind: 'mentions',
    n: gold.length,
    ...confusionFigures(byScope),
    asTruth: confusionFigures(byTruth),
    probabilities: probabilityFigures(points),
    errors: labelErrors(cases),
    disagreements,
  };
}

/** One judgement of a reports gold file: label 1 present, 0 absent (or not coded), −1 uncertain, or in (0, 1) a probability. */
export interface GoldLabel {
  readonly report: string;
  readonly finding: string;
  readonly label: number;
}

export interface FindingScore {
  readonly finding: string;
  /** Positives in the gold. */
  readonly positives: number;
  /** A finding counts as found where its row is present or uncertain (U-Ones, methods.md B.3). */
  readonly recall: number | null;
  readonly precision: number | null;
  readonly f1: number | null;
  /** The same where it counts as found only from probability 0.5 on (the label y). */
  readonly byLabel: {
    readonly recall: number | null;
    readonly precision: number | null;
    readonly f1: number | null;
  };
  /** Gold positives by the status of our row. */
  readonly positivesByStatus: Readonly<Record<string, number>>;
}

export interface ReportScore {
  readonly kind: 'reports';
  readonly reports: number;
  /** Judgements in the gold for which no row was given; they count as not found. */
  readonly missing: number;
  /** Means over the findings with at least `minPositives` positives. */
  readonly macroRecall: number | null;
  readonly macroPrecision: number | null;
  readonly macroF1: number | null;
  readonly byLabel: {
    readonly macroRecall: number | null;
    readonly macroPrecision: number | null;
    readonly macroF1: number | null;
  };
  readonly minPositives: number;
  readonly findings: readonly FindingScore[];
  readonly probabilities: ProbabilityFigures;
  /** How often labels are wrong, by finding, against what the gold leans to; −1 is left out. */
  readonly errors: readonly LabelErrorFigures[];
}

/** Scores rows against labels that people gave to whole reports. */
export function scoreReports(
  gold: readonly GoldLabel[],
  rows: Iterable<FindingRow>,
  options: { minPositives?: number } = {},
): ReportScore {
  const minPositives = options.minPositives ?? 20;
  if (gold.length === 0) throw new PenumbraError('reports/empty-gold', 'The gold holds no label to score.');
  const wanted = new Map<string, FindingRow | undefined>();
  const key = (report: string, finding: string): string => `${report}\u0000${finding}`;
  for (const { report, finding } of gold) wanted.set(key(report, finding), undefined);
  for (const row of rows) {
    const k = key(row.id, row.finding);
    if (wanted.has(k)) wanted.set(k, row);
  }
  const tally = new Map<
    string,
    { tp: number; fp: number; fn: number; ltp: number; lfp: number; lfn: number; by: Record<string, number> }
  >();
  const points: Point[] = [];
  const cases: LabelCase[] = [];
  const reports = new Set<string>();
  let missing = 0;
  for (const { report, finding, label } of gold) {
    reports.add(report);
    const row = wanted.get(key(report, finding));
    if (row === undefined) missing++;
    let t = tally.get(finding);
    if (t === undefined) {
      t = { tp: 0, fp: 0, fn: 0, ltp: 0, lfp: 0, lfn: 0, by: {} };
      tally.set(finding, t);
    }
    const positive = label === -1 || label >= 0.5;
    const found = row?.status === 'present' || row?.status === 'uncertain';
    const labelled = row?.label === 1;
    if (positive) t.by[row?.status ?? 'missing'] = (t.by[row?.status ?? 'missing'] ?? 0) + 1;
    if (positive && found) t.tp++;
    else if (positive) t.fn++;
    else if (found) t.fp++;
    if (positive && labelled) t.ltp++;
    else if (positive) t.lfn++;
    else if (labelled) t.lfp++;
    if (row?.probability != null) {
      if (label >= 0 && label !== 0.5)
        cases.push({ finding, probability: row.probability, truth: label > 0.5 });
      const status: GoldStatus = label === -1 ? 'uncertain' : label >= 0.5 ? 'positive' : 'negated';
      const between = label > 0 && label < 1;
      points.push({
        p: row.probability,
        status,
        gold: label === -1 ? null : between ? label : status === 'positive' ? 1 : 0,
        order: label === -1 ? 0.5 : label,
      });
    }
  }
  const figures = (
    tp: number,
    fp: number,
    fn: number,
  ): { recall: number | null; precision: number | null; f1: number | null } => ({
    recall: ratio(tp, tp + fn),
    precision: ratio(tp, tp + fp),
    f1: ratio(2 * tp, 2 * tp + fp + fn),
  });
  const findings = [...tally].map(
    ([finding, t]): FindingScore => ({
      finding,
      positives: t.tp + t.fn,
      ...figures(t.tp, t.fp, t.fn),
      byLabel: figures(t.ltp, t.lfp, t.lfn),
      positivesByStatus: t.by,
    }),
  );
  const counted = findings.filter((f) => f.positives >= minPositives);
  const macro = (of: (f: FindingScore) => number | null): number | null =>
    mean(counted.map((f) => of(f) ?? 0));
  return {
    kind: 'reports',
    reports: reports.size,
    missing,
    macroRecall: macro((f) => f.recall),
    macroPrecision: macro((f) => f.precision),
    macroF1: macro((f) => f.f1),
    byLabel: {
      macroRecall: macro((f) => f.byLabel.recall),
      macroPrecision: macro((f) => f.byLabel.precision),
      macroF1: macro((f) => f.byLabel.f1),
    },
    minPositives,
    findings,
    probabilities: probabilityFigures(points),
    errors: labelErrors(cases),
  };
}

function truthOf(status: string, probability: number | null): GoldStatus {
  if (status === 'absent' || (status === 'historical' && probability === 0)) return 'negated';
  return status === 'uncertain' || status === 'conditional' ? 'uncertain' : 'positive';
}

type Confusion = Record<GoldStatus, Record<GoldStatus, number>>;

function emptyConfusion(): Confusion {
  const row = (): Record<GoldStatus, number> => ({ positive: 0, negated: 0, uncertain: 0 });
  return { positive: row(), negated: row(), uncertain: row() };
}

function confusionFigures(confusion: Confusion): ConfusionFigures {
  const perStatus = {} as Record<GoldStatus, StatusFigures>;
  let total = 0;
  let right = 0;
  for (const status of goldStatuses) {
    const tp = confusion[status][status];
    let support = 0;
    let called = 0;
    for (const other of goldStatuses) {
      support += confusion[status][other];
      called += confusion[other][status];
    }
    total += support;
    right += tp;
    perStatus[status] = {
      precision: ratio(tp, called),
      recall: ratio(tp, support),
      f1: ratio(2 * tp, support + called),
      support,
    };
  }
  const held = goldStatuses.filter((status) => perStatus[status].support > 0);
  return {
    macroF1: mean(held.map((status) => perStatus[status].f1 ?? 0)) ?? 0,
    accuracy: right / total,
    perStatus,
    confusion,
    negatedCalledPositive: ratio(confusion.negated.positive, perStatus.negated.support),
  };
}

/** A probability beside its gold: 1, 0 or a probability (null where the gold is only "uncertain"), and its order. */
interface Point {
  p: number;
  status: GoldStatus;
  gold: number | null;
  order: number;
}

function probabilityFigures(points: readonly Point[]): ProbabilityFigures {
  const known = points.filter((point) => point.gold !== null);
  const bins = Array.from({ length: 10 }, (_, b) => ({
    from: b / 10,
    to: (b + 1) / 10,
    n: 0,
    probability: 0,
    gold: 0,
  }));
  let squares = 0;
  for (const { p, gold } of known) {
    squares += (p - gold!) ** 2;
    const bin = bins[Math.min(9, Math.floor(p * 10))]!;
    bin.n++;
    bin.probability += p;
    bin.gold += gold!;
  }
  const filled = bins
    .filter((bin) => bin.n > 0)
    .map((bin) => ({ ...bin, probability: bin.probability / bin.n, gold: bin.gold / bin.n }));
  const gap = filled.reduce((sum, bin) => sum + bin.n * Math.abs(bin.probability - bin.gold), 0);
  const meanOf = (status: GoldStatus): number | null =>
    mean(points.filter((x) => x.status === status).map((x) => x.p));
  return {
    n: points.length,
    spearman: spearman(
      points.map((x) => x.p),
      points.map((x) => x.order),
    ),
    brier: ratio(squares, known.length),
    calibrationError: ratio(gap, known.length),
    bins: filled,
    meanByStatus: {
      positive: meanOf('positive'),
      negated: meanOf('negated'),
      uncertain: meanOf('uncertain'),
    },
  };
}

/** Spearman's rank correlation with mean ranks for ties; null for fewer than two points or a constant side. */
export function spearman(a: readonly number[], b: readonly number[]): number | null {
  const n = a.length;
  if (n < 2) return null;
  const x = ranks(a);
  const y = ranks(b);
  const middle = (n + 1) / 2;
  let xy = 0;
  let xx = 0;
  let yy = 0;
  for (let i = 0; i < n; i++) {
    const dx = x[i]! - middle;
    const dy = y[i]! - middle;
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  return xx === 0 || yy === 0 ? null : xy / Math.sqrt(xx * yy);
}

function ranks(values: readonly number[]): Float64Array {
  const order = values.map((_, i) => i).sort((i, j) => values[i]! - values[j]!);
  const result = new Float64Array(values.length);
  for (let i = 0; i < order.length; ) {
    let j = i;
    while (j + 1 < order.length && values[order[j + 1]!] === values[order[i]!]) j++;
    for (let k = i; k <= j; k++) result[order[k]!] = (i + j) / 2 + 1;
    i = j + 1;
  }
  return result;
}

function ratio(a: number, b: number): number | null {
  return b === 0 ? null : a / b;
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, x) => sum + x, 0) / values.length;
}
