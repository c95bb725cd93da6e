import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { makeFolder, removeFile } from '../files/index.ts';
import { disposeAll, readSafetensors, type Tensor, tidy, writeSafetensors } from '../torch/index.ts';

/** Everything that a run needs to go on: numbers and texts as JSON, tensors by name. */
export interface Checkpoint<Progress> {
  readonly progress: Progress;
  /** `model.…`, `optimizer.…`, `objective.…`, `generator.…`. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

const PATTERN = /^step-(\d{9})\.safetensors$/;
/** The newest, and the one before in case the newest is damaged. */
const KEPT = 2;

/**
 * Writes `step-000000123.safetensors` into `folder` in one piece: a temporary file, flushed, renamed. A hash over the
 * progress and every tensor's bytes travels in the file. Older checkpoints beyond the two newest go.
 */
export function saveCheckpoint<Progress>(
  folder: string,
  step: number,
  checkpoint: Checkpoint<Progress>,
): string {
  makeFolder(folder);
  const path = join(folder, `step-${String(step).padStart(9, '0')}.safetensors`);
  const progress = JSON.stringify(checkpoint.progress);
  tidy(() => {
    // A tensor in channels-last memory is written in its logical order; its device does not matter.
    const tensors = new Map([...checkpoint.tensors].map(([name, tensor]) => [name, hostCopy(tensor)]));
    writeSafetensors(path, tensors, {
      progress,
      sha256: hashOf(progress, tensors),
      format: 'penumbra-checkpoint-1',
    });
  });
  for (const old of listCheckpoints(folder).slice(KEPT)) removeFile(join(folder, old));
  return path;
}

/**
 * The newest checkpoint that is whole. Damaged ones are reported and passed over.
 * @returns null where there is none
 */
export function loadNewestCheckpoint<Progress>(
  folder: string,
  onDamaged: (path: string, reason: string) => void = () => {},
): Checkpoint<Progress> | null {
  for (const name of listCheckpoints(folder)) {
    const path = join(folder, name);
    try {
      return loadCheckpoint(path);
    } catch (error) {
      if (!(error instanceof PenumbraError)) throw error;
      onDamaged(path, error.message);
    }
  }
  return null;
}

/** @throws `training/checkpoint` or `torch/safetensors` where the file is no whole checkpoint */
export function loadCheckpoint<Progress>(path: string): Checkpoint<Progress> {
  const { tensors, metadata } = readSafetensors(path);
  const { progress, sha256 } = metadata;
  if (progress === undefined || sha256 === undefined) {
    disposeAll(tensors);
    throw new PenumbraError('training/checkpoint', `${path} is no checkpoint of a training run`);
  }
  if (hashOf(progress, tensors) !== sha256) {
    disposeAll(tensors);
    throw new PenumbraError('training/checkpoint', `${path} is damaged: its content does not match its hash`);
  }
  return { progress: JSON.parse(progress) as Progress, tensors };
}

/** Newest first. */
function listCheckpoints(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => PATTERN.test(name))
    .sort()
    .reverse();
}

function hostCopy(tensor: Tensor): Tensor {
  return tensor.detach().to({ device: 'cpu' }).contiguous();
}

function hashOf(progress: string, tensors: ReadonlyMap<string, Tensor>): string {
  const hash = createHash('sha256').update(progress);
  for (const name of [...tensors.keys()].sort()) {
    const tensor = tensors.get(name)!;
    hash.update(`\0${name}\0${tensor.dtype}\0${tensor.shape.join()}\0`).update(bytesOf(tensor));
  }
  return hash.digest('hex');
}

function bytesOf(tensor: Tensor): Uint8Array {
  const data = tensor.data();
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
