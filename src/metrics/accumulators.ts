import { PenumbraError } from '../errors.ts';
import { confusionMatrix, topKHits } from './accuracy.ts';
import {
  assignBins,
  type BinOptions,
  BinSums,
  type ClasswiseCalibration,
  ClasswiseSums,
  type Cut,
  equalWidth,
  type ReliabilityBin,
} from './calibration.ts';
import { type Floats, type Predictions, predictions, topLabels } from './predictions.ts';
import { sampleBrier, sampleNll } from './scoring.ts';

/**
 * A figure of samples that arrive in batches. After any split into batches `compute()` equals the pure function of all
 * samples together, to the last bit. Batches are checked like {@link predictions}.
 */
export interface Accumulator<T> {
  /** Adds B samples: B×K probabilities, row-major, and B labels. All batches must be of one precision. */
  update(probabilities: Floats, labels: ArrayLike<number>): void;
  /** The figure of all samples since the start or the last `reset`. Throws `metrics/empty` where there are none. */
  compute(): T;
  /** Forgets everything. */
  reset(): void;
}

/** {@link topK} (k = 1: {@link top1}) in constant memory. */
export function accumulateTopK(classes: number, k = 1): Accumulator<number> {
  return accumulateMean(classes, (p) => topKHits(p, k));
}

/**
 * {@link nll} in constant memory.
 *
 * @example
 * const a = accumulateNll(2);
 * a.update(Float64Array.of(0.5, 0.5), [0]);
 * a.update(Float64Array.of(1, 0), [0]);
 * a.compute().toFixed(6); // '0.346574'
 */
export function accumulateNll(classes: number): Accumulator<number> {
  return accumulateMean(classes, sampleNll);
}

/** {@link brier} in constant memory. */
export function accumulateBrier(classes: number): Accumulator<number> {
  return accumulateMean(classes, sampleBrier);
}

/** {@link confidenceGap} in constant memory. */
export function accumulateConfidenceGap(classes: number): Accumulator<number> {
  return accumulateMean(classes, (p) => {
    const { confidence, correct } = topLabels(p);
    return Float64Array.from(confidence, (c, i) => c - correct[i]!);
  });
}

/** {@link confusionMatrix} in K² memory; {@link recalls} and {@link meanRecall} (balanced accuracy) read it. */
export function accumulateConfusion(classes: number): Accumulator<Float64Array> {
  let counts = new Float64Array(classes * classes);
  return accumulator(classes, {
    add: (p) => {
      const batch = confusionMatrix(p);
      for (let c = 0; c < batch.length; c++) counts[c] = counts[c]! + batch[c]!;
    },
    value: () => counts.slice(),
    clear: () => {
      counts = new Float64Array(classes * classes);
    },
  });
}

/** {@link reliabilityBins} in the memory of its bins; {@link calibrationError} makes ECE and MCE of them. */
export function accumulateReliability(
  classes: number,
  options: BinOptions = {},
): Accumulator<ReliabilityBin[]> {
  let state: { cut: Cut; sums: BinSums } | undefined;
  equalWidth(options, new Float64Array(0)); // Wrong options show now and not at the first batch.
  return accumulator(classes, {
    add: (p) => {
      const { confidence, correct } = topLabels(p);
      if (state === undefined) {
        const cut = equalWidth(options, confidence);
        state = { cut, sums: new BinSums(cut.size) };
      }
      state.sums.add(assignBins(confidence, state.cut), confidence, correct);
    },
    value: () => state!.sums.bins(state!.cut.edges),
    clear: () => {
      state = undefined;
    },
  });
}

/** {@link classwiseEce} in K·bins memory. */
export function accumulateClasswiseEce(
  classes: number,
  options: BinOptions = {},
): Accumulator<ClasswiseCalibration> {
  let sums = new ClasswiseSums(classes, options);
  return accumulator(classes, {
    add: (p) => sums.add(p),
    value: () => sums.result(),
    clear: () => {
      sums = new ClasswiseSums(classes, options);
    },
  });
}

/**
 * Keeps every sample, for the figures that need all at once: {@link auroc}, {@link eceEqualMass}.
 * Memory: N·K numbers in the precision of the batches.
 */
export function accumulatePredictions(classes: number): Accumulator<Predictions> {
  let probabilities: Floats = new Float32Array(0);
  let labels = new Int32Array(0);
  let n = 0;
  return accumulator(classes, {
    add: (p) => {
      const total = n + p.labels.length;
      if (total > labels.length) {
        const room = Math.max(total, 2 * labels.length);
        const Kind = p.probabilities.constructor as new (length: number) => Floats;
        const grown = new Kind(room * classes);
        grown.set(probabilities.subarray(0, n * classes));
        probabilities = grown;
        const grownLabels = new Int32Array(room);
        grownLabels.set(labels.subarray(0, n));
        labels = grownLabels;
      }
      probabilities.set(p.probabilities, n * classes);
      labels.set(p.labels, n);
      n = total;
    },
    value: () => ({
      probabilities: probabilities.slice(0, n * classes),
      labels: labels.slice(0, n),
      classes,
    }),
    clear: () => {
      probabilities = new Float32Array(0);
      labels = new Int32Array(0);
      n = 0;
    },
  });
}

function accumulateMean(
  classes: number,
  samples: (p: Predictions) => ArrayLike<number>,
): Accumulator<number> {
  let sum = 0;
  let n = 0;
  return accumulator(classes, {
    add: (p) => {
      const values = samples(p);
      for (let i = 0; i < values.length; i++) sum += values[i]!;
      n += values.length;
    },
    value: () => sum / n,
    clear: () => {
      sum = n = 0;
    },
  });
}

/** What all accumulators share: checked batches of one precision, empty batches passed over, no result from nothing. */
function accumulator<T>(
  classes: number,
  state: { add(p: Predictions): void; value(): T; clear(): void },
): Accumulator<T> {
  let single: boolean | undefined;
  return {
    update(probabilities, labels) {
      if (labels.length === 0 && probabilities.length === 0) return;
      const p = predictions(probabilities, labels, { classes });
      const now = probabilities instanceof Float32Array;
      if (single !== undefined && single !== now) {
        throw new PenumbraError(
          'metrics/shape',
          'Batches of fp32 and of fp64 probabilities cannot be mixed.',
          {
            hint: 'Give all batches in one precision.',
          },
        );
      }
      single = now;
      state.add(p);
    },
    compute() {
      if (single === undefined) {
        throw new PenumbraError('metrics/empty', 'No samples have been added.', {
          hint: 'Call update first.',
        });
      }
      return state.value();
    },
    reset() {
      single = undefined;
      state.clear();
    },
  };
}
