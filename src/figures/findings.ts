import {
  type CalibrationRun,
  calibrationError,
  NLL_FLOOR,
  reliability,
  reliabilityEqualMass,
  smoothEce,
} from '../metrics/index.ts';
import { type CalibrationPart, type Figure, registerFigure } from './figure.ts';
import type { Column, Seen } from './seen.ts';
import {
  auprcStatistic,
  aurocStatistic,
  meanStatistic,
  rankCorrelationStatistic,
  ratioStatistic,
  type Scale,
  type Statistic,
} from './statistics.ts';

/**
 * K findings, each measured over the samples where it is known; a figure is the mean over the findings where it is
 * defined. A target that is a probability (report wording) counts as itself for NLL, Brier score and calibration, and as
 * positive above one half for ranks and calls.
 */
const figures: readonly Figure[] = [
  {
    name: 'auroc',
    label: 'AUROC',
    unit: '',
    digits: 3,
    better: 'higher',
    meaning: 'Chance that an image with the finding is ranked above one without, mean over findings.',
    sort: 'statistic',
    of: (seen, k) => {
      const ranked = seen.ranked(k!);
      return ranked && aurocStatistic(ranked);
    },
  },
  {
    name: 'aurocDefinite',
    label: 'AUROC, hedged left out',
    unit: '',
    digits: 3,
    better: 'higher',
    meaning: 'The same over the images of which the report speaks of the finding without doubt.',
    needs: 'wording',
    sort: 'statistic',
    of: (seen, k) => {
      const ranked = seen.rankedDefinite(k!);
      return ranked && aurocStatistic(ranked);
    },
  },
  {
    name: 'aurocSoft',
    label: 'AUROC, soft labels',
    unit: '',
    digits: 3,
    better: 'higher',
    meaning:
      'The same against what the wording means: a finding that is 70 % likely counts as 0.7 of a positive and 0.3 of a negative.',
    needs: 'wording',
    sort: 'statistic',
    of: (seen, k) => {
      const ranked = seen.rankedSoft(k!);
      return ranked && aurocStatistic(ranked);
    },
  },
  {
    name: 'auprc',
    label: 'AUPRC',
    unit: '',
    digits: 3,
    better: 'higher',
    meaning: 'Average precision, mean over findings: what it is worth depends on how common the finding is.',
    sort: 'statistic',
    of: (seen, k) => {
      const ranked = seen.ranked(k!);
      return ranked && auprcStatistic(ranked);
    },
  },
  {
    name: 'nll',
    label: 'NLL',
    unit: 'nats',
    digits: 3,
    better: 'lower',
    meaning: 'Mean binary cross-entropy: punishes confident errors most.',
    sort: 'statistic',
    of: (seen, k) => masked(seen.column(k!), 'positive', (column) => sampleCrossEntropy(column)),
  },
  {
    name: 'brier',
    label: 'Brier score',
    unit: '',
    digits: 3,
    better: 'lower',
    meaning: 'Mean squared distance of the probability from what is there, from 0 to 1.',
    sort: 'statistic',
    of: (seen, k) =>
      masked(seen.column(k!), 'positive', ({ probability, target }) => {
        const result = new Float64Array(target.length);
        for (let i = 0; i < result.length; i++) result[i] = (probability[i]! - target[i]!) ** 2;
        return result;
      }),
  },
  {
    name: 'eceDebiased',
    label: 'ECE, debiased',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning:
      'Expected calibration error without what chance adds to it, mean over findings: the one to read, with its interval for the true error.',
    sort: 'calibration',
    of: (seen, k) => part(seen, k!),
  },
  {
    name: 'smoothEce',
    label: 'SmoothECE',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'Calibration error smoothed by a kernel instead of bins, mean over findings.',
    sort: 'calibration',
    of: (seen, k) => part(seen, k!, ({ confidence, outcome }) => smoothEce(confidence, outcome)),
  },
  {
    name: 'ece',
    label: 'ECE, published form',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning:
      'Mean gap of probability and frequency over bins of equal width, as papers print it; chance alone puts it above 0.',
    sort: 'calibration',
    of: (seen, k) =>
      part(seen, k!, ({ confidence, outcome }) =>
        calibrationError(reliability(confidence, outcome, seen.bins)),
      ),
  },
  {
    name: 'eceEqualMass',
    label: 'ECE, equal mass',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'The same over bins that hold equally many images.',
    sort: 'calibration',
    of: (seen, k) =>
      part(seen, k!, ({ confidence, outcome }) =>
        calibrationError(reliabilityEqualMass(confidence, outcome, seen.bins)),
      ),
  },
  {
    name: 'confidenceGap',
    label: 'Probability − frequency',
    unit: '%',
    digits: 1,
    better: 'zero',
    meaning: 'Above 0 the finding is expected too often, below 0 too seldom, on average.',
    sort: 'statistic',
    of: (seen, k) =>
      masked(seen.column(k!), 'real', ({ probability, target }) => {
        const result = new Float64Array(target.length);
        for (let i = 0; i < result.length; i++) result[i] = probability[i]! - target[i]!;
        return result;
      }),
  },
  {
    name: 'sensitivity',
    label: 'Sensitivity',
    unit: '%',
    digits: 1,
    better: 'higher',
    meaning: 'Share of the images with the finding that are called, at the threshold chosen on validation.',
    needs: 'thresholds',
    sort: 'statistic',
    of: (seen, k) => called(seen, k!, ({ hits, positive }) => ratioStatistic(hits, positive, positive)),
  },
  {
    name: 'specificity',
    label: 'Specificity',
    unit: '%',
    digits: 1,
    better: 'higher',
    meaning: 'Share of the images without the finding that are not called, at the same threshold.',
    needs: 'thresholds',
    sort: 'statistic',
    of: (seen, k) => called(seen, k!, ({ quiet, negative }) => ratioStatistic(quiet, negative, negative)),
  },
  {
    name: 'f1',
    label: 'F1',
    unit: '',
    digits: 3,
    better: 'higher',
    meaning: 'Harmonic mean of sensitivity and precision, at the same threshold.',
    needs: 'thresholds',
    sort: 'statistic',
    of: (seen, k) =>
      called(seen, k!, ({ hits, calls, positive }) => {
        // F1 = 2·TP/(called + positive).
        const twice = hits.map((hit) => 2 * hit);
        const both = calls.map((call, i) => call + positive[i]!);
        return ratioStatistic(twice, both, both);
      }),
  },
  {
    name: 'truth.absolute',
    label: 'Distance to truth',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'Mean distance of the probability from the true posterior, mean over findings.',
    needs: 'posterior',
    sort: 'statistic',
    of: (seen, k) => fromTruth(seen, k!, (p, q) => Math.abs(p - q)),
  },
  {
    name: 'truth.kl',
    label: 'KL to truth',
    unit: 'nats',
    digits: 3,
    better: 'lower',
    meaning: 'The part of the NLL that a perfect classifier would not have.',
    needs: 'posterior',
    sort: 'statistic',
    of: (seen, k) =>
      fromTruth(seen, k!, (p, q) => {
        const present = q === 0 ? 0 : q * Math.log(q / Math.max(p, NLL_FLOOR));
        const absent = q === 1 ? 0 : (1 - q) * Math.log((1 - q) / Math.max(1 - p, NLL_FLOOR));
        return present + absent;
      }),
  },
  {
    name: 'truth.squaredError',
    label: 'Squared error to truth',
    unit: '',
    digits: 4,
    better: 'lower',
    meaning: 'The part of the Brier score that a perfect classifier would not have.',
    needs: 'posterior',
    sort: 'statistic',
    of: (seen, k) => fromTruth(seen, k!, (p, q) => (p - q) ** 2),
  },
  {
    name: 'truth.ece',
    label: 'ECE to truth',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'Calibration error against the true posterior, free of label noise, mean over findings.',
    needs: 'posterior',
    sort: 'calibration',
    of: (seen, k) => {
      const run = seen.keep(`truth ${k}`, () => ({
        confidence: seen.column(k!).probability,
        outcome: seen.posterior(k!),
      }));
      return {
        run,
        value: () => calibrationError(reliability(run.confidence, run.outcome, seen.bins)),
      };
    },
  },
  {
    name: 'doubt.rank',
    label: 'Doubt, rank correlation',
    unit: '',
    digits: 3,
    better: 'higher',
    meaning:
      "Spearman's correlation of the doubt that was predicted with that which the reports express, mean over findings that are ever hedged.",
    needs: 'doubt',
    sort: 'statistic',
    of: (seen, k) => {
      const doubt = seen.doubt(k!);
      return doubt && rankCorrelationStatistic(doubt.predicted, doubt.expressed, doubt.mask);
    },
  },
  {
    name: 'doubt.ece',
    label: 'Doubt, calibration error',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning:
      'How far predicted doubt lies from the mean of what is expressed where it is predicted; debiased, mean over the same findings.',
    needs: 'doubt',
    sort: 'calibration',
    of: (seen, k) => {
      const doubt = seen.doubt(k!);
      if (doubt === undefined) return undefined;
      const { predicted: confidence, expressed: outcome, mask } = doubt;
      return { run: seen.keep(`doubt run ${k}`, () => ({ confidence, outcome, mask })) };
    },
  },
];

