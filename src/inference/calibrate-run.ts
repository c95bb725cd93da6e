import {
  type Calibrator,
  calibratorNames,
  type FindingCalibrator,
  findingCalibratorNames,
  fitCalibrator,
  fitFindingCalibrator,
} from '../calibration/index.ts';
import { type Dataset, type SplitName, subsetIdentity, type Targets } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { kindOf, RunFolder, splitOf } from '../training/index.ts';
import { collect } from './collect.ts';
import { Predictor } from './predictor.ts';
import { writeCalibration } from './run-calibration.ts';

export interface CalibrateOptions {
  /** A calibrator's name, or `none` to keep the validation outputs alone. Default: `temperature`. */
  readonly method?: string;
  /** Which split it is fitted on: not the one that is judged. Default: `val`. */
  readonly split?: SplitName;
  readonly threads?: number | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

/** What a fit says of itself. */
export interface Calibrated {
  readonly method: string;
  readonly samples: number;
  readonly broken: number;
  /** Mean negative log-likelihood in nats on the samples of the fit; of findings the mean over those that were fitted. */
  readonly nllBefore: number | null;
  readonly nllAfter: number | null;
  /** Of a temperature for one label of K. */
  readonly temperature?: number;
  readonly warnings: readonly string[];
}

/**
 * Fits a calibrator on a split of the run's data, and keeps it with the run: `calibration.json` (the calibrator, whom it is
 * of, what it was fitted on) and `calibration.safetensors` (the network's own probabilities of these samples). One that is
 * there is replaced.
 * @throws `inference/method`, `training/locked` while the run is trained, and what `Predictor.open` raises
 */
export async function calibrateRun(
  folder: string,
  dataset: Dataset,
  options: CalibrateOptions = {},
): Promise<Calibrated> {
  const { method = 'temperature', split = 'val', threads, onProgress } = options;
  const run = new RunFolder(folder);
  const description = run.description();
  const kind = kindOf(description);
  checkMethod(method, kind);
  const subset = splitOf(dataset, split);
  using lock = run.lock();
  await using predictor = Predictor.open([folder], { calibrated: false, threads });
  const { outputs, broken } = await collect(predictor, subset, { onProgress });
  const { targets } = outputs;
  const logits = outputs.logits!;
  const k = targets.names.length;
  const calibrator =
    method === 'none'
      ? null
      : targets.kind === 'one-of-k'
        ? fitCalibrator(method, logits, targets.values, k)
        : fitFindingCalibrator(method, logits, targets, k);
  writeCalibration(folder, {
    data: {
      name: dataset.name,
      split,
      samples: outputs.indices.length,
      fingerprint: subsetIdentity(subset),
    },
    calibrator,
    outputs,
  });
  lock.check();
  return { ...reportOf(method, calibrator), samples: outputs.indices.length, broken: broken.length };
}

/** @throws `inference/method` */
function checkMethod(method: string, kind: Targets['kind']): void {
  const names = [...(kind === 'one-of-k' ? calibratorNames : findingCalibratorNames), 'none'];
  if (names.includes(method)) return;
  const what = kind === 'one-of-k' ? 'one label of K' : 'findings';
  throw new PenumbraError('inference/method', `there is no calibrator '${method}' for ${what}`, {
    hint: `did you mean ${nearest(method, names)}? There are: ${names.join(', ')}`,
  });
}

function reportOf(
  method: string,
  calibrator: Calibrator | FindingCalibrator | null,
): Omit<Calibrated, 'samples' | 'broken'> {
  if (calibrator === null) return { method, nllBefore: null, nllAfter: null, warnings: [] };
  if ('findings' in calibrator) {
    const { report, warnings } = calibrator;
    const mean = (values: readonly (number | null)[]) => {
      const known = values.filter((value) => value !== null);
      return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
    };
    return {
      method,
      nllBefore: mean(report.map(({ nllBefore }) => nllBefore)),
      nllAfter: mean(report.map(({ nllAfter }) => nllAfter)),
      warnings,
    };
  }
  const { report, parameters } = calibrator;
  const { nllBefore, nllAfter, warnings } = report;
  const temperature = (parameters as { temperature?: unknown }).temperature;
  return {
    method,
    nllBefore,
    nllAfter,
    ...(method === 'temperature' && typeof temperature === 'number' && { temperature }),
    warnings,
  };
}
