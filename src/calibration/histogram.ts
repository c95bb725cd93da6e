import { PenumbraError } from '../errors.ts';
import { reliability, reliabilityEqualMass } from '../metrics/index.ts';
import { absentWarning, type CalibrationMethod, isNumbers } from './calibrator.ts';
import { applyCurves, type Curves, type Evaluate, fitCurves, Places } from './one-vs-rest.ts';

export interface HistogramOptions {
  /** How many bins, from 1 to 65,535. Default 15. */
  readonly bins?: number;
  /**
   * `width` (default): bins of equal width. `mass`: bins of equally many samples. With many classes `mass` puts nearly
   * all its bins where a class is unlikely and takes all its likely samples together: use it for few classes only.
   */
  readonly binning?: 'width' | 'mass';
}

interface Bins {
  /** B upper edges, ascending. Bin b holds (edges[b − 1], edges[b]], the last one everything above too. */
  readonly edges: readonly number[];
  /** B calibrated probabilities. */
  readonly values: readonly number[];
}

export interface HistogramParameters {
  /** K; `null` for a class without samples in the fit set. */
  readonly curves: Curves<Bins>;
}

/**
 * Histogram binning, one class against the rest (Zadrozny and Elkan, "Obtaining calibrated probability estimates from
 * decision trees and naive Bayesian classifiers", ICML 2001; for several classes as in Guo et al., ICML 2017, §4.2):
 * each class's softmax probability is replaced by the share of class k among the fit set's samples in the same bin; then
 * each row is divided by its sum.
 *
 * A bin without samples gives its middle. A class without samples in the fit set keeps its softmax probability. Exact
 * zeros are usual, as in isotonic regression. Accuracy can change.
 */
export const histogram: CalibrationMethod<HistogramParameters, HistogramOptions> = {
  label: 'Histogram binning',
  options: ['bins', 'binning'],
  fit: (set, { bins = 15, binning = 'width' }) => {
    if (binning !== 'width' && binning !== 'mass') {
      throw new PenumbraError('calibration/option', `There is no binning "${String(binning)}".`, {
        hint: 'Use "width" or "mass".',
        where: { option: 'binning' },
      });
    }
    const bin = binning === 'width' ? reliability : reliabilityEqualMass;
    const curves = fitCurves(set, (probability, outcome) => {
      // Equal mass leaves empty bins of no width where many are tied.
      const found = bin(probability, outcome, { bins }).filter((b) => binning === 'width' || b.count > 0);
      return {
        edges: found.map((b) => b.upper),
        values: found.map((b) => b.accuracy ?? (b.lower + b.upper) / 2),
      };
    });
    const warnings = absentWarning(set.support, 'they keep their softmax probability');
    return { parameters: { curves }, report: { warnings } };
  },
  valid: (parameters, classes): parameters is HistogramParameters => {
    const { curves } = (parameters ?? {}) as Partial<HistogramParameters>;
    return Array.isArray(curves) && curves.length === classes && curves.every((c) => c === null || isBins(c));
  },
  apply: ({ curves }, logits, classes, out) => applyCurves(curves.map(evaluate), logits, classes, out),
};

function evaluate(bins: Bins | null): Evaluate | null {
  if (bins === null) return null;
  const values = Float64Array.from(bins.values);
  const inner = new Places(bins.edges.slice(0, -1));
  return (p, bits) => values[inner.below(p, bits)]!;
}

function isBins({ edges, values }: Partial<Bins>): boolean {
  return (
    isNumbers(edges) &&
    edges.length > 0 &&
    isNumbers(values, edges.length) &&
    edges.every((v, j) => j === 0 || v >= edges[j - 1]!) &&
    values.every((v) => v >= 0 && v <= 1)
  );
}
