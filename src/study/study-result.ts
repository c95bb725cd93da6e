import type { EmbeddingFigure, Projection } from '../embeddings/index.ts';
import type { Difference, Estimate, FigureName, ReliabilityBin, TruthFigureName } from '../metrics/index.ts';
import type { StudyResult } from './result.ts';

export type { EmbeddingFigure, Projection };

/**
 * What `penumbra study` found: the study folder's `result.json`, and all that its tables, pictures and report are drawn
 * from. Plain JSON: rates are fractions, losses are in nats, an undefined figure is null. Methods, sets and networks are
 * named by their ids everywhere; orders are those of the study file.
 */
export interface StudyReport {
  readonly version: 1;
  readonly name: string;
  readonly title: string;
  /** ISO time at which it was judged. */
  readonly finished: string;
  /** The command line that made it. */
  readonly command: string;
  /** Id of the method that the others are compared with. */
  readonly baseline: string;
  readonly methods: readonly ReportMethod[];
  readonly sets: readonly ReportSet[];
  readonly networks: readonly ReportNetwork[];
  readonly seeds: readonly number[];
  /** Calibrators after `none`, in the order of the tables. */
  readonly calibrators: readonly string[];
  /** Coverage of every interval; a difference is called significant where its corrected p is below 1 − level. */
  readonly level: number;
  readonly replicates: number;
  readonly bins: number;
  /** One for each set and network, sets outside. */
  readonly cells: readonly StudyCell[];
  /** What was planned and is not in this result, one sentence each; empty where the study is whole. */
  readonly missing: readonly string[];
  readonly software: Readonly<Record<string, string>>;
}

export interface ReportMethod {
  /** `ols:variant=fine-grained`, `hard+mixup-0.2`, or the name that the study file gives. */
  readonly id: string;
  /** For people: `Online label smoothing`. */
  readonly label: string;
  readonly objective: string;
  /** α of mixup; 0 is off. */
  readonly mixup: number;
  /** Settings of this method alone, as shown to people: `epochs 30`. */
  readonly settings: readonly string[];
}

export interface ReportSet {
  readonly id: string;
  /** The data's own name. */
  readonly name: string;
  readonly format: string;
  /** K class names. */
  readonly classes: readonly string[];
  /** Samples of each split that is there. */
  readonly samples: Readonly<Partial<Record<'train' | 'val' | 'test', number>>>;
  /** The split that is judged, and its samples of each class. */
  readonly judged: string;
  readonly support: readonly number[];
  /** Whether resampling is by group (patient). */
  readonly groups: boolean;
  /**
   * Coarser names of each class, by what they tell (`modality`, `anatomy`): K values each. For strata, and for the
   * colours of pictures with many classes. Empty where the data know none.
   */
  readonly strata: Readonly<Record<string, readonly string[]>>;
}

export interface ReportNetwork {
  readonly id: string;
  /** With the head of the first set. */
  readonly parameters: number;
}

/** One network on one data set under every method and seed. */
export interface StudyCell {
  readonly set: string;
  readonly network: string;
  /**
   * What `penumbra compare` gives, before any calibration: summaries with bins and classes, learning curves, and every
   * pair (method, baseline). `methods[].objective` holds the method's id.
   */
  readonly comparison: StudyResult;
  /** First `none`, then each calibrator; only `none` where there is nothing to fit on. */
  readonly calibration: readonly CalibratedResults[];
  /** By what the classes tell (`modality`), then by value. Empty where the data know no strata. */
  readonly strata: readonly StratumResults[];
  readonly centres: readonly CentreResults[];
  /** Risk–coverage; null where `absent.selective` says why. */
  readonly selective: readonly SelectiveResults[] | null;
  readonly conformal: readonly ConformalResults[];
  readonly embeddings: EmbeddingResults | null;
  readonly certificates: CertificateResults | null;
  /** Why a part is missing, by the part's name: `{ calibration: 'brain has no validation split' }`. */
  readonly absent: Readonly<Partial<Record<StudyPart, string>>>;
}

export type StudyPart =
  | 'calibration'
  | 'strata'
  | 'centres'
  | 'selective'
  | 'conformal'
  | 'embeddings'
  | 'certificates'
  | 'truth';

/** A difference of two methods with its p-value corrected by Holm. */
export interface TestedDifference extends Difference {
  /**
   * Holm-corrected over one family: the comparisons of one figure between each method and the baseline, of one cell
   * under one calibrator.
   */
  readonly corrected: number | null;
}

/** All methods of a cell under one calibrator, fitted on the validation split of each run. */
export interface CalibratedResults {
  /** `none`, `temperature`, `vector`, `isotonic`, `histogram`. */
  readonly calibrator: string;
  readonly methods: readonly CalibratedMethod[];
}

export interface CalibratedMethod {
  readonly method: string;
  /**
   * Means over seeds; the interval is the hierarchical bootstrap over images (groups where known) and seeds. `low` and
   * `high` are null for figures that are not resampled (AUROC and class-wise ECE of large data).
   */
  readonly figures: Readonly<Record<FigureName, Estimate>>;
  /** Against a phantom's true posterior, where it is known. */
  readonly truth: Readonly<Record<TruthFigureName, Estimate>> | null;
  /** Point figures of each seed, and what its calibrator found. */
  readonly seeds: readonly CalibratedSeed[];
  /** Reliability of the top-1 confidence, all seeds together. */
  readonly reliability: readonly ReliabilityBin[];
  /** `method − baseline` under the same calibrator; null for the baseline itself. */
  readonly versus: Readonly<Record<FigureName, TestedDifference>> | null;
  readonly versusTruth: Readonly<Record<TruthFigureName, TestedDifference>> | null;
}

