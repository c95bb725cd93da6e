import { join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { waitForLock } from '../files/index.ts';
import {
  type BuildOptions,
  buildDataset,
  type DatasetSummary,
  type Extractor,
  type ExtractProgress,
  extract,
  type FindingSet,
  type InputOptions,
} from '../reports/index.ts';
import { claimRun, REP_GLS } from './names.ts';

export interface HearOptions {
  /** Where the rows go, in the run's folder. Default: `rows.jsonl`. */
  readonly rowsFile?: string;
  /** Reports: whatever `penumbra extract` reads. Undefined where `rows` are given. */
  readonly reports?: string | undefined;
  /** Rows that were extracted before: the reports are not read. */
  readonly rows?: readonly string[] | undefined;
  /** Images: whatever `penumbra dataset build` reads. */
  readonly images: string;
  /** The run's folder: rows and `data/` are made in it. */
  readonly folder: string;
  /** What reads the reports. */
  readonly extractor?: Extractor | undefined;
  readonly findings: FindingSet;
  readonly input?: InputOptions;
  /** How rows become labels and rates; a function is asked once the rows are there. Undefined from it: no data set yet. */
  readonly build?: HeardBuild | ((rows: readonly string[]) => Promise<HeardBuild | undefined>);
  readonly signal?: AbortSignal;
  readonly onReports?: (progress: ExtractProgress) => void;
  readonly onStep?: (what: string) => void;
}

export type HeardBuild = Pick<
  BuildOptions,
  | 'columns'
  | 'root'
  | 'views'
  | 'silent'
  | 'policies'
  | 'errors'
  | 'hedging'
  | 'val'
  | 'test'
  | 'seed'
  | 'holdOutHedges'
>;

/** What the reports were heard to say. */
export interface Heard {
  /** The data set's folder: labels, probabilities and rates by image and finding. */
  readonly data: string;
  /** Where the rows are, and what was read of the reports, unless they were given as rows. */
  readonly rows: readonly string[];
  readonly read: ExtractProgress | undefined;
  readonly summary: DatasetSummary;
}

/**
 * The first two stages of Rep-GLS: reports become rows, and rows with their images a data set of labels y, probabilities p
 * and smoothing rates r. Rows that were extracted before by the same extractor are kept; the data set is written anew.
 * @returns null where it was stopped, and the same call goes on
 * @throws `reports/…` and `dataset/…` as `extract` and `buildDataset` do; `files/locked` where another process is at it
 */
export async function hearReports(options: HearOptions): Promise<Heard | null> {
  const { folder, images, findings, signal, rows: given } = options;
  claimRun(folder);
  using _lock = await waitForLock(join(folder, 'reports.lock'), { what: folder, signal });
  const rows = given ?? [join(folder, options.rowsFile ?? REP_GLS.rows)];
  const read = given === undefined ? await readInto(rows[0]!, options) : undefined;
  if (signal?.aborted) return null;
  const { build } = options;
  const settings = typeof build === 'function' ? await build(rows) : (build ?? {});
  if (settings === undefined) return null;
  const data = join(folder, REP_GLS.data);
  const summary = await buildDataset(data, {
    ...settings,
    rows,
    images,
    findings,
    overwrite: true,
    ...(options.onStep && { onStep: options.onStep }),
  });
  if (!summary.splits.some(({ split }) => split === 'train')) {
    throw new PenumbraError('rep-gls/splits', 'no image with a report is in the training split', {
      hint: 'leave the splits of the table out, or name one train',
    });
  }
  return { data, rows, read, summary };
}

/** @throws `rep-gls/reports` where there are none */
async function readInto(file: string, options: HearOptions): Promise<ExtractProgress> {
  const { reports, extractor, input, signal, onReports } = options;
  if (reports === undefined || extractor === undefined) {
    throw new PenumbraError('rep-gls/reports', 'neither reports nor rows were given', {
      hint: 'name the reports, or rows that penumbra extract made of them',
    });
  }
  const read = await extract(reports, file, extractor, {
    ...input,
    ...(signal && { signal }),
    ...(onReports && { onProgress: onReports }),
  });
  if (read.seen > 0 || signal?.aborted) return read;
  throw new PenumbraError('rep-gls/reports', `${reports} holds no reports`, {
    hint: 'give a folder of .txt files, a table with ids and texts, or what else penumbra extract reads',
    where: { file: reports },
  });
}
