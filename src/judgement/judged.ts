import { concatenate } from '../concatenate.ts';
import type { Targets } from '../data/index.ts';
import type { Joint, Outputs } from '../figures/index.ts';
import type { Floats } from '../metrics/index.ts';

/** One training of a method, or one file of predictions. Outputs are read when they are needed: all can exceed the memory. */
export interface JudgedRun {
  /** Tells the runs of a method apart: `seed 0`. */
  readonly name: string;
  /** Of the judged samples: the same for all methods and runs, in the same order. */
  readonly judged: () => Promise<Outputs>;
  /** Of the samples that calibrators are fitted on, where there are such. */
  readonly validation?: (() => Promise<Outputs>) | undefined;
  /** What only the network itself can say; parts that need it are absent where it is not there. */
  readonly network?: NetworkProvider | undefined;
  /** What its training told after every epoch, for parts that are registered by who trains. */
  readonly epochs?: (() => readonly unknown[]) | undefined;
}

/** What a network can be asked for besides its outputs. */
export interface NetworkProvider {
  /** Of another centre's samples, by the centre's name. */
  readonly centre?: (name: string) => Promise<Outputs>;
  /** Penultimate features of at most so many judged samples, N×D, and what is true of these. */
  readonly features?: (samples: number) => Promise<FeatureOutputs>;
  /** Confidence in the predicted class under noise: `images` × `samples` values. */
  readonly noisy?: (options: NoiseRequest) => Promise<{ confidences: Float32Array; indices: Int32Array }>;
}

export interface FeatureOutputs {
  readonly features: Float32Array;
  /** N labels. */
  readonly labels: Int32Array;
  readonly classes: number;
  /** N sample numbers in the judged split. */
  readonly rows: Int32Array;
}

export interface NoiseRequest {
  readonly images: number;
  readonly samples: number;
  readonly sigma: number;
  readonly signal?: AbortSignal | undefined;
}

export interface JudgedMethod {
  /** Tells methods apart. */
  readonly id: string;
  /** For people. */
  readonly label: string;
  readonly runs: readonly JudgedRun[];
}

/** Images of another hospital, on which the same networks are tested. */
export interface JudgedCentre {
  readonly name: string;
  /** `site`: other sites of the same data set; `set`: a data set of its own. */
  readonly kind: 'site' | 'set';
  /** The patient of each of its samples, by sample number. */
  readonly groups?: ArrayLike<number> | undefined;
}

/** Several methods on the same samples, and what is known of these. */
export interface Judged {
  readonly kind: Targets['kind'];
  /** K names of classes or findings. */
  readonly names: readonly string[];
  readonly methods: readonly JudgedMethod[];
  /** Id of the method that the others are compared with. */
  readonly baseline: string;
  /** Whether every pair of methods is compared, or each with the baseline alone. Default: `baseline`. */
  readonly pairs?: 'all' | 'baseline';
  /** The patient of each sample, by sample number (`indices`; by place where outputs have none). */
  readonly groups?: ArrayLike<number> | undefined;
  /** Coarser names of each class, by what they tell (`modality`): K values each. */
  readonly strata?: Readonly<Record<string, readonly string[]>> | undefined;
  /** Findings: the share of the training samples that have each, of those where it is known; NaN where none is. */
  readonly frequencies?: readonly number[] | undefined;
  /** What each judged sample is besides, by what it tells (`sex`): a place in `values` for each; −1 where it is not known. */
  readonly sampleStrata?: Readonly<
    Record<string, { readonly codes: ArrayLike<number>; readonly values: readonly string[] }>
  >;
  readonly centres?: readonly JudgedCentre[];
  /** All registered figures of the methods with the differences of their pairs, where these were measured before. */
  readonly measured?: Joint | undefined;
  /**
   * Small pictures of some judged samples, by sample number, as `data:` addresses; undefined where one cannot be read.
   * Left out: none are shown.
   */
  readonly pictures?: ((samples: readonly number[]) => Promise<readonly (string | undefined)[]>) | undefined;
  /** Why there is nothing to fit on, where runs have no `validation`. */
  readonly noValidation?: string;
}

/** The outputs of each method's runs, one method after the other. @param of what is read of a run; default: of the judged samples */
export async function* outputsByMethod(
  { methods }: Pick<Judged, 'methods'>,
  of: (run: JudgedRun) => Promise<Outputs> = (run) => run.judged(),
): AsyncGenerator<{ readonly id: string; readonly outputs: Outputs[] }> {
  for (const { id, runs } of methods) {
    const outputs: Outputs[] = [];
    for (const run of runs) outputs.push(await of(run));
    yield { id, outputs };
  }
}

/** Why a part that needs validation outputs is absent; undefined where all runs have some. @param use `to fit on` */
export function withoutValidation(
  { methods, noValidation }: Pick<Judged, 'methods' | 'noValidation'>,
  use: string,
): { readonly absent: string } | undefined {
  const all = methods.every(({ runs }) => runs.every(({ validation }) => validation !== undefined));
  return all ? undefined : { absent: noValidation ?? `there are no validation outputs ${use}` };
}

/** Rows of an array with `width` values a row. */
export function pickRows<A extends Int32Array | Float32Array | Float64Array>(
  values: A,
  rows: ArrayLike<number>,
  width: number,
): A {
  const picked = new (values.constructor as new (length: number) => A)(rows.length * width);
  for (let i = 0; i < rows.length; i++)
    picked.set(values.subarray(rows[i]! * width, (rows[i]! + 1) * width), i * width);
  return picked;
}

/** In one precision: a bin edge is rounded to the precision of what it sorts. */
export function joined(parts: readonly (Floats | Uint8Array)[]): Floats {
  const double = parts.some((part) => part instanceof Float64Array);
  return concatenate<Floats | Uint8Array>(parts, double ? Float64Array : Float32Array) as Floats;
}
