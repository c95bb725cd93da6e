import {
  argsort,
  auroc,
  aurocMeasure,
  calibrationError,
  classwiseEce,
  type Predictions,
  probabilityOf,
  reliability,
  reliabilityEqualMass,
  sampleBrier,
  sampleNll,
  sampleTruthDistance,
  smoothEce,
  topKHits,
} from '../metrics/index.ts';
import { type CalibrationPart, type Figure, registerFigure } from './figure.ts';
import { rankedOf, type Seen } from './seen.ts';
import {
  augrcStatistic,
  aurcStatistic,
  aurocStatistic,
  balancedStatistic,
  columnOf,
  meanStatistic,
  type Statistic,
} from './statistics.ts';

/** One label of K. What leads is what is right: the debiased and the smooth calibration error before the published one. */
const figures: readonly Figure[] = [
  {
    name: 'top1',
    label: 'Top-1',
    unit: '%',
    digits: 1,
    better: 'higher',
    meaning: 'Share of images whose most probable class is the label.',
    sort: 'statistic',
    of: (seen) => meanStatistic(seen.top.correct, undefined, 'share'),
  },
  {
    name: 'top5',
    label: 'Top-5',
    unit: '%',
    digits: 1,
    better: 'higher',
    meaning: 'Share of images whose label is among the five most probable classes.',
    shown: (classes) => classes > 5,
    sort: 'statistic',
    of: (seen) => meanStatistic(topKHits(seen.predictions, 5), undefined, 'share'),
  },
  {
    name: 'balancedAccuracy',
    label: 'Balanced accuracy',
    unit: '%',
    digits: 1,
    better: 'higher',
    meaning: 'Mean recall over the classes: rare classes count as much as common ones.',
    sort: 'statistic',
    of: (seen) => balancedStatistic(seen.predictions, seen.top.correct),
  },
  {
    name: 'auroc',
    label: 'AUROC',
    unit: '',
    digits: 3,
    better: 'higher',
    meaning: 'Chance that an image of a class is ranked above one of another class, mean over classes.',
    sort: 'statistic',
    of: (seen) => macroAuroc(seen.predictions),
  },
  {
    name: 'nll',
    label: 'NLL',
    unit: 'nats',
    digits: 3,
    better: 'lower',
    meaning: 'Mean negative log-probability of the label: punishes confident errors most.',
    sort: 'statistic',
    of: (seen) => meanStatistic(sampleNll(seen.predictions), undefined, 'positive'),
  },
  {
    name: 'brier',
    label: 'Brier score',
    unit: '',
    digits: 3,
    better: 'lower',
    meaning: 'Mean squared distance of the probabilities from the label, from 0 to 2.',
    sort: 'statistic',
    of: (seen) => meanStatistic(sampleBrier(seen.predictions), undefined, 'positive'),
  },
  {
    name: 'eceDebiased',
    label: 'ECE, debiased',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning:
      'Expected calibration error without what chance adds to it: the one to read, with its interval for the true error.',
    sort: 'calibration',
    of: (seen) => topPart(seen),
  },
  {
    name: 'smoothEce',
    label: 'SmoothECE',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'Calibration error smoothed by a kernel instead of bins.',
    sort: 'calibration',
    of: (seen) => topPart(seen, () => smoothEce(seen.top.confidence, seen.top.correct)),
  },
  {
    name: 'ece',
    label: 'ECE, published form',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning:
      'Mean gap of confidence and accuracy over bins of equal width, as papers print it; chance alone puts it above 0.',
    sort: 'calibration',
    of: (seen) => topPart(seen, () => calibrationError(equalWidthBins(seen))),
  },
  {
    name: 'eceEqualMass',
    label: 'ECE, equal mass',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'The same over bins that hold equally many images.',
    sort: 'calibration',
    of: (seen) =>
      topPart(seen, () =>
        calibrationError(reliabilityEqualMass(seen.top.confidence, seen.top.correct, seen.bins)),
      ),
  },
  {
    name: 'mce',
    label: 'MCE',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'The largest gap of any bin; with few images in a bin it is mostly chance, and has no test.',
    sort: 'plain',
    of: (seen) => calibrationError(equalWidthBins(seen), 'max'),
  },
  {
    name: 'classwiseEce',
    label: 'Class-wise ECE',
    unit: '%',
    digits: 2,
    better: 'lower',
    meaning: 'Calibration error of every class’s probability, mean over classes, as papers print it.',
    sort: 'plain',
    of: (seen) => classwiseOf(seen).ece,
  },
  {
    name: 'confidenceGap',
    label: 'Confidence − accuracy',
    unit: '%',
    digits: 1,
    better: 'zero',
    meaning: 'Above 0 is over-confident, below 0 under-confident, on average.',
    sort: 'statistic',
    of: (seen) => meanStatistic(Float64Array.from(seen.top.confidence, (c, i) => c - seen.top.correct[i]!)),
  },
  {
    name: 'aurc',
    label: 'AURC',
    unit: '%',
    digits: 2,
    better: 'lower',
    meaning: 'Mean error rate of the most confident images over all shares that could be answered.',
    sort: 'statistic',
    of: (seen) => aurcStatistic(seen.byConfidence),
  },
  {
    name: 'augrc',
    label: 'AUGRC',
    unit: '%',
    digits: 2,
    better: 'lower',
    meaning: 'Mean share of all images that are answered and wrong, over all shares that could be answered.',
    sort: 'statistic',
    of: (seen) => augrcStatistic(seen.byConfidence),
  },
  {
    name: 'truth.totalVariation',
    label: 'Total variation to truth',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'Mean probability that would have to be moved to reach the true posterior.',
    needs: 'posterior',
    sort: 'statistic',
    of: (seen) => meanStatistic(distances(seen).totalVariation, undefined, 'positive'),
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
    of: (seen) => meanStatistic(distances(seen).kl, undefined, 'positive'),
  },
  {
    name: 'truth.squaredError',
    label: 'Squared error to truth',
    unit: '',
    digits: 3,
    better: 'lower',
    meaning: 'The part of the Brier score that a perfect classifier would not have.',
    needs: 'posterior',
    sort: 'statistic',
    of: (seen) => meanStatistic(distances(seen).squaredError, undefined, 'positive'),
  },
  {
    name: 'truth.ece',
    label: 'ECE to truth',
    unit: '%',
    digits: 1,
    better: 'lower',
    meaning: 'Calibration error against the true probability of being right, free of label noise.',
    needs: 'posterior',
    sort: 'calibration',
    of: (seen) => ({
      run: seen.keep('truth run', () => ({ confidence: seen.top.confidence, outcome: chanceOf(seen) })),
      value: () => calibrationError(reliability(seen.top.confidence, chanceOf(seen), seen.bins)),
    }),
  },
];

