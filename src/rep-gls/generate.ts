import { join } from 'node:path';
import { waitForLock } from '../files/index.ts';
import { type RateEvent, type RateOptions, readRateData, trainRates } from '../rates/index.ts';
import type { FindingSet, InputOptions, Lexicon } from '../reports/index.ts';
import { claimRun, REP_GLS } from './names.ts';

export interface GenerateOptions {
  /** Reports: whatever `penumbra extract` reads. */
  readonly reports: string;
  /** The run's folder: the teacher's `rows.jsonl` is in it, and `rgn/` is made. */
  readonly folder: string;
  /** A table of report, patient and split: the network learns from the reports of the training images alone. */
  readonly splits: string;
  readonly findings: FindingSet;
  readonly lexicon: Lexicon;
  readonly input?: InputOptions;
  readonly options?: RateOptions;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: RateEvent) => void;
}

/**
 * Stage 1 of Rep-GLS: a rate generation network learns from the teacher's rows to read reports.
 * @returns its folder; null where it was stopped, and the same call goes on
 */
export async function trainGenerator(given: GenerateOptions): Promise<string | null> {
  const { folder, reports, splits, findings, lexicon, input, options, signal, onEvent } = given;
  const network = join(folder, REP_GLS.generator);
  claimRun(folder);
  using _lock = await waitForLock(join(folder, 'generator.lock'), { what: network, signal });
  const data = await readRateData(reports, join(folder, REP_GLS.rows), {
    ...input,
    splits,
    // Of images of other views, for example: their patients may be on any side.
    unlisted: 'leave out',
    language: lexicon.language,
  });
  const { finished } = await trainRates({
    data,
    dataPath: reports,
    folder: network,
    findings,
    lexicon,
    ...(options && { options }),
    ...(signal && { signal }),
    ...(onEvent && { onEvent }),
  });
  return finished ? network : null;
}
