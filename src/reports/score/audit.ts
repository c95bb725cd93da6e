import type { LabelErrors } from '../../data/targets.ts';
import type { Estimate } from '../../metrics/index.ts';
import { type LabelCase, type LabelErrorFigures, labelErrors, type Share, shareOf } from './label-errors.ts';
import { type Recalibration, recalibrate, slopeOf } from './recalibration.ts';

/** From here on errors are worth a correction: below it, correcting costs about what it gains. */
export const WORTH_CORRECTING = 0.05;
/** Fewer hedges than this say nothing about a finding by themselves. */
export const FEW_HEDGES = 10;
/** A correction needs labels that are mostly right: false positives at most this share of all that is called present. */
const MOST_OF_POSITIVES = 0.5;

export interface AuditOptions {
  /**
   * What people read in the same reports, `truth` being which way the report leans: errors of the extractor are counted
   * against it. Against the truth they cannot be: a case that is there and plainly denied is mostly one that the radiologist
   * did not see, and that depends on the image. Without it nothing is corrected.
   */
  readonly read?: readonly LabelCase[];
}

/** What one finding should be trained with, and why. */
export interface Recommendation {
  /** `soft`: on the expressed probability; `hard`: on the label. */
  readonly targets: 'soft' | 'hard';
  /** What the hedges' probabilities are to be replaced by, logit p′ = intercept + slope·logit p; null where they are right. */
  readonly recalibration: { readonly intercept: number; readonly slope: number } | null;
  /** Whether labels are to be corrected, by forward correction. */
  readonly correct: boolean;
  /** The errors to correct for: lower ends of the intervals; 0 where nothing is to be corrected. */
  readonly errors: LabelErrors;
  /** As `--objective` takes it, where all findings were alike. */
  readonly objective: string;
  /** The rules that decided, as sentences. */
  readonly reasons: readonly string[];
}

export interface FindingAudit {
  readonly finding: string;
  /** Marked cases of which the report says something. */
  readonly cases: number;
  readonly truths: number;
  /** Those that were hedged, and how many of them are so. */
  readonly hedges: Share;
  /** Mean probability of the hedges. */
  readonly meanProbability: number | null;
  /** Slope of the logistic recalibration of truth on the logit of the hedges' probability, with its 95 % interval. */
  readonly slope: Estimate;
  readonly recalibration: Recalibration | null;
  readonly recommendation: Recommendation;
}

export interface Audit {
  readonly kind: 'audit';
  readonly cases: number;
  /** Whether `errors` are of the extractor, against what people read, or of labels, against the truth. */
  readonly errorsOf: 'extraction' | 'labels';
  /** Of the hedges of all findings together. */
  readonly slope: Estimate;
  readonly recalibration: Recalibration | null;
  readonly findings: readonly FindingAudit[];
  /** By finding, in the same order. */
  readonly errors: readonly LabelErrorFigures[];
  /** What a run of all findings should be trained with. */
  readonly recommendation: { readonly objective: string; readonly sentences: readonly string[] };
}

/**
 * Whether wording is worth training on, from cases whose truth was marked: does truth follow the hedges, and how often is
 * the extractor wrong. The rules stand in docs/rates.md. Cases are taken for independent: mark one report a patient.
 */
export function audit(cases: readonly LabelCase[], options: AuditOptions = {}): Audit {
  const { read } = options;
  const figures = labelErrors(read ?? cases);
  const hedged = cases.filter(isHedged);
  const pooled = fitOf(hedged);
  const names = [...new Set(cases.map(({ finding }) => finding))];
  const errors = names.map((name) => figures.find(({ finding }) => finding === name) ?? emptyErrors(name));
  const findings = names.map((finding, k): FindingAudit => {
    const own = cases.filter((one) => one.finding === finding);
    const hedges = own.filter(isHedged);
    const fit = fitOf(hedges);
    const there = hedges.filter(({ truth }) => truth).length;
    const sum = hedges.reduce((total, { probability }) => total + probability, 0);
    return {
      finding,
      cases: own.length,
      truths: own.filter(({ truth }) => truth).length,
      hedges: shareOf(there, hedges.length),
      meanProbability: hedges.length === 0 ? null : sum / hedges.length,
      slope: slopeOf(fit),
      recalibration: fit ?? null,
      recommendation: recommend(own, hedges.length, fit, pooled, errors[k]!, read !== undefined),
    };
  });
  return {
    kind: 'audit',
    cases: cases.length,
    errorsOf: read === undefined ? 'labels' : 'extraction',
    slope: slopeOf(pooled),
    recalibration: pooled ?? null,
    findings,
    errors,
    recommendation: recommendAll(findings, read !== undefined),
  };
}