for (const figure of figures) registerFigure('one-of-k', figure);

/** The true probability of the predicted class, N. */
export function chanceOf(seen: Seen): Float32Array | Float64Array {
  return seen.keep('chance', () => probabilityOf(seen.outputs.posterior!, seen.top.predicted, seen.classes));
}

/** Class-wise calibration error, one run's. */
export function classwiseOf(seen: Seen) {
  return seen.keep('classwise', () => classwiseEce(seen.predictions, seen.bins));
}

function topPart(seen: Seen, value?: () => number): CalibrationPart {
  const run = seen.keep('top run', () => ({ confidence: seen.top.confidence, outcome: seen.top.correct }));
  return value === undefined ? { run } : { run, value };
}

function equalWidthBins(seen: Seen) {
  return seen.keep('bins', () => reliability(seen.top.confidence, seen.top.correct, seen.bins));
}

function distances(seen: Seen) {
  return seen.keep('truth', () => sampleTruthDistance(seen.predictions, seen.outputs.posterior!));
}

/** The areas of the classes where they are defined, as one statistic: their mean. */
function macroAuroc(p: Predictions): Statistic {
  const n = p.labels.length;
  const areas = function* () {
    for (let k = 0; k < p.classes; k++) {
      const scores = columnOf(p.probabilities, k, p.classes);
      const one = aurocStatistic(rankedOf(argsort(scores), scores, (i) => p.labels[i] === k, n));
      if (!Number.isNaN(one.value())) yield { k, one };
    }
  };
  const value = (): number => auroc(p).macro ?? Number.NaN;
  return {
    value,
    measure: () => aurocMeasure(p),
    influence: () => {
      const result = new Float64Array(n);
      let defined = 0;
      for (const { one } of areas()) {
        const influence = one.influence();
        defined++;
        for (let i = 0; i < n; i++) result[i] = result[i]! + influence[i]!;
      }
      for (let i = 0; i < n; i++) result[i] = result[i]! / defined;
      return result;
    },
    scale: 'share',
    kinds: () => {
      const { perClass } = auroc(p);
      const defined = perClass.filter((area) => area !== null).length;
      // A class has few samples, never the rest.
      const pulls = perClass.map((area) => (area === null ? 0 : Math.abs(area - 0.5) / 2 / defined));
      return { of: p.labels, pulls };
    },
  };
}
