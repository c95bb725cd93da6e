import type { Estimate, FigureName, TruthFigureName } from '../metrics/index.ts';
import {
  betterArrow,
  figureHead,
  figuresFor,
  formatFigure,
  formatInterval,
  pText,
  type ShownFigure,
  type Verdict,
  verdictOf,
} from './figures.ts';
import type {
  CalibratedMethod,
  CalibratedResults,
  ConformalFigureName,
  EmbeddingFigure,
  ReportSet,
  SelectiveFigureName,
  StudyCell,
  StudyReport,
  TestedDifference,
} from './study-result.ts';

/** A study as its drawings and its report look at it: names, order and colours of methods, and what counts as significant. */
export interface StudyView {
  readonly report: StudyReport;
  /** A method's name for people; with its id where two carry the same label. Unknown ids are their own name. */
  readonly nameOf: (method: string) => string;
  /** A method's place in the study: its colour, shape and dash in every picture. */
  readonly seriesOf: (method: string) => number;
  /** What is called significant: 1 − the level of the intervals. */
  readonly alpha: number;
  /** `95 %`. */
  readonly level: string;
  readonly baseline: string;
  readonly setOf: (cell: StudyCell) => ReportSet;
  /** `knee · resnet10`. */
  readonly cellName: (cell: StudyCell) => string;
  /** The calibrator that stands for all of them in the reading: the temperature, or the first one. */
  readonly after: string | undefined;
}

export function viewOf(report: StudyReport): StudyView {
  const at = new Map(report.methods.map((method, m) => [method.id, m]));
  const labels = report.methods.map((method) => method.label);
  const alpha = Number((1 - report.level).toFixed(10));
  const nameOf = (id: string) => {
    const method = report.methods[at.get(id) ?? -1];
    if (method === undefined) return id;
    return labels.indexOf(method.label) === labels.lastIndexOf(method.label)
      ? method.label
      : `${method.label} (${id})`;
  };
  return {
    report,
    nameOf,
    seriesOf: (id) => at.get(id) ?? 0,
    alpha,
    level: `${Number((100 * report.level).toFixed(2))} %`,
    baseline: nameOf(report.baseline),
    setOf: (cell) => {
      const set = report.sets.find((s) => s.id === cell.set);
      if (set === undefined)
        throw new RangeError(`A cell names the set '${cell.set}', which the study lacks.`);
      return set;
    },
    cellName: (cell) => `${cell.set} · ${cell.network}`,
    after: report.calibrators.includes('temperature') ? 'temperature' : report.calibrators[0],
  };
}

/** A cell's methods under one calibrator; `undefined` where it was not fitted. */
export function resultsOf(cell: StudyCell, calibrator: string | undefined): CalibratedResults | undefined {
  return cell.calibration.find((results) => results.calibrator === calibrator);
}

/** A cell's methods as the networks say it, without a calibrator. */
export function plainResults(cell: StudyCell): readonly CalibratedMethod[] {
  return resultsOf(cell, 'none')?.methods ?? [];
}

/** One method under one calibrator. */
export function methodUnder(
  cell: StudyCell,
  calibrator: string | undefined,
  method: string,
): CalibratedMethod | undefined {
  return resultsOf(cell, calibrator)?.methods.find((m) => m.method === method);
}

/** Whether every method of the cell was measured against a known truth. */
export function knowsTruth(cell: StudyCell): boolean {
  const methods = plainResults(cell);
  return methods.length > 0 && methods.every((m) => m.truth !== null);
}

/** The figures of a cell, in the order in which they are shown. */
export function cellFigures(view: StudyView, cell: StudyCell): ShownFigure[] {
  return figuresFor(view.setOf(cell).classes.length, knowsTruth(cell));
}

/** A figure by its name. */
export function shown(name: FigureName | TruthFigureName, truth = false): ShownFigure {
  return figuresFor(Number.POSITIVE_INFINITY, true).find((f) => f.name === name && f.truth === truth)!;
}

const NOTHING: Estimate = { value: null, low: null, high: null };

/** A method's figure; undefined in all its parts where the method was not measured. */
export function figureOf(method: CalibratedMethod | undefined, figure: ShownFigure): Estimate {
  const found = figure.truth
    ? method?.truth?.[figure.name as TruthFigureName]
    : method?.figures[figure.name as FigureName];
  return found ?? NOTHING;
}

/** A method's difference from the baseline under the same calibrator. */
export function versusOf(
  method: CalibratedMethod | undefined,
  figure: ShownFigure,
): TestedDifference | undefined {
  return figure.truth
    ? method?.versusTruth?.[figure.name as TruthFigureName]
    : method?.versus?.[figure.name as FigureName];
}

