import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Subset, subsetIdentity } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import {
  appendToLog,
  type Lock,
  makeFolder,
  removeEmptyFolder,
  removeFile,
  removeTemporaries,
  takeLock,
  writeWhole,
} from '../files/index.ts';
import { resolveConfig, type TrainConfig } from './config.ts';
import type { OwnCode } from './own-code.ts';
import type { ValFigures } from './val-figures.ts';

/** What a run was made of: `config.json`. */
export interface RunDescription {
  readonly config: TrainConfig;
  readonly data: {
    /** As given on the command line. */
    readonly path: string;
    readonly name: string;
    /** K names: of the classes, or of the findings. */
    readonly classes: readonly string[];
    readonly trainSamples: number;
    readonly valSamples: number;
    /** Identifies the data of all splits: see `datasetIdentity`. */
    readonly fingerprint: string;
  };
  readonly model: {
    readonly size: number;
    readonly channels: 1 | 3;
    readonly parameters: number;
    /** How logits become probabilities. */
    readonly activation: 'softmax' | 'sigmoid';
  };
  /** Files of the user's own that the run was made by. */
  readonly code?: { readonly objective?: OwnCode; readonly model?: OwnCode };
  /** Identifies the weights of the teacher that the setting names, where the objective learns from one. */
  readonly teacher?: string;
  /** What was trained on top of the run once it was finished, in order. */
  readonly extensions?: readonly Extension[];
  readonly mode: RunMode;
  readonly software: Readonly<Record<string, string>>;
}

/** How a run is computed: the same when it is gone on with. */
export interface RunMode {
  readonly device: string;
  readonly precision: string;
  readonly threads: number;
  /** Processes that train it together; left out where it is one. */
  readonly ranks?: number;
  /** Whether batch norm's fused kernels are used; absent in runs of before there were any. */
  readonly fused?: boolean;
}

/**
 * More epochs on a finished run: the configuration's schedule once more, over so many epochs, from the kept weights and
 * what the method had learnt, with a fresh optimizer. Not the same as a run of all the epochs: that has one schedule.
 */
export interface Extension {
  readonly epochs: number;
  /** Epochs and optimizer steps of the run before. */
  readonly after: { readonly epochs: number; readonly steps: number };
  /** SHA-256 of the weights that it starts from. */
  readonly weights: string;
}

/** One epoch: a line of `metrics.jsonl`. Rates are fractions, losses in nats. */
export interface EpochMetrics {
  /** From 1. */
  readonly epoch: number;
  /** Optimizer steps so far. */
  readonly step: number;
  readonly learningRate: number;
  /** The objective's own loss, mean over the epoch's samples: not comparable between objectives. */
  readonly trainLoss: number;
  /** One label of K: the share that was right. */
  readonly trainTop1?: number;
  /** Findings: the share of known values on whose side of 1/2 the probability was. */
  readonly trainAccuracy?: number;
  /** On the validation split; absent where there is none or the epoch was not evaluated. */
  readonly val?: ValFigures;
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

/**
 * A run's folder: plain files that other tools read.
 *
 *     config.json               the resolved configuration, the data's identity, mode and versions
 *     metrics.jsonl             a line an epoch
 *     events.out.tfevents.*     the same for TensorBoard
 *     checkpoints/              the two newest states to go on from, until the run is finished
 *     model.safetensors         the trained weights, by torchvision's names; with `ema` their average
 *     objective.safetensors     what the method learnt (OLS: the soft target of each class), where it learns
 *     teacher/                  the run of a teacher that was trained for this one
 *     done.json                 written last: the run is finished
 */
export class RunFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  file(name: string): string {
    return join(this.path, name);
  }

  get checkpoints(): string {
    return this.file('checkpoints');
  }

  /**
   * Whether the run came to its end.
   * @throws `training/lost` where it did and its weights are gone: it must neither pass for done nor be lost twice
   */
  get finished(): boolean {
    if (!existsSync(this.file('done.json'))) return false;
    if (existsSync(this.file('model.safetensors'))) return true;
    throw new PenumbraError('training/lost', `${this.path} is a finished run whose weights are gone`, {
      hint: 'put its model.safetensors back, or delete its done.json to train it again',
      where: { file: this.file('model.safetensors') },
    });
  }