for (const figure of figures) registerFigure('findings', figure);

/** A distance of each probability of finding k from the true posterior; known or not, the posterior is. */
function fromTruth(seen: Seen, k: number, distance: (p: number, q: number) => number): Statistic {
  const { probability } = seen.column(k);
  const truth = seen.posterior(k);
  const values = new Float64Array(truth.length);
  for (let i = 0; i < values.length; i++) values[i] = distance(probability[i]!, truth[i]!);
  return meanStatistic(values, undefined, 'positive');
}

/** −y·ln p − (1 − y)·ln(1 − p) for each sample, logarithms of at least 2⁻¹²⁶. */
export function sampleCrossEntropy({ probability, target, logit }: Column): Float64Array {
  const result = new Float64Array(probability.length);
  for (let i = 0; i < result.length; i++) {
    const p = probability[i]!;
    const y = target[i]!;
    // Where fp32 has rounded p to 1 or 0, the logit still knows how far from it the network was.
    const z = logit?.[i];
    const lost = z !== undefined && (p === 1 ? z > 10 : p === 0 && z < -10);
    result[i] = lost
      ? Math.max(z, 0) - z * y + Math.log1p(Math.exp(-Math.abs(z)))
      : 0 - (y * Math.log(Math.max(p, NLL_FLOOR)) + (1 - y) * Math.log(Math.max(1 - p, NLL_FLOOR)));
  }
  return result;
}