/** `✓` or `✗` where a method is significantly better or worse than the baseline. */
export function signOf(
  figure: Pick<ShownFigure, 'better'>,
  difference: TestedDifference | null | undefined,
  alpha: number,
): '✓' | '✗' | '' {
  const verdict: Verdict = verdictOf(figure as ShownFigure, difference ?? undefined, alpha);
  return verdict === 'better' ? '✓' : verdict === 'worse' ? '✗' : '';
}

/** What a figure is multiplied by to be shown. */
export function scaleOf(figure: Pick<ShownFigure, 'unit'>): number {
  return figure.unit === '%' ? 100 : 1;
}

/** Errors of calibration: an axis of theirs starts at 0, which is perfect. */
export function isCalibrationError({ name }: ShownFigure): boolean {
  return name === 'ece' || name === 'eceEqualMass' || name === 'mce' || name === 'classwiseEce';
}

/** `ECE (%) 4.1 (95 % 3.0, 5.2)`; says so where it is not defined. */
export function estimateText(figure: ShownFigure, estimate: Estimate, level: string): string {
  if (estimate.value === null) return `${figure.label} is not defined`;
  const interval = formatInterval(figure, estimate);
  return `${figureHead(figure)} ${formatFigure(figure, estimate.value)}${interval === undefined ? '' : ` (${level} ${interval})`}`;
}

/** `−2.1 [−3.0, −1.1], p = 0.012`: a difference from the baseline; undefined where nothing was compared. */
export function versusText(
  figure: ShownFigure,
  difference: TestedDifference | undefined,
  alpha: number,
): string | undefined {
  if (difference === undefined || difference.value === null) return undefined;
  const interval = formatInterval(figure, difference, true);
  const p = difference.corrected === null ? 'not tested' : pText(difference.corrected, alpha);
  return `${formatFigure(figure, difference.value, true)}${interval === undefined ? '' : ` [${interval}]`}, ${p}`;
}

/** `ECE (%) ↓`. */
export function headOf(figure: ShownFigure): string {
  return `${figureHead(figure)}\u00a0${betterArrow(figure)}`;
}

/** `no calibrator`, `temperature`. */
export function calibratorName(calibrator: string): string {
  const names: Readonly<Record<string, string>> = {
    none: 'no calibrator',
    vector: 'vector scaling',
    isotonic: 'isotonic regression',
    histogram: 'histogram binning',
  };
  return names[calibrator] ?? calibrator;
}

/** `with a temperature`, in a sentence. */
export function withCalibrator(calibrator: string): string {
  const article = calibrator === 'temperature' ? 'a ' : '';
  return calibrator === 'none' ? 'without a calibrator' : `with ${article}${calibratorName(calibrator)}`;
}

export const SELECTIVE: Readonly<Record<SelectiveFigureName, ShownFigure>> = {
  aurc: described('AURC', '', 4, 'lower', 'Error rate among the most confident share, mean over all shares.'),
  excessAurc: described(
    'Excess AURC',
    '',
    4,
    'lower',
    'AURC above that of the best ranking of the same errors.',
  ),
  accuracy80: described('Accuracy at 80 %', '%', 1, 'higher', 'Among the most confident 80 % of the images.'),
  accuracy90: described('Accuracy at 90 %', '%', 1, 'higher', 'Among the most confident 90 % of the images.'),
  accuracy95: described('Accuracy at 95 %', '%', 1, 'higher', 'Among the most confident 95 % of the images.'),
};

export const CONFORMAL: Readonly<Record<ConformalFigureName, ShownFigure>> = {
  coverage: described('Coverage', '%', 1, 'zero', 'Share of images whose label is in their set.'),
  size: described('Set size', '', 2, 'lower', 'Classes in a set, mean over images.'),
  empty: described('Empty sets', '%', 1, 'lower', 'Share of images whose set holds no class.'),
};

export const EMBEDDING: Readonly<Record<EmbeddingFigure, ShownFigure>> = {
  distanceRatio: described(
    'Within/between distance',
    '',
    3,
    'lower',
    'Mean distance within classes over that between classes: lower is more compact.',
  ),
  silhouette: described('Silhouette', '', 3, 'higher', 'From −1 to 1: higher is better separated.'),
  neighbourAccuracy: described(
    'k-NN accuracy',
    '%',
    1,
    'higher',
    'Share of images whose nearest neighbours vote for their class.',
  ),
};

/** A figure that only studies have, in the form of all the others, so that it is written as they are. */
function described(
  label: string,
  unit: ShownFigure['unit'],
  digits: number,
  better: ShownFigure['better'],
  meaning: string,
): ShownFigure {
  return { name: label as FigureName, truth: false, label, unit, digits, better, meaning };
}