export interface CalibratedSeed {
  readonly seed: number;
  readonly figures: Readonly<Record<FigureName, number | null>>;
  readonly truth: Readonly<Record<TruthFigureName, number | null>> | null;
  /** The fitted temperature, where that is the calibrator. */
  readonly temperature: number | null;
  /** What the fit complained of. */
  readonly warnings: readonly string[];
}

/** The images whose class has one value of an attribute: all CT images, all of the knee. Before calibration. */
export interface StratumResults {
  /** `modality`. */
  readonly attribute: string;
  /** `CT`. */
  readonly value: string;
  readonly classes: number;
  /** Judged images of it. */
  readonly samples: number;
  readonly methods: readonly MethodFigures<StratumFigureName>[];
}

/** `balancedAccuracy` is the mean recall over the stratum's classes. */
export const STRATUM_FIGURES = ['top1', 'balancedAccuracy', 'nll', 'ece'] as const;
export type StratumFigureName = (typeof STRATUM_FIGURES)[number];

export const CENTRE_FIGURES = ['top1', 'balancedAccuracy', 'nll', 'brier', 'ece'] as const;
export type CentreFigureName = (typeof CENTRE_FIGURES)[number];

/** The cell's networks tested in another centre. */
export interface CentreResults {
  /** As the study file names it, or the sites. */
  readonly centre: string;
  /** `site`: other sites of the same data set; `set`: a data set of its own. */
  readonly kind: 'site' | 'set';
  /** Judged images there, and classes of the study that have none. */
  readonly samples: number;
  readonly absentClasses: readonly string[];
  /** `none`, and `temperature` (fitted in-centre) where it was asked for. */
  readonly calibrator: string;
  readonly methods: readonly {
    readonly method: string;
    readonly inCentre: Readonly<Record<CentreFigureName, Estimate>>;
    readonly outOfCentre: Readonly<Record<CentreFigureName, Estimate>>;
    /** `in − out` for the same networks, images of both centres resampled: positive is a loss for top1, a gain for ece. */
    readonly drop: Readonly<Record<CentreFigureName, Difference>>;
  }[];
}

/** Some figures of one method, and their differences from the baseline's: a family for each figure. */
export interface MethodFigures<N extends string> {
  readonly method: string;
  readonly figures: Readonly<Record<N, Estimate>>;
  /** `method − baseline` on the same images; null for the baseline itself. */
  readonly versus: Readonly<Record<N, TestedDifference>> | null;
}

/** Area under the risk–coverage curve, its excess over the best ranking of the same errors, and accuracies. */
export const SELECTIVE_FIGURES = ['aurc', 'excessAurc', 'accuracy80', 'accuracy90', 'accuracy95'] as const;
export type SelectiveFigureName = (typeof SELECTIVE_FIGURES)[number];

/** How well confidence ranks a method's errors: `accuracy80` is that of the most confident 80 %. Before calibration. */
export interface SelectiveResults extends MethodFigures<SelectiveFigureName> {
  /** The error rate among the most confident share (coverage, in (0, 1], ascending), mean over seeds. */
  readonly curve: readonly { readonly coverage: number; readonly risk: number }[];
}

export const CONFORMAL_FIGURES = ['coverage', 'size', 'empty'] as const;
export type ConformalFigureName = (typeof CONFORMAL_FIGURES)[number];

/** One kind of conformal sets for all methods, calibrated on validation, measured on the judged split. */
export interface ConformalResults {
  /** `lac`, `aps`, `raps`. */
  readonly kind: string;
  /** Miscoverage asked for. */
  readonly alpha: number;
  /** Images that calibrated. */
  readonly calibrationSamples: number;
  readonly methods: readonly (MethodFigures<ConformalFigureName> & {
    /** Coverage of the class that is covered least, mean over seeds; null where no class is judged. */
    readonly worstClass: number | null;
    /** What the calibration complained of: too few images for alpha, so that sets hold all classes. */
    readonly warnings: readonly string[];
  })[];
}

/** Penultimate features of images of the judged split. */
export interface EmbeddingResults {
  /** Neighbours of the vote. */
  readonly k: number;
  /** Images that the measures were made on. */
  readonly samples: number;
  /**
   * `distanceRatio`: mean distance within classes over that between classes, lower is more compact; `silhouette`: −1 to
   * 1, higher is better separated; `neighbourAccuracy`: share whose k nearest neighbours vote for their class.
   */
  readonly methods: readonly MethodFigures<EmbeddingFigure>[];
  /** One a projection, the same images for all methods; of the first seed. */
  readonly pictures: readonly {
    readonly projection: Projection;
    readonly seed: number;
    /** Label of each of the M images. */
    readonly labels: readonly number[];
    /** M×2 coordinates of each method, row-major. */
    readonly methods: readonly { readonly method: string; readonly points: readonly number[] }[];
  }[];
}

/** Certified lower bounds of the confidence in the predicted class under ℓ2 perturbations. */
export interface CertificateResults {
  readonly images: number;
  readonly samples: number;
  readonly sigma: number;
  readonly delta: number;
  readonly radii: readonly number[];
  readonly methods: readonly {
    readonly method: string;
    /** Mean confidence of the smoothed network without perturbation. */
    readonly confidence: Estimate;
    /** Mean certified confidence at each radius, by the distribution-function bound. */
    readonly certified: readonly Estimate[];
    /** `method − baseline` of these; null for the baseline. */
    readonly versus: readonly TestedDifference[] | null;
    /** Mean cost of finite sampling at each radius: what the bound would gain if the draws were the whole distribution. */
    readonly samplingError: readonly number[];
  }[];
}
