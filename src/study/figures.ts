import {
  type Difference,
  type Estimate,
  type FigureName,
  holm,
  type Summary,
  type TruthFigureName,
} from '../metrics/index.ts';
import type { StudyMethod, StudyResult } from './result.ts';

/** How one figure is shown to people: in the terminal, in Markdown and in HTML alike. */
export interface ShownFigure {
  readonly name: FigureName | TruthFigureName;
  /** Against the known truth of a phantom, not against labels. */
  readonly truth: boolean;
  readonly label: string;
  /** `%`: shown times 100, its differences are percentage points. */
  readonly unit: '%' | 'nats' | '';
  readonly digits: number;
  /** `zero`: neither more nor less is better, nearer to 0 is; a difference of two such figures is not judged. */
  readonly better: 'higher' | 'lower' | 'zero';
  /** One sentence for who meets it first. */
  readonly meaning: string;
}

const LABEL_FIGURES: Readonly<Record<FigureName, Omit<ShownFigure, 'name' | 'truth'>>> = {
  top1: {
    label: 'Top-1',
    unit: '%',
    digits: 1,
    better: 'higher',
    meaning: 'Share of images whose most probable class is the label.',
  },
  top5: {
    label: 'Top-5',
    unit: '%',
    digits: 1,
    better: 'higher',
    meaning: 'Share of images whose label is among the five most probable classes.',
  },
  balancedAccuracy: {
    label: 'Balanced accuracy',
    unit: '%',
    digits: 1,
    better: 'higher',
    meaning: 'Mean recall over the classes: rare classes count as much as common ones.',
  },
  auroc: {
    label: 'AUROC',
    unit: '',
    digits: 3,
    better: 'higher',
    meaning: 'Chance that an image of a class is ranked above one of another class, mean over classes.',
  },
  nll: {
    label: 'NLL',
    unit: 'nats',
    digits: 3,
    better: 'lower',
    meaning: 'Mean negative log-probability of the label: punishes confident errors most.',
  },
  brier: {
    label: 'Brier score',
    unit: '',
    digits: 3,
    better: 'lower',
    meaning: 'Mean squared distance of the probabilities from the label, from 0 to 2.',
  },
  ece: {
    label: 'ECE',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'Expected calibration error: mean gap of confidence and accuracy over bins of equal width.',
  },
  eceEqualMass: {
    label: 'ECE, equal mass',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'The same over bins that hold equally many images.',
  },
  mce: {
    label: 'MCE',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'The largest gap of any bin; with few images in a bin it is mostly chance.',
  },
  classwiseEce: {
    label: 'Class-wise ECE',
    unit: '%',
    digits: 2,
    better: 'lower',
    meaning: 'Calibration error of every class’s probability, mean over classes.',
  },
  confidenceGap: {
    label: 'Confidence − accuracy',
    unit: '%',
    digits: 1,
    better: 'zero',
    meaning: 'Above 0 is over-confident, below 0 under-confident, on average.',
  },
};

const TRUTH_FIGURES: Readonly<Record<TruthFigureName, Omit<ShownFigure, 'name' | 'truth'>>> = {
  totalVariation: {
    label: 'Total variation to truth',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'Mean probability that would have to be moved to reach the true posterior.',
  },
  kl: {
    label: 'KL to truth',
    unit: 'nats',
    digits: 3,
    better: 'lower',
    meaning: 'The part of the NLL that a perfect classifier would not have.',
  },
  squaredError: {
    label: 'Squared error to truth',
    unit: '',
    digits: 3,
    better: 'lower',
    meaning: 'The part of the Brier score that a perfect classifier would not have.',
  },
  ece: {
    label: 'ECE to truth',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'Calibration error against the true probability of being right, free of label noise.',
  },
};

/**
 * The figures of this comparison, in the order in which they are shown: Top-5 only where there are more than five
 * classes, those against the truth only where every method has them.
 */
export function shownFigures(result: StudyResult): ShownFigure[] {
  return figuresFor(result.data.classes.length, hasTruth(result));
}