function masked(
  column: Column,
  scale: Scale,
  values: (column: Column) => Float64Array,
): Statistic | undefined {
  if (column.known === 0) return undefined;
  return meanStatistic(values(column), column.known === column.mask.length ? undefined : column.mask, scale);
}

function part(seen: Seen, k: number, value?: (known: CalibrationRun) => number): CalibrationPart | undefined {
  const known = seen.known(k);
  if (known === undefined) return undefined;
  const run = seen.keep(`run ${k}`, () => {
    const { probability, target, mask, known: many } = seen.column(k);
    return { confidence: probability, outcome: target, ...(many < seen.samples && { mask }) };
  });
  return value === undefined ? { run } : { run, value: () => value(known) };
}

/** What is called at the finding's threshold, of the samples that are known to have it or not; each N of 0 and 1. */
interface Calls {
  readonly positive: Uint8Array;
  readonly negative: Uint8Array;
  /** Called, at all; rightly; and rightly not. */
  readonly calls: Uint8Array;
  readonly hits: Uint8Array;
  readonly quiet: Uint8Array;
}

function called(seen: Seen, k: number, make: (calls: Calls) => Statistic): Statistic | undefined {
  const threshold = seen.outputs.thresholds![k]!;
  const { probability, target, mask, positives, negatives } = seen.column(k);
  if (Number.isNaN(threshold) || positives === 0 || negatives === 0) return undefined;
  return make(
    seen.keep(`calls ${k}`, () => {
      const n = seen.samples;
      const [positive, negative, calls, hits, quiet] = Array.from({ length: 5 }, () => new Uint8Array(n));
      for (let i = 0; i < n; i++) {
        if (mask[i] === 0 || target[i] === 0.5) continue;
        const [is, call] = [target[i]! > 0.5 ? 1 : 0, probability[i]! >= threshold ? 1 : 0];
        positive![i] = is;
        negative![i] = 1 - is;
        calls![i] = call;
        hits![i] = is & call;
        quiet![i] = (1 - is) & (1 - call);
      }
      return { positive: positive!, negative: negative!, calls: calls!, hits: hits!, quiet: quiet! };
    }),
  );
}
