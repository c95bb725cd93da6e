import type { Targets } from '../data/targets.ts';
import { PenumbraError } from '../errors.ts';
import type { CalibrationRun } from '../metrics/index.ts';
import type { Seen } from './seen.ts';
import type { Statistic } from './statistics.ts';

export type Kind = Targets['kind'];

/** How a figure is shown to people. */
interface FigureText {
  /** Its key in JSON and in records; one in `truth.…` or `doubt.…` stands there in an object of its own. */
  readonly name: string;
  readonly label: string;
  /** `%`: shown times 100, its differences are percentage points. */
  readonly unit: '%' | 'nats' | '';
  readonly digits: number;
  /** `zero`: neither more nor less is better, nearer to 0 is; a difference of two such figures is not judged. */
  readonly better: 'higher' | 'lower' | 'zero';
  /** One sentence for who meets it first. */
  readonly meaning: string;
  /** What the outputs must hold beside probabilities, else the figure is left out; `wording`: targets that express doubt. */
  readonly needs?: 'posterior' | 'thresholds' | 'doubt' | 'wording';
  /** Whether it tells anything for K classes or findings; default always. It is measured all the same. */
  readonly shown?: (classes: number) => boolean;
}

/** One finding's calibration error, or the figure's only one. */
export interface CalibrationPart {
  /** What is compared: confidence against what happened. */
  readonly run: CalibrationRun;
  /** The figure itself; absent: the debiased error that the interval is built around. */
  value?(): number;
}

/**
 * One figure: an entry in a list that tables, drawings, reports, JSON and tests of significance iterate. It belongs to
 * one kind of targets, and it is one of three sorts:
 *
 * - `statistic`: a number whose interval and paired test come from resampling samples or patients;
 * - `calibration`: a calibration error. Its interval covers the TRUE error, and interval and test are made by
 *   {@link calibrationInterval} and {@link calibrationDifference}, since a bootstrap of such figures does not hold;
 * - `plain`: a number for which there is neither interval nor test that holds.
 *
 * For findings a sort gives one finding's (`k`), `undefined` where it is not defined, and the figure is their mean.
 */
export type Figure = FigureText &
  (
    | { readonly sort: 'statistic'; readonly of: (seen: Seen, k?: number) => Statistic | undefined }
    | { readonly sort: 'calibration'; readonly of: (seen: Seen, k?: number) => CalibrationPart | undefined }
    | { readonly sort: 'plain'; readonly of: (seen: Seen, k?: number) => number | undefined }
  );

const registry: Record<Kind, Figure[]> = { 'one-of-k': [], findings: [] };

/**
 * The figures of a kind of targets, in the order in which they are shown.
 *
 * @example
 * figuresOf('one-of-k')[0].name; // 'top1'
 */
export function figuresOf(kind: Kind): readonly Figure[] {
  return registry[kind];
}

/**
 * Adds a figure: from then on it stands in every table, drawing, JSON and test.
 * @throws PenumbraError `figures/name` where the name is taken or is not one that JSON can carry
 */
export function registerFigure(kind: Kind, figure: Figure): void {
  if (registry[kind].some(({ name }) => name === figure.name)) {
    throw new PenumbraError('figures/name', `There is already a figure "${figure.name}" for ${kind}.`, {
      hint: 'Choose another name.',
    });
  }
  if (!/^[a-z]\w*(\.[a-z]\w*)?$/i.test(figure.name)) {
    throw new PenumbraError('figures/name', `"${figure.name}" cannot name a figure.`, {
      hint: 'Use letters and digits, as in top1 or truth.ece.',
    });
  }
  registry[kind].push(figure);
}

/**
 * The figure of that name.
 * @throws PenumbraError `figures/name`
 */
export function figureNamed(kind: Kind, name: string): Figure {
  const figure = registry[kind].find((one) => one.name === name);
  if (figure !== undefined) return figure;
  throw new PenumbraError('figures/name', `There is no figure "${name}" for ${kind}.`, {
    hint: `The figures are ${registry[kind].map((one) => one.name).join(', ')}.`,
  });
}

/** The figures to show for what was measured: those that were, and that tell something for K classes. */
export function shownFigures(
  kind: Kind,
  classes: number,
  measured: Readonly<Record<string, unknown>>,
): Figure[] {
  return registry[kind].filter(
    ({ name, shown }) => measured[name] !== undefined && (shown === undefined || shown(classes)),
  );
}