/** The figures to show for K classes, with or without those against a truth. */
export function figuresFor(classes: number, truth: boolean): ShownFigure[] {
  const figures: ShownFigure[] = [];
  for (const name of Object.keys(LABEL_FIGURES) as FigureName[]) {
    if (name === 'top5' && classes <= 5) continue;
    figures.push({ name, truth: false, ...LABEL_FIGURES[name] });
  }
  if (truth) {
    for (const name of Object.keys(TRUTH_FIGURES) as TruthFigureName[]) {
      figures.push({ name, truth: true, ...TRUTH_FIGURES[name] });
    }
  }
  return figures;
}

/** Whether every method was measured against a known truth. */
export function hasTruth(result: StudyResult): boolean {
  return result.methods.length > 0 && result.methods.every((m) => m.summary.truth !== undefined);
}

/** What the others are compared with: the result's own baseline, else `hard` where it is there, else the first method. */
export function baselineOf(result: StudyResult): StudyMethod | undefined {
  const { baseline = 'hard' } = result;
  return result.methods.find((m) => m.objective === baseline) ?? result.methods[0];
}

/** A method's name for people; with the objective where two methods carry the same label. */
export function methodName(result: StudyResult, method: StudyMethod): string {
  const same = result.methods.filter((m) => m.label === method.label).length > 1;
  return same ? `${method.label} (${method.objective})` : method.label;
}

export function estimateOf(method: { readonly summary: Summary }, figure: ShownFigure): Estimate {
  return figure.truth
    ? method.summary.truth![figure.name as TruthFigureName]
    : method.summary[figure.name as FigureName];
}

/** A difference as it was measured, with its p-value corrected for the number of pairs. */
export interface CorrectedDifference extends Difference {
  /** Holm-corrected over all pairs of the comparison, a family for each figure; `null` where nothing was tested. */
  readonly corrected: number | null;
}

/**
 * `first − second` of a figure, whichever way round the pair is stored; `undefined` where there is no such pair.
 * The truth's p-values are corrected here in the same way as the others were.
 */
export function differenceOf(
  result: StudyResult,
  figure: ShownFigure,
  first: string,
  second: string,
): CorrectedDifference | undefined {
  const at = result.pairs.findIndex(
    (p) => (p.first === first && p.second === second) || (p.first === second && p.second === first),
  );
  const pair = result.pairs[at];
  if (pair === undefined) return undefined;
  const all = result.pairs.map(({ comparison }) =>
    figure.truth
      ? comparison.truth?.[figure.name as TruthFigureName]
      : comparison.figures[figure.name as FigureName],
  );
  const difference = all[at];
  if (difference === undefined) return undefined;
  const corrected = figure.truth
    ? holm(all.map((d) => d?.p ?? null))[at]!
    : pair.corrected[figure.name as FigureName];
  const same = { ...difference, corrected };
  return pair.first === first
    ? same
    : { ...same, value: negative(same.value), low: negative(same.high), high: negative(same.low) };
}

/** What a difference says of its first method. `differs`: significant, of a figure that has no better side. */
export type Verdict = 'better' | 'worse' | 'differs' | 'undecided' | 'untested';

/** Only a corrected p-value below `alpha` is called a difference. */
export function verdictOf(
  figure: ShownFigure,
  difference: CorrectedDifference | undefined,
  alpha: number,
): Verdict {
  if (difference === undefined || difference.value === null || difference.corrected === null)
    return 'untested';
  if (!(difference.corrected < alpha) || difference.value === 0) return 'undecided';
  if (figure.better === 'zero') return 'differs';
  return difference.value > 0 === (figure.better === 'higher') ? 'better' : 'worse';
}

/** What is called significant: 1 − the level of the intervals. */
export function alphaOf(result: StudyResult): number {
  const level = result.methods[0]?.summary.settings.level ?? 0.95;
  // 1 − 0.95 is 0.050000000000000044.
  return Number((1 - level).toFixed(10));
}

/** `95 %`. */
export function levelText(result: StudyResult): string {
  return `${Number((100 * (1 - alphaOf(result))).toFixed(2))} %`;
}

/**
 * The methods whose figure is the best of all; none where there is nothing to compare. Figures that are shown as equal
 * are equally good here: nobody shall look for a difference that is not on the page.
 */