  /** @throws `training/run` where the folder holds no run */
  description(): RunDescription {
    const path = this.file('config.json');
    if (!existsSync(path)) {
      throw new PenumbraError('training/run', `${this.path} is no run folder: it has no config.json`, {
        hint: 'name the folder that `penumbra train` or `penumbra compare` wrote',
        where: { file: path },
      });
    }
    try {
      return JSON.parse(readFileSync(path, 'utf8')) as RunDescription;
    } catch (cause) {
      throw new PenumbraError('training/run', `${path} is not readable as JSON`, {
        where: { file: path },
        cause,
      });
    }
  }

  /** The mode in which its run was begun; undefined where none was. */
  mode(): RunMode | undefined {
    return existsSync(this.file('config.json')) ? this.description().mode : undefined;
  }

  /**
   * Starts the folder, or checks that an existing one is of the same run.
   * @throws `training/other-run` naming the first setting that differs
   * @throws `files/exists` where a file of another origin would be overwritten
   */
  claim(description: RunDescription): void {
    makeFolder(this.path);
    if (!existsSync(this.file('config.json'))) {
      this.checkForeign();
      writeAtomically(this.file('config.json'), `${JSON.stringify(description, null, 2)}\n`);
      return;
    }
    const begun = this.description();
    const [then, now] = [begun.mode.ranks ?? 1, description.mode.ranks ?? 1];
    if (then !== now) throw otherRanks(this, then, now);
    const difference = firstDifference(essence(begun), essence(description));
    if (difference === null) return;
    if (difference.startsWith('code.')) throw changedCode(this, difference);
    throw new PenumbraError('training/other-run', `${this.path} holds another run: ${difference}`, {
      hint: 'choose another --out folder, or the settings of the first run to go on with it',
      where: { file: this.file('config.json') },
    });
  }

  /**
   * config.json is the first file that is written: without it, none of the others is of a run.
   * @param others names that the run writes
   */
  protected checkForeign(
    others: readonly string[] = [
      'metrics.jsonl',
      'model.safetensors',
      'objective.safetensors',
      'done.json',
      'checkpoints',
    ],
  ): void {
    const name = others.find((own) => existsSync(this.file(own)));
    if (name === undefined) return;
    throw new PenumbraError('files/exists', `${this.path} is no run, and its ${name} would be overwritten`, {
      hint: 'choose another --out folder',
      where: { file: this.file(name) },
    });
  }

  /** Makes a finished run one that goes on: what it is from is written first, and only then it counts as unfinished. */
  extend(description: RunDescription, extension: Extension): RunDescription {
    // One that was written down and never begun, by a process that was killed right then, is replaced.
    const begun = (description.extensions ?? []).filter(({ after }) => after.epochs < extension.after.epochs);
    const extended = { ...description, extensions: [...begun, extension] };
    writeAtomically(this.file('config.json'), `${JSON.stringify(extended, null, 2)}\n`);
    // It starts from the weights, and not from a state that the run kept.
    this.dropCheckpoints();
    removeFile(this.file('done.json'));
    return extended;
  }

  /** Identifies the weights. */
  weightsIdentity(): string {
    return createHash('sha256')
      .update(readFileSync(this.file('model.safetensors')))
      .digest('hex');
  }