function isHedged({ probability }: LabelCase): boolean {
  return probability > 0 && probability < 1;
}

function fitOf(hedges: readonly LabelCase[]): Recalibration | undefined {
  return recalibrate(
    hedges.map(({ probability }) => probability),
    hedges.map(({ truth }) => truth),
  );
}

function emptyErrors(finding: string): LabelErrorFigures {
  const none = shareOf(0, 0);
  return {
    finding,
    present: none,
    absent: none,
    falsePositive: none,
    miss: none,
    hedged: none,
    expected: null,
    flip: { value: null, low: null, high: null },
  };
}

const NO_ERRORS: LabelErrors = { falsePositive: 0, miss: 0, hedged: 0 };

/** The rules, in words at docs/rates.md. */
function recommend(
  own: readonly LabelCase[],
  hedges: number,
  fit: Recalibration | undefined,
  pooled: Recalibration | undefined,
  errors: LabelErrorFigures,
  isRead: boolean,
): Recommendation {
  const reasons: string[] = [];
  const follows = followed(hedges, fit, pooled, reasons);
  const targets = follows === undefined ? 'hard' : 'soft';
  const corrected = isRead ? correctionOf(own, errors, targets === 'soft', reasons) : undefined;
  if (!isRead)
    reasons.push('What people read in these reports was not given: no error of the extractor is known.');
  // Hedges that are reversed at times have a smaller slope for that alone: once corrected, they are not recalibrated too.
  const reversed = (corrected?.hedged ?? 0) > 0;
  const off = follows !== undefined && !reversed ? shape(follows) : '';
  if (off !== '') reasons.push(off);
  const recalibration = off === '' ? null : { intercept: follows!.intercept, slope: follows!.slope };
  const objective =
    corrected === undefined
      ? targets === 'soft'
        ? 'soft'
        : 'hard'
      : targets === 'soft'
        ? 'forward'
        : 'forward:wording=false';
  return {
    targets,
    recalibration,
    correct: corrected !== undefined,
    errors: corrected ?? NO_ERRORS,
    objective,
    reasons,
  };
}

/** The fit by which truth follows the hedges: the finding's own, or that of all; undefined where it is not shown to. */
function followed(
  hedges: number,
  fit: Recalibration | undefined,
  pooled: Recalibration | undefined,
  reasons: string[],
): Recalibration | undefined {
  const interval = ({ slope, low, high }: Recalibration) =>
    `slope ${slope.toFixed(2)} [${bound(low)}, ${bound(high)}]`;
  if (hedges === 0) {
    reasons.push('It was never hedged: its labels are its probabilities.');
    return undefined;
  }
  if (fit !== undefined && hedges >= FEW_HEDGES) {
    if (fit.low > 0) {
      reasons.push(`Truth follows its ${hedges} hedges: ${interval(fit)}.`);
      return fit;
    }
    if (fit.high < 1) {
      reasons.push(
        `Its ${hedges} hedges say little about the truth: ${interval(fit)}, below 1 and not above 0.`,
      );
      return undefined;
    }
    reasons.push(`Its ${hedges} hedges leave both open: ${interval(fit)}.`);
  } else {
    reasons.push(`It was hedged ${hedges} times, too few to say.`);
  }
  if (pooled !== undefined && pooled.low > 0) {
    reasons.push(`All findings together follow theirs: ${interval(pooled)}.`);
    return pooled;
  }
  reasons.push(
    pooled === undefined
      ? 'All findings together have too few hedges, too.'
      : `All findings together do not decide it: ${interval(pooled)}.`,
  );
  return undefined;
}