export function bestOf(result: StudyResult, figure: ShownFigure): ReadonlySet<StudyMethod> {
  const best = bestAmong(
    figure,
    result.methods.map((method) => estimateOf(method, figure).value),
  );
  return new Set(result.methods.filter((_method, i) => best.has(i)));
}

/**
 * Places of the best values: none where there is nothing to compare. Values that are shown as equal are equally good:
 * nobody shall look for a difference that is not on the page.
 */
export function bestAmong(
  figure: Pick<ShownFigure, 'better' | 'digits' | 'unit'>,
  values: readonly (number | null)[],
): ReadonlySet<number> {
  const scale = 10 ** (figure.unit === '%' ? figure.digits + 2 : figure.digits);
  const scores = values.map((value) => {
    if (value === null) return null;
    const seen = Math.round(value * scale);
    return figure.better === 'higher' ? seen : figure.better === 'lower' ? -seen : -Math.abs(seen);
  });
  const known = scores.filter((score) => score !== null);
  const most = Math.max(...known);
  const best = scores.flatMap((score, i) => (score === most ? [i] : []));
  return new Set(known.length < 2 || best.length === known.length ? [] : best);
}

/** `Top-1 %`, `NLL (nats)`: a figure's name with its unit, for the head of a row. */
export function figureHead(figure: ShownFigure): string {
  if (figure.unit === '') return figure.label;
  return figure.unit === '%' ? `${figure.label} (%)` : `${figure.label} (${figure.unit})`;
}

/** ↑ where more is better, ↓ where less is, `→ 0` where 0 is. */
export function betterArrow(figure: ShownFigure): string {
  return figure.better === 'higher' ? '↑' : figure.better === 'lower' ? '↓' : '→ 0';
}

/** A value in the figure's unit without the unit's name; `–` where it is undefined. */
export function formatFigure(figure: ShownFigure, value: number | null, signed = false): string {
  if (value === null) return UNDEFINED;
  return formatNumber(figure.unit === '%' ? 100 * value : value, figure.digits, signed);
}

/** `55.1, 59.6`; `undefined` where there is no interval. */
export function formatInterval(figure: ShownFigure, e: Estimate, signed = false): string | undefined {
  if (e.low === null || e.high === null) return undefined;
  return `${formatFigure(figure, e.low, signed)}, ${formatFigure(figure, e.high, signed)}`;
}

/** Recall (%), AUROC and class ECE (%) of one class as they are shown. */
export function classCells(method: StudyMethod, label: number): [recall: string, auroc: string, ece: string] {
  const { recall, auroc, ece } = method.summary.perClass[label]!;
  return [
    recall === null ? UNDEFINED : formatNumber(100 * recall, 1),
    auroc === null ? UNDEFINED : formatNumber(auroc, 3),
    formatNumber(100 * ece, 2),
  ];
}

/** Stands where a figure is undefined. */
export const UNDEFINED = '–';

/** Fixed digits, a real minus sign, and no minus zero. */
export function formatNumber(value: number, digits: number, signed = false): string {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return value < 0 ? `−${text}` : signed ? `+${text}` : text;
}

/** `0.006`; never so rounded that it crosses `alpha`. */
export function formatP(p: number, alpha: number): string {
  if (p < 0.001) return '< 0.001';
  for (let digits = 3; digits < 8; digits++) {
    const text = p.toFixed(digits);
    if (Number(text) < alpha === p < alpha) return text;
  }
  return String(p);
}

/** `p = 0.006` or `p < 0.001`. */
export function pText(p: number, alpha: number): string {
  const text = formatP(p, alpha);
  return text.startsWith('<') ? `p ${text}` : `p = ${text}`;
}

/** 12,345. */
export function formatCount(n: number): string {
  return Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `11.2 million`, `54,321`. */
export function formatParameters(n: number): string {
  return n >= 1e6 ? `${(n / 1e6).toFixed(1)} million` : formatCount(n);
}

/** `1 seed`, `3 seeds`. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${formatCount(n)} ${n === 1 ? one : many}`;
}

function negative(value: number | null): number | null {
  return value === null ? null : value === 0 ? 0 : -value;
}
