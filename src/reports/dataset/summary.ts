import type { LabelErrors } from '../../data/targets.ts';
import type { RatePolicy } from '../rate.ts';
import type { HedgePolicy } from './hedging.ts';
import type { RowPolicies, rowKinds } from './policy.ts';
import type { Images } from './sources.ts';

/** What the data card and the page are made of. */
export interface DatasetSummary {
  /** 16 hexadecimal digits of the content's SHA-256: images, splits, statuses, numbers, evidence and its sentences. */
  readonly version: string;
  readonly name: string;
  readonly source: Images['kind'];
  /** The folder that the images' paths are relative to, relative to the data set's own. */
  readonly imageRoot: string;
  readonly files: readonly { readonly file: string; readonly bytes: number }[];
  readonly extractors: readonly { readonly extractor: string; readonly version: string }[];
  readonly images: number;
  readonly reports: number;
  readonly patients: number;
  /** From the tables of images to the data set: what was left after each step. */
  readonly steps: readonly DatasetStep[];
  readonly leftOut: {
    /** Where views were asked for. */
    readonly imagesOfOtherViews: number;
    readonly imagesWithoutReport: number;
    readonly reportsWithoutImage: number;
    readonly failedReports: number;
    /** Left out for an unverified or disagreeing row, where the policy is `drop`. */
    readonly droppedReports: number;
    /** Reports with images that speak of no finding, where these are left out. */
    readonly silentReports: number;
  };
  readonly splits: readonly {
    readonly split: string;
    readonly images: number;
    readonly reports: number;
    readonly patients: number;
  }[];
  readonly splitBy: 'given' | 'patients' | 'hedges';
  /** Where the test split is that of certain phrases. */
  readonly hedgesHeldOut: readonly string[];
  /** What was done with the rows of each kind, and how many there were: all, and with y = 1 and y = 0 before. */
  readonly policies: Required<RowPolicies>;
  readonly rowCounts: Readonly<
    Record<(typeof rowKinds)[number], { readonly rows: number; readonly y1: number; readonly y0: number }>
  >;
  /** How p became the rate. */
  readonly rates: RatePolicy;
  /** How often labels are wrong, by finding, where the build was told: for objectives that correct for it. */
  readonly errors?: Readonly<Record<string, LabelErrors>>;
  /** What an audit had the build do with hedges, by finding. */
  readonly hedging?: Readonly<Record<string, HedgePolicy>>;
  /** What a reader should know, such as an empty split. */
  readonly notes: readonly string[];
  readonly findings: readonly FindingSummary[];
  /** Hedges as they are written, most frequent first, in reports whose finding is uncertain. */
  readonly hedges: readonly {
    readonly phrase: string;
    readonly count: number;
    readonly probability: number | null;
  }[];
}

/** What was left after a step. */
export interface DatasetStep {
  /** `of the views frontal`, `with a report among the rows`. */
  readonly step: string;
  readonly images: number;
  readonly reports: number;
  readonly patients: number;
}

export interface FindingSummary {
  readonly finding: string;
  /** Reports by status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Reports by probability, ten equal bins; p = 1 is in the last. */
  readonly histogram: readonly number[];
  readonly positives: number;
  readonly negatives: number;
  /** Mean smoothing rate of the labelled reports. */
  readonly meanRate: number | null;
  /** Against the labels that came with the images: both say so, of those that both label. */
  readonly agreement: { readonly both: number; readonly equal: number } | null;
}