/** What a soft target would gain from another table of probabilities. */
function shape({ low, high }: Recalibration): string {
  if (low > 1) return 'Hedges mean more than the table has them: p is recalibrated.';
  if (high < 1) return 'Hedges mean less than the table has them: p is recalibrated.';
  return '';
}

function correctionOf(
  own: readonly LabelCase[],
  { falsePositive, miss, hedged }: LabelErrorFigures,
  isSoft: boolean,
  reasons: string[],
): LabelErrors | undefined {
  const called = own.filter(({ probability }) => probability >= 0.5).length / Math.max(1, own.length);
  const large = (one: Estimate) => one.value !== null && one.value >= WORTH_CORRECTING && one.low! > 0;
  const words = (one: Share, what: string) =>
    `${percent(one.value)} of its ${one.n} ${what} [${percent(one.low)}, ${percent(one.high)}]`;
  const wrong = [
    ...(large(falsePositive) ? [words(falsePositive, 'plain denials are taken for presence')] : []),
    ...(large(miss) ? [words(miss, 'plain statements of presence are taken for absence')] : []),
    ...(isSoft && large(hedged) ? [words(hedged, 'hedges are taken for their opposite')] : []),
  ];
  if (wrong.length === 0) {
    const none = falsePositive.n + miss.n + hedged.n === 0;
    reasons.push(
      none
        ? 'Nobody read what its reports say.'
        : `No error is shown to be ${100 * WORTH_CORRECTING} % or more: nothing to correct.`,
    );
    return undefined;
  }
  const errors = {
    falsePositive: large(falsePositive) ? falsePositive.low! : 0,
    miss: large(miss) ? miss.low! : 0,
    hedged: isSoft && large(hedged) ? hedged.low! : 0,
  };
  if (Object.values(errors).some((e) => e >= 0.5) || errors.falsePositive > MOST_OF_POSITIVES * called) {
    reasons.push(
      `${wrong.join('; ')}: too many for a correction. Mend the extraction of this finding first.`,
    );
    return undefined;
  }
  reasons.push(`${wrong.join('; ')}: corrected by the lower ends.`);
  return errors;
}

/** One objective for all findings: those that want less have no errors, or no rates, in the data. */
function recommendAll(findings: readonly FindingAudit[], isRead: boolean): Audit['recommendation'] {
  const wanting = (of: (one: Recommendation) => boolean) =>
    findings.filter(({ recommendation }) => of(recommendation)).map(({ finding }) => finding);
  const soft = wanting(({ targets }) => targets === 'soft');
  const corrected = wanting(({ correct }) => correct);
  const objective =
    corrected.length === 0
      ? soft.length === 0
        ? 'hard'
        : 'soft'
      : soft.length === 0
        ? 'forward:wording=false'
        : 'forward';
  const some = (names: readonly string[]) =>
    names.length === findings.length ? 'all findings' : names.join(', ');
  const sentences = [
    soft.length === 0
      ? 'Train on labels: no finding’s truth is shown to follow its hedges.'
      : `Train on the expressed probability: ${some(soft)}.`,
    ...(soft.length > 0 && soft.length < findings.length
      ? [`On labels: ${some(wanting(({ targets }) => targets === 'hard'))}.`]
      : []),
    !isRead
      ? 'Whether to correct labels is not known: mark what the reports say (--read).'
      : corrected.length === 0
        ? `Correct nothing: no error of the extractor is shown to be ${100 * WORTH_CORRECTING} % or more.`
        : `Correct the extractor’s errors: ${some(corrected)}.`,
  ];
  return { objective, sentences };
}

function bound(value: number): string {
  return Number.isFinite(value) ? value.toFixed(2) : value > 0 ? '∞' : '−∞';
}

function percent(value: number | null): string {
  return value === null ? '–' : `${(100 * value).toFixed(1)} %`;
}
