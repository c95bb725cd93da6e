import { join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { claimFolder, waitForLock } from '../files/index.ts';
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

/** Names in the folder of a Rep-GLS run. */
export const REP_GLS = {
  clinic: 'clinic',
  rows: 'rows.jsonl',
  data: 'data',
  networks: 'networks',
} as const;

export interface HearOptions {
  /** Reports: whatever `penumbra extract` reads. */
  readonly reports: string;
  /** Images: whatever `penumbra dataset build` reads. */
  readonly images: string;
  /** The run's folder: `rows.jsonl` and `data/` are made in it. */
  readonly folder: string;
  readonly extractor: Extractor;
  readonly findings: FindingSet;
  readonly input?: InputOptions;
  /** How rows become labels and rates. */
  readonly build?: Pick<
    BuildOptions,
    'columns' | 'policies' | 'errors' | 'hedging' | 'val' | 'test' | 'seed' | 'holdOutHedges'
  >;
  readonly signal?: AbortSignal;
  readonly onReports?: (progress: ExtractProgress) => void;
  readonly onStep?: (what: string) => void;
}

/** What the reports were heard to say. */
export interface Heard {
  /** The data set's folder: labels, probabilities and rates by image and finding. */
  readonly data: string;
  readonly rows: ExtractProgress;
  readonly summary: DatasetSummary;
}

/**
 * The first two stages of Rep-GLS: reports become rows, and rows with their images a data set of labels y, probabilities p
 * and smoothing rates r. Rows that were extracted before by the same extractor are kept; the data set is written anew.
 * @returns null where it was stopped; the same call goes on
 * @throws `reports/…` and `dataset/…` as `extract` and `buildDataset` do; `files/locked` where another process is at it
 */
export async function hearReports(options: HearOptions): Promise<Heard | null> {
  const { folder, reports, images, extractor, findings, signal } = options;
  claimFolder(folder, { kind: 'rep-gls', names: [REP_GLS.rows, REP_GLS.data] });
  using _lock = await waitForLock(join(folder, 'reports.lock'), { what: folder, signal });
  const rowsFile = join(folder, REP_GLS.rows);
  const rows = await extract(reports, rowsFile, extractor, {
    ...options.input,
    ...(signal && { signal }),
    ...(options.onReports && { onProgress: options.onReports }),
  });
  if (signal?.aborted) return null;
  if (rows.seen === 0) {
    throw new PenumbraError('rep-gls/reports', `${reports} holds no reports`, {
      hint: 'give a folder of .txt files, a table with ids and texts, or what else penumbra extract reads',
      where: { file: reports },
    });
  }
  const data = join(folder, REP_GLS.data);
  const summary = await buildDataset(data, {
    ...options.build,
    rows: [rowsFile],
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
  return { data, rows, summary };
}
