import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { PenumbraError } from '../errors.ts';
import type { Network } from '../models/index.ts';
import { Generator, readSafetensors, Scope, tidy } from '../torch/index.ts';
import { buildModel } from './build.ts';
import type { TrainConfig } from './config.ts';
import type { Mode } from './mode.ts';
import { RunFolder } from './run-folder.ts';
import { alone, type Team } from './team.ts';

/**
 * The weights file of the teacher that a path names: a finished run's folder, or a safetensors file.
 * @throws `training/teacher`
 */
export function teacherWeights(path: string): string {
  if (!existsSync(path)) throw new PenumbraError('training/teacher', `there is no teacher at ${path}`);
  if (!statSync(path).isDirectory()) return path;
  const run = new RunFolder(path);
  if (!run.finished) {
    throw new PenumbraError('training/teacher', `the teacher in ${path} is not a finished run`, {
      hint: 'train it to its end, or leave `teacher` out: then one is trained first',
      where: { file: path },
    });
  }
  return run.file('model.safetensors');
}

/** Identifies a teacher by its weights. */
export function teacherFingerprint(path: string): string {
  return createHash('sha256')
    .update(readFileSync(teacherWeights(path)))
    .digest('hex')
    .slice(0, 16);
}

/**
 * A trained copy of the configured network, frozen: in evaluation mode and without gradients. Rank 0 reads it.
 * @throws `training/teacher` where the weights are of another network
 */
export function loadTeacher(
  path: string,
  config: TrainConfig,
  input: { size: number; channels: 1 | 3 },
  classes: number,
  mode: Pick<Mode, 'device'>,
  team: Team = alone,
): Network {
  const file = team.leads ? teacherWeights(path) : undefined;
  // It is asked for logits alone.
  const plain = { ...config, doubtWeight: 0 };
  const model = tidy(() => buildModel(plain, input, classes, new Generator(config.seed), mode));
  using _scope = new Scope();
  if (file !== undefined) loadWeights(model, file, config);
  team.copy(model.stateDict().values());
  for (const parameter of model.parameters()) parameter.requires_grad_(false);
  return model.eval();
}

/** Disposes of the network where it fails. */
function loadWeights(model: Network, file: string, config: TrainConfig): void {
  try {
    const weights = [...readSafetensors(file).tensors].filter(([name]) => !name.startsWith('doubt.'));
    model.loadStateDict(new Map(weights));
  } catch (cause) {
    model.dispose();
    if (!(cause instanceof PenumbraError)) throw cause;
    throw new PenumbraError(
      'training/teacher',
      `${file} is no copy of this ${config.model}: ${cause.message}`,
      {
        hint: 'a teacher has the same network, input channels and classes',
        where: { file },
        cause,
      },
    );
  }
}
