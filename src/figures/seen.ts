import type { Findings } from '../data/targets.ts';
import {
  argsortForGood,
  type BinOptions,
  type ByConfidence,
  byConfidence,
  type CalibrationRun,
  type Floats,
  floatsLike,
  type Predictions,
  type TopLabels,
  topLabels,
} from '../metrics/index.ts';
import { expressedDoubt, type Outputs, predictionsOf, samplesOf, wordedTargets } from './outputs.ts';
import { columnOf, type Ranked } from './statistics.ts';

/** One finding of N samples. */
export interface Column {
  /** N probabilities. */
  readonly probability: Floats;
  /** N: y in [0, 1]. */
  readonly target: Float32Array;
  /** N: 1 where y is known. */
  readonly mask: Uint8Array;
  readonly known: number;
  /** How many are known with y above, and below, one half. */
  readonly positives: number;
  readonly negatives: number;
  /** N; absent where the outputs hold none. */
  readonly logit: Floats | undefined;
}

/** One run's outputs with what several figures need of them, each worked out at its first use and kept. */
export class Seen {
  readonly outputs: Outputs;
  readonly bins: BinOptions;
  readonly samples: number;
  /** K. */
  readonly classes: number;
  private readonly kept = new Map<string, unknown>();

  constructor(outputs: Outputs, bins: BinOptions = {}) {
    this.outputs = outputs;
    this.bins = bins;
    this.samples = samplesOf(outputs);
    this.classes = outputs.targets.names.length;
  }

  /** Whatever a figure wants to keep for another. */
  keep<T>(name: string, make: () => T): T {
    if (!this.kept.has(name)) this.kept.set(name, make());
    return this.kept.get(name) as T;
  }

  /** One of K. */
  get predictions(): Predictions {
    return this.keep('predictions', () => predictionsOf(this.outputs));
  }

  /** One of K: the most probable class, its probability, whether it is right. */
  get top(): TopLabels {
    return this.keep('top', () => topLabels(this.predictions));
  }

  /** One of K: samples from the most to the least confident. */
  get byConfidence(): ByConfidence {
    return this.keep('byConfidence', () => byConfidence(this.top.confidence, this.top.correct));
  }

  /** Findings. */
  get findings(): Findings {
    return this.outputs.targets as Findings;
  }

  /** Finding k. */
  column(k: number): Column {
    return this.keep(`column ${k}`, () => {
      const { values, mask } = this.findings;
      const { probabilities, logits } = this.outputs;
      const target = columnOf(values, k, this.classes);
      const own = mask === undefined ? new Uint8Array(this.samples).fill(1) : columnOf(mask, k, this.classes);
      let known = 0;
      let positives = 0;
      let negatives = 0;
      for (let i = 0; i < target.length; i++) {
        if (own[i] === 0) continue;
        known++;
        if (target[i]! > 0.5) positives++;
        else if (target[i]! < 0.5) negatives++;
      }
      return {
        probability: columnOf(probabilities, k, this.classes),
        target,
        mask: own,
        known,
        positives,
        negatives,
        logit: logits === undefined ? undefined : columnOf(logits, k, this.classes),
      };
    });
  }

  /** Finding k: N true probabilities. */
  posterior(k: number): Floats {
    return this.keep(`posterior ${k}`, () => columnOf(this.outputs.posterior!, k, this.classes));
  }

  /** Finding k: predicted doubt and that which was expressed, N each; `undefined` where no known value has any. */
  doubt(
    k: number,
  ): { readonly predicted: Floats; readonly expressed: Float32Array; readonly mask: Uint8Array } | undefined {
    return this.keep(`doubt ${k}`, () => {
      const all = this.keep('doubt', () => expressedDoubt(this.outputs.targets));
      const { doubt } = this.outputs;
      if (all === undefined || doubt === undefined) return undefined;
      const { mask } = this.column(k);
      const expressed = columnOf(all, k, this.classes);
      if (!expressed.some((r, i) => mask[i] === 1 && r > 0)) return undefined;
      return { predicted: columnOf(doubt, k, this.classes), expressed, mask };
    });
  }

  /** Finding k: the samples that are known to be positive or negative, by probability; `undefined` without both kinds. */
  ranked(k: number): Ranked | undefined {
    return this.keep(`ranked ${k}`, () => {
      const { probability, target, mask, positives, negatives } = this.column(k);
      if (positives === 0 || negatives === 0) return undefined;
      const all = argsortForGood(probability);
      const order = new Int32Array(positives + negatives);
      let m = 0;
      for (let t = 0; t < all.length; t++) {
        const i = all[t]!;
        if (mask[i] === 1 && target[i] !== 0.5) order[m++] = i;
      }
      return rankedOf(order, probability, (i) => target[i]! > 0.5, this.samples);
    });
  }

  /** The same without the samples of which the finding was said with doubt. */
  rankedDefinite(k: number): Ranked | undefined {
    return this.keep(`ranked definite ${k}`, () => {
      const all = this.keep('doubt', () => expressedDoubt(this.outputs.targets));
      const { probability, target, mask } = this.column(k);
      const definite = (i: number) =>
        mask[i] === 1 && target[i] !== 0.5 && !(all !== undefined && all[i * this.classes + k]! > 0);
      const order = argsortForGood(probability).filter(definite);
      const positives = order.reduce((many, i) => many + (target[i]! > 0.5 ? 1 : 0), 0);
      if (positives === 0 || positives === order.length) return undefined;
      return rankedOf(order, probability, (i) => target[i]! > 0.5, this.samples);
    });
  }

  /** The same with what the wording means as a soft label; where `ranked` is defined. */
  rankedSoft(k: number): Ranked | undefined {
    return this.keep(`ranked soft ${k}`, () => {
      const { probability, mask, positives, negatives } = this.column(k);
      if (positives === 0 || negatives === 0) return undefined;
      const all = this.keep('worded', () => wordedTargets(this.findings));
      const order = argsortForGood(probability).filter((i) => mask[i] === 1);
      const { ends } = rankedOf(order, probability, () => true, this.samples);
      const positive = Float32Array.from(order, (i) => all[i * this.classes + k]!);
      return { samples: this.samples, order, positive, ends };
    });
  }

  /** Finding k: probability against what is there, known samples only; `undefined` where none is known. */
  known(k: number): CalibrationRun | undefined {
    return this.keep(`known ${k}`, () => {
      const { probability, target, mask, known } = this.column(k);
      if (known === 0) return undefined;
      if (known === this.samples) return { confidence: probability, outcome: target };
      const confidence = floatsLike(probability, known);
      const outcome = new Float32Array(known);
      let m = 0;
      for (let i = 0; i < mask.length; i++) {
        if (mask[i] === 0) continue;
        confidence[m] = probability[i]!;
        outcome[m++] = target[i]!;
      }
      return { confidence, outcome };
    });
  }
}

/** Indices in ascending order of their score, with their kind and their ties. */
export function rankedOf(
  order: Int32Array,
  scores: Floats,
  isPositive: (index: number) => boolean,
  samples: number,
): Ranked {
  const positive = new Uint8Array(order.length);
  const ends = new Uint8Array(order.length);
  for (let t = 0; t < order.length; t++) {
    const i = order[t]!;
    positive[t] = isPositive(i) ? 1 : 0;
    ends[t] = t + 1 === order.length || scores[order[t + 1]!] !== scores[i] ? 1 : 0;
  }
  return { samples, order, positive, ends };
}
