import type { Comparison, FigureName, Summary } from '../metrics/index.ts';
import type { EpochMetrics } from '../training/index.ts';

export type { EpochMetrics };

export interface StudyRun {
  readonly seed: number;
  /** Relative to the comparison's folder. */
  readonly folder: string;
  readonly epochs: readonly EpochMetrics[];
  /** Wall seconds of the training, all sessions together. */
  readonly seconds: number;
}

/** One method: the same network, data and settings under one objective, from several seeds. */
export interface StudyMethod {
  /** Tells methods apart: the objective as on the command line (`ols:variant=fine-grained`), or a study's method id. */
  readonly objective: string;
  /** For people: `Online label smoothing`. */
  readonly label: string;
  readonly runs: readonly StudyRun[];
  /** Over all seeds. */
  readonly summary: Summary;
}

/** Two methods on the same samples. */
export interface StudyPair {
  /** Objectives: differences are `first − second`. */
  readonly first: string;
  readonly second: string;
  readonly comparison: Comparison;
  /** p-values of the figures, Holm-corrected over all pairs of the comparison, a family for each figure. */
  readonly corrected: Readonly<Record<FigureName, number | null>>;
}

/** What `penumbra compare` found: `result.json`, and all that the table and the report are drawn from. */
export interface StudyResult {
  readonly version: 1;
  /** ISO time at which the comparison was finished. */
  readonly finished: string;
  /** The command line that made it, as a user would type it. */
  readonly command: string;
  readonly data: {
    readonly name: string;
    readonly classes: readonly string[];
    /** The split that was judged. */
    readonly split: string;
    readonly samples: number;
    readonly trainSamples: number;
    /** Samples of each class in the judged split. */
    readonly support: readonly number[];
    /** Whether samples are resampled by group (patient). */
    readonly groups: boolean;
    /** Files that could not be read. */
    readonly broken: number;
  };
  readonly model: {
    readonly name: string;
    readonly parameters: number;
    readonly size: number;
    readonly channels: number;
  };
  /** Settings worth showing, in order: epochs, batch size, optimizer … */
  readonly settings: readonly (readonly [string, string])[];
  readonly methods: readonly StudyMethod[];
  /** The method that every other was compared with; absent where every pair was. */
  readonly baseline?: string;
  readonly pairs: readonly StudyPair[];
  readonly software: Readonly<Record<string, string>>;
}