  /** Lines of `metrics.jsonl` up to `epochs`; the rest belongs to work that was lost and is done again. */
  metrics<M extends { readonly epoch: number } = EpochMetrics>(epochs = Number.POSITIVE_INFINITY): M[] {
    const path = this.file('metrics.jsonl');
    if (!existsSync(path)) return [];
    const lines: M[] = [];
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      try {
        if (line !== '') lines.push(JSON.parse(line) as M);
      } catch {
        break; // The last line of a run that was killed while writing it.
      }
    }
    return lines.filter((metrics) => metrics.epoch <= epochs);
  }

  resetMetrics(lines: readonly object[]): void {
    writeAtomically(this.file('metrics.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }

  appendMetrics(metrics: object): void {
    appendToLog(this.file('metrics.jsonl'), `${JSON.stringify(metrics)}\n`);
  }

  finish(summary: object): void {
    writeAtomically(this.file('done.json'), `${JSON.stringify(summary, null, 2)}\n`);
  }

  /** Removes the checkpoints, and nothing else that may lie there. */
  dropCheckpoints(): void {
    if (!existsSync(this.checkpoints)) return;
    removeTemporaries(this.checkpoints);
    for (const name of readdirSync(this.checkpoints))
      if (/^step-\d{9}\.safetensors$/.test(name)) removeFile(join(this.checkpoints, name));
    removeEmptyFolder(this.checkpoints);
  }

  /**
   * Keeps everybody else out of the folder until the returned value is disposed, and clears away what a killed
   * process left half written. `check` says whether the folder is still there and still ours.
   * @throws `training/locked` where another process, or this one, holds it
   */
  lock(): Lock {
    const isNew = !existsSync(this.path);
    const lock = takeLock(this.file('run.lock'), { what: this.path, code: 'training/locked' });
    for (const folder of [this.path, this.checkpoints]) removeTemporaries(folder);
    if (!isNew) return lock;
    return {
      path: lock.path,
      check: () => lock.check(),
      // Where work failed before it began, nothing is left of it.
      [Symbol.dispose]: () => {
        lock[Symbol.dispose]();
        removeEmptyFolder(this.path);
      },
    };
  }
}

/** A file that is there whole or not at all, also after a power failure. */
export function writeAtomically(path: string, content: string): void {
  writeWhole(path, content);
}

/** Identifies a split: its targets, its patients, its images. */
export function fingerprint(split: Subset): string {
  return subsetIdentity(split);
}

/** Settings that change no number, or only say where something lies whose content is compared. */
const notCompared = [
  'workers',
  'checkpointSeconds',
  'checkpointSteps',
  'keepCheckpoints',
  'teacher',
] as const;

/** What must be equal for a run to be the same. A setting that is newer than the run had its default. */
export function essence({ config, data, model, mode, teacher, code }: RunDescription): {
  readonly config: Partial<TrainConfig>;
  readonly data: object;
  readonly code: object;
} & Record<string, unknown> {
  const settings: Partial<TrainConfig> = { ...resolveConfig({}), ...config };
  for (const name of notCompared) delete settings[name];
  return {
    config: settings,
    data: { classes: data.classes, fingerprint: data.fingerprint },
    model: { size: model.size, channels: model.channels },
    teacher,
    code: { objective: code?.objective?.sha256, model: code?.model?.sha256 },
    mode: { ...mode, fused: mode.fused ?? false },
  };
}

/** Samples, draws and sums are divided by the number of processes. */
function otherRanks(folder: RunFolder, then: number, now: number): PenumbraError {
  const words = (ranks: number) => (ranks === 1 ? 'one process' : `${ranks} processes`);
  return new PenumbraError(
    'training/other-run',
    `${folder.path} was begun with ${words(then)}, and is now to go on with ${words(now)}`,
    {
      hint: `start ${words(then)} again${then > 1 ? ` (--processes ${then}, or the launcher’s number)` : ''}, or choose another --out folder`,
      where: { file: folder.file('config.json') },
    },
  );
}

/** The first place in which two plain values differ, in words; null where there is none. @param sides their names */
export function firstDifference(
  a: unknown,
  b: unknown,
  path = '',
  sides: readonly [string, string] = ['there', 'now'],
): string | null {
  if (typeof a === 'object' && a !== null && typeof b === 'object' && b !== null) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const difference = firstDifference(
        (a as Record<string, unknown>)[key],
        (b as Record<string, unknown>)[key],
        path === '' ? key : `${path}.${key}`,
        sides,
      );
      if (difference !== null) return difference;
    }
    return null;
  }
  return a === b ? null : `${path} is ${JSON.stringify(a)} ${sides[0]} and ${JSON.stringify(b)} ${sides[1]}`;
}

/** Weights that two versions of a file made would be of neither. */
function changedCode(folder: RunFolder, difference: string): PenumbraError {
  const what = difference.startsWith('code.model') ? 'model' : 'objective';
  const file = folder.description().code?.[what]?.file ?? 'the file';
  return new PenumbraError(
    'training/changed-code',
    `${folder.path} was begun with another ${file}: ${difference}`,
    {
      hint: `restore the ${what}'s file as it was to go on with the run, or choose another --out folder`,
      where: { file },
    },
  );
}
