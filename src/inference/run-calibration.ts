/** A fitted calibrator that lies with its run, and the validation outputs that sets and thresholds are made from. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import {
  type Calibrator,
  type FindingCalibrator,
  loadCalibrator,
  loadFindingCalibrator,
} from '../calibration/index.ts';
import type { SplitName, Targets } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import type { Outputs } from '../figures/index.ts';
import { fromTypedArray, readSafetensors, Scope, writeSafetensors } from '../torch/index.ts';
import { kindOf, RunFolder, writeAtomically } from '../training/index.ts';

const FORMAT = 'penumbra-calibration-1';

/** `calibration.json` in a run's folder. */
interface Saved {
  readonly format: typeof FORMAT;
  /** SHA-256 of the weights that it was fitted for. */
  readonly weights: string;
  readonly kind: Targets['kind'];
  readonly classes: readonly string[];
  /** What it was fitted on. */
  readonly data: {
    readonly name: string;
    readonly split: SplitName;
    readonly samples: number;
    readonly fingerprint: string;
  };
  /** null: only the outputs are kept. */
  readonly calibrator: unknown;
  /** SHA-256 of `calibration.safetensors`. */
  readonly outputs: string;
}

/** What a run keeps of its validation split. */
export interface RunCalibration {
  readonly data: Saved['data'];
  /** From logits to probabilities that can be believed; undefined where only the outputs were kept. */
  readonly calibrator: Calibrator | FindingCalibrator | undefined;
  /**
   * The network's own probabilities and what is true, of the samples that it was fitted on: what conformal sets and
   * thresholds are made from. Not calibrated, as a calibrator that was fitted on the same samples would flatter them.
   */
  validation(): Outputs & { readonly indices: Int32Array };
}

/** Keeps a calibrator and what it was fitted on, in place of one that is there. The run's lock is the caller's. */
export function writeCalibration(
  folder: string,
  kept: {
    readonly data: Saved['data'];
    readonly calibrator: Calibrator | FindingCalibrator | null;
    readonly outputs: Outputs & { readonly indices: Int32Array };
  },
): void {
  const run = new RunFolder(folder);
  const files = filesOf(run);
  const { targets, probabilities, indices } = kept.outputs;
  {
    using _scope = new Scope();
    const n = indices.length;
    const k = targets.names.length;
    const tensors = new Map([
      ['probabilities', fromTypedArray(Float32Array.from(probabilities), { shape: [n, k] })],
      ['indices', fromTypedArray(indices, { shape: [n] })],
    ]);
    if (targets.kind === 'one-of-k') tensors.set('labels', fromTypedArray(targets.values, { shape: [n] }));
    else tensors.set('values', fromTypedArray(targets.values, { shape: [n, k] }));
    if (targets.kind === 'findings' && targets.mask)
      tensors.set('mask', fromTypedArray(targets.mask, { shape: [n, k] }));
    writeSafetensors(files.outputs, tensors);
  }
  const description = run.description();
  const saved: Saved = {
    format: FORMAT,
    weights: weightsIdentity(folder),
    kind: kindOf(description),
    classes: description.data.classes,
    data: kept.data,
    calibrator: kept.calibrator,
    outputs: hashOf(files.outputs),
  };
  // Last: it names the other file by its content.
  writeAtomically(files.json, `${JSON.stringify(saved, null, 1)}\n`);
}

/**
 * What a run keeps; undefined where nothing was fitted.
 * @throws `inference/calibration` for one of other weights or classes, or one that is damaged
 */
export function readCalibration(folder: string): RunCalibration | undefined {
  const run = new RunFolder(folder);
  const files = filesOf(run);
  if (!existsSync(files.json)) return undefined;
  const fail = (what: string, cause?: unknown): never => {
    throw new PenumbraError('inference/calibration', `the calibrator in ${folder} ${what}`, {
      hint: `fit it again (penumbra calibrate ${folder} DATA), or leave it out with --no-calibration`,
      where: { file: files.json },
      cause,
    });
  };
  let saved: Saved;
  try {
    saved = JSON.parse(readFileSync(files.json, 'utf8')) as Saved;
  } catch (cause) {
    return fail('is not readable as JSON', cause);
  }
  const description = run.description();
  if (saved?.format !== FORMAT) return fail('is of a form that this version does not know');
  if (saved.weights !== weightsIdentity(folder)) return fail('was fitted for other weights than the run has');
  const { classes } = description.data;
  if (saved.kind !== kindOf(description) || saved.classes?.join('\0') !== classes.join('\0'))
    return fail('is for other classes');
  let calibrator: RunCalibration['calibrator'];
  try {
    if (saved.calibrator !== null)
      calibrator =
        saved.kind === 'one-of-k'
          ? loadCalibrator(saved.calibrator)
          : loadFindingCalibrator(saved.calibrator);
  } catch (cause) {
    return fail(`is damaged: ${(cause as Error).message}`, cause);
  }
  const width = calibrator && ('classes' in calibrator ? calibrator.classes : calibrator.findings);
  if (width !== undefined && width !== classes.length) return fail('is for other classes');
  return {
    data: saved.data,
    calibrator,
    validation() {
      if (!existsSync(files.outputs) || hashOf(files.outputs) !== saved.outputs)
        return fail('has lost the validation outputs beside it, or they are of another fit');
      return readOutputs(files.outputs, saved);
    },
  };
}

function readOutputs(path: string, { kind, classes }: Saved): ReturnType<RunCalibration['validation']> {
  using _scope = new Scope();
  const { tensors } = readSafetensors(path);
  const take = (name: string) => tensors.get(name)!.toTypedArray();
  const probabilities = take('probabilities') as Float32Array;
  const indices = take('indices') as Int32Array;
  const mask = tensors.has('mask') ? (take('mask') as Uint8Array) : undefined;
  const targets: Targets =
    kind === 'one-of-k'
      ? { kind, names: classes, values: take('labels') as Int32Array }
      : { kind, names: classes, values: take('values') as Float32Array, ...(mask && { mask }) };
  return { targets, probabilities, indices };
}

function filesOf(run: RunFolder): { readonly json: string; readonly outputs: string } {
  return { json: run.file('calibration.json'), outputs: run.file('calibration.safetensors') };
}

/** Identifies a run's weights, whole. */
function weightsIdentity(folder: string): string {
  return hashOf(new RunFolder(folder).file('model.safetensors'));
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
