import { createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import type { Targets } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
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
    /** Identifies the training split: a hash over its size, names and targets. */
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
  readonly mode: { readonly device: string; readonly precision: string; readonly threads: number };
  readonly software: Readonly<Record<string, string>>;
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
 *     model.safetensors         the trained weights, by torchvision's names
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

  get finished(): boolean {
    return existsSync(this.file('done.json'));
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

  /**
   * Starts the folder, or checks that an existing one is of the same run.
   * @throws `training/other-run` naming the first setting that differs
   */
  claim(description: RunDescription): void {
    mkdirSync(this.path, { recursive: true });
    if (!existsSync(this.file('config.json'))) {
      writeAtomically(this.file('config.json'), `${JSON.stringify(description, null, 2)}\n`);
      return;
    }
    const difference = firstDifference(essence(this.description()), essence(description), '');
    if (difference === null) return;
    if (difference.startsWith('code.')) throw changedCode(this, difference);
    throw new PenumbraError('training/other-run', `${this.path} holds another run: ${difference}`, {
      hint: 'choose another --out folder, or the settings of the first run to go on with it',
      where: { file: this.file('config.json') },
    });
  }

  /** Lines of `metrics.jsonl` up to `epochs`; the rest belongs to work that was lost and is done again. */
  metrics(epochs = Number.POSITIVE_INFINITY): EpochMetrics[] {
    const path = this.file('metrics.jsonl');
    if (!existsSync(path)) return [];
    const lines: EpochMetrics[] = [];
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      try {
        if (line !== '') lines.push(JSON.parse(line) as EpochMetrics);
      } catch {
        break; // The last line of a run that was killed while writing it.
      }
    }
    return lines.filter((metrics) => metrics.epoch <= epochs);
  }

  resetMetrics(lines: readonly EpochMetrics[]): void {
    writeAtomically(this.file('metrics.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }

  appendMetrics(metrics: EpochMetrics): void {
    appendFileSync(this.file('metrics.jsonl'), `${JSON.stringify(metrics)}\n`);
  }

  finish(summary: object): void {
    writeAtomically(this.file('done.json'), `${JSON.stringify(summary, null, 2)}\n`);
  }

  dropCheckpoints(): void {
    rmSync(this.checkpoints, { recursive: true, force: true });
  }

  /**
   * Keeps everybody else out of the folder until the returned value is disposed, and clears away what a killed
   * process left half written.
   * @throws `training/locked` where a living process, or this one, holds it
   */
  lock(): Disposable {
    mkdirSync(this.path, { recursive: true });
    const path = resolve(this.file('run.lock'));
    // Linked into place with its content: nobody sees a lock without its holder.
    const mine = `${path}.${process.pid}`;
    writeFileSync(mine, String(process.pid));
    try {
      for (let attempt = 0; !linkIfAbsent(mine, path); attempt++) {
        const holder = held.has(path) ? process.pid : readHolder(path);
        if (attempt > 3 || held.has(path) || isAlive(holder)) {
          throw new PenumbraError('training/locked', `${this.path} is in use by process ${holder}`, {
            hint: 'wait for it to end, or choose another folder',
            where: { file: path },
          });
        }
        rmSync(path, { force: true });
      }
    } finally {
      rmSync(mine, { force: true });
    }
    held.add(path);
    for (const folder of [this.path, this.checkpoints]) removeTemporaries(folder);
    return {
      [Symbol.dispose]: () => {
        held.delete(path);
        rmSync(path, { force: true });
      },
    };
  }
}

/** Locks of this process, whose number alone does not tell them from those of an earlier one. */
const held = new Set<string>();

function linkIfAbsent(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function readHolder(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return 0; // Released between two looks.
  }
}

/** Files that `writeAtomically` and `writeSafetensors` had not renamed yet. */
function removeTemporaries(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder))
    if (name.endsWith('.tmp')) rmSync(join(folder, name), { force: true });
}

/** A file that is there whole or not at all, also after a power failure. */
export function writeAtomically(path: string, content: string): void {
  const temporary = `${path}.tmp`;
  writeFileSync(temporary, content);
  const file = openSync(temporary, 'r');
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, path);
}

/** Identifies a split by what a model can learn from it, without reading every image. */
export function fingerprint({ length, targets }: { length: number; targets: Targets }): string {
  const { names, values } = targets;
  const hash = createHash('sha256').update(`${length}\0${names.join('\0')}\0`);
  const arrays = targets.kind === 'findings' ? [values, targets.mask, targets.rates] : [values];
  for (const [i, array] of arrays.entries()) {
    if (i > 0) hash.update(`\0${i}\0`);
    if (array) hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  return hash.digest('hex').slice(0, 16);
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
function essence({ config, data, mode, teacher, code }: RunDescription): unknown {
  const settings: Partial<TrainConfig> = { ...resolveConfig({}), ...config };
  for (const name of notCompared) delete settings[name];
  return {
    config: settings,
    data: { classes: data.classes, fingerprint: data.fingerprint },
    teacher,
    code: { objective: code?.objective?.sha256, model: code?.model?.sha256 },
    mode,
  };
}

function firstDifference(a: unknown, b: unknown, path: string): string | null {
  if (typeof a === 'object' && a !== null && typeof b === 'object' && b !== null) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const difference = firstDifference(
        (a as Record<string, unknown>)[key],
        (b as Record<string, unknown>)[key],
        path === '' ? key : `${path}.${key}`,
      );
      if (difference !== null) return difference;
    }
    return null;
  }
  return a === b ? null : `${path} is ${JSON.stringify(a)} there and ${JSON.stringify(b)} now`;
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

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
