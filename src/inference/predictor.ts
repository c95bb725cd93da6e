import { setImmediate } from 'node:timers/promises';
import { ensembleProbabilities } from '../calibration/index.ts';
import { type Batch, BatchLoader, type BrokenFile, type Subset, type Targets } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { taskOf } from '../tasks/index.ts';
import { checkSubset, type LoadedRun, loadRun, predictBatch, runLoaderOptions } from '../training/index.ts';
import { type RunCalibration, readCalibration } from './run-calibration.ts';

/** What the networks say of some samples, in the order of the subset. */
export interface PredictedRows {
  /** n sample numbers in the subset. Those of images that could not be read are left out. */
  readonly indices: Int32Array;
  /** n×K: the mean of the members' own probabilities. */
  readonly own: Float32Array;
  /** n×K: the mean of the members' calibrated probabilities; `own` itself where nothing is calibrated. */
  readonly probabilities: Float32Array;
  /** n×K, of a single network. */
  readonly logits: Float32Array | undefined;
  /** n×K in [0, 1]: the mean of the doubt that members predict, where all do. */
  readonly doubt: Float32Array | undefined;
}

/** A reading of a subset that goes on while it is iterated. */
export interface Reading extends AsyncIterable<PredictedRows> {
  /** Images that could not be read so far. */
  readonly broken: readonly BrokenFile[];
}

export interface PredictorOptions {
  /** Whether calibrators that lie with the runs are used. Default: true. */
  readonly calibrated?: boolean;
  /** Whether what the runs keep of their validation splits is wanted, calibrated or not. Default: false. */
  readonly needsValidation?: boolean;
  readonly threads?: number | undefined;
}

/**
 * One finished run, or several as an ensemble: probabilities are the mean over its members (Lakshminarayanan et al., NeurIPS
 * 2017), each calibrated by its own calibrator first where they have one.
 *
 *     await using predictor = Predictor.open(['runs/ols-seed0', 'runs/ols-seed1']);
 *     for await (const { indices, probabilities } of predictor.read(subset)) …
 */
export class Predictor implements AsyncDisposable {
  readonly kind: Targets['kind'];
  /** K names of the classes, or findings. */
  readonly classes: readonly string[];
  /** Whether probabilities are calibrated. */
  readonly calibrated: boolean;
  /** What each member keeps of its validation split, where it keeps anything. */
  readonly kept: readonly (RunCalibration | undefined)[];
  readonly folders: readonly string[];
  /** Whether every member predicts the doubt that a report will express. */
  readonly predictsDoubt: boolean;
  private readonly members: readonly LoadedRun[];

  private constructor(
    members: readonly LoadedRun[],
    kept: readonly (RunCalibration | undefined)[],
    calibrated: boolean,
  ) {
    this.members = members;
    this.kept = kept;
    this.calibrated = calibrated;
    this.predictsDoubt = members.every(({ model }) => model.doubt !== undefined);
    this.kind = members[0]!.kind;
    this.classes = members[0]!.description.data.classes;
    this.folders = members.map(({ folder }) => folder);
  }

  /**
   * @param folders of finished runs with the same classes, each once
   * @throws `inference/members`, `inference/calibration`, and what `loadRun` raises
   */
  static open(folders: readonly string[], options: PredictorOptions = {}): Predictor {
    const { calibrated = true, needsValidation = false, threads } = options;
    const members: LoadedRun[] = [];
    try {
      for (const folder of folders) {
        members.push(loadRun(folder, { threads }));
        checkAlike(members);
      }
      const kept =
        calibrated || needsValidation ? folders.map(readCalibration) : folders.map(() => undefined);
      const fitted = calibrated ? kept.filter((one) => one?.calibrator !== undefined).length : 0;
      if (fitted > 0 && fitted < members.length) {
        const bare = folders.filter((_, m) => kept[m]?.calibrator === undefined);
        throw new PenumbraError(
          'inference/members',
          `${fitted} of ${members.length} members have a calibrator, and ${bare.slice(0, 3).join(', ')} ${bare.length === 1 ? 'has' : 'have'} none`,
          { hint: 'fit one for each (penumbra calibrate), or leave them out with --no-calibration' },
        );
      }
      return new Predictor(members, kept, fitted > 0);
    } catch (error) {
      for (const member of members) member[Symbol.dispose]();
      throw error;
    }
  }

  /** @throws `training/classes` where a subset with targets is not of the same kind and classes */
  check(subset: Subset): void {
    for (const { folder, description } of this.members) checkSubset(folder, description, subset);
  }

  /** Says what the networks say of a subset, batch by batch. Its targets are not looked at. */
  read(subset: Subset, signal?: AbortSignal): Reading {
    const loaders = this.loaders(subset, signal);
    const rows = this.rows(loaders);
    return {
      [Symbol.asyncIterator]: () => rows,
      get broken() {
        return [...new Map(loaders.flatMap(({ loader }) => loader.broken).map((b) => [b.file, b])).values()];
      },
    };
  }

  /** One loader for all members that are shown images in the same way. */
  private loaders(subset: Subset, signal: AbortSignal | undefined): LoaderOf[] {
    // One number for all: batches of several loaders go side by side.
    const batchSize = Math.max(
      ...this.members.map(({ description }) => runLoaderOptions(description).batchSize),
    );
    const found = new Map<string, { loader: BatchLoader; members: number[] }>();
    this.members.forEach(({ description }, m) => {
      const options = runLoaderOptions(description, batchSize);
      const key = JSON.stringify({ ...options, workers: undefined });
      const known = found.get(key);
      if (known !== undefined) known.members.push(m);
      else
        found.set(key, {
          loader: new BatchLoader(subset, { ...options, ...(signal && { signal }) }),
          members: [m],
        });
    });
    return [...found.values()];
  }

  private async *rows(loaders: readonly LoaderOf[]): AsyncGenerator<PredictedRows, void, undefined> {
    const task = taskOf(this.kind);
    const epochs = loaders.map(({ loader }) => loader.epoch(0));
    try {
      for (;;) {
        const batches = await nextTogether(epochs);
        if (batches === undefined) return;
        const shared = common(batches.map(({ indices }) => indices));
        const own: Float32Array[] = [];
        const calibrated: Float32Array[] = [];
        const doubts: Float32Array[] = [];
        let logits: Float32Array | undefined;
        loaders.forEach(({ members }, l) => {
          const batch = batches[l]!;
          const pick = (rows: Float32Array) => pickRows(rows, batch.indices, shared, this.classes.length);
          for (const m of members) {
            const { model, mode } = this.members[m]!;
            const said = predictBatch(model, batch, task, mode);
            own.push(pick(said.probabilities));
            logits = pick(said.logits);
            if (said.doubt !== undefined) doubts.push(pick(said.doubt));
            const calibrator = this.calibrated ? this.kept[m]?.calibrator : undefined;
            if (calibrator !== undefined) calibrated.push(calibrator.apply(logits));
          }
          batch.release();
        });
        // One network's own numbers stay what they are, to the last bit.
        const mean = (parts: readonly Float32Array[]) =>
          parts.length === 1 ? parts[0]! : ensembleProbabilities(parts);
        const said = mean(own);
        yield {
          indices: shared,
          own: said,
          probabilities: this.calibrated ? mean(calibrated) : said,
          logits: this.members.length === 1 ? logits : undefined,
          doubt: this.predictsDoubt ? mean(doubts) : undefined,
        };
        await setImmediate(); // Signals and messages of decoding threads are heard between batches.
      }
    } finally {
      await Promise.all(epochs.map((epoch) => epoch.return()));
      await Promise.all(loaders.map(({ loader }) => loader.close()));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const member of this.members) member[Symbol.dispose]();
  }
}

interface LoaderOf {
  readonly loader: BatchLoader;
  /** Who is shown its batches. */
  readonly members: number[];
}

type Epoch = ReturnType<BatchLoader['epoch']>;

/** The next batch that all epochs have; undefined where one is over. A batch without a readable image is not given. */
async function nextTogether(epochs: readonly Epoch[]): Promise<Batch[] | undefined> {
  const batches: Batch[] = [];
  for (const epoch of epochs) {
    const { value, done } = await epoch.next();
    if (done === true || value === undefined) return undefined;
    batches.push(value);
  }
  for (;;) {
    const furthest = Math.max(...batches.map(({ number }) => number));
    const behind = batches.findIndex(({ number }) => number < furthest);
    if (behind < 0) return batches;
    batches[behind]!.release();
    const { value, done } = await epochs[behind]!.next();
    if (done === true || value === undefined) return undefined;
    batches[behind] = value;
  }
}

/** Samples that every loader could read: the same in all, unless a file went away between two looks at it. */
function common(lists: readonly Int32Array[]): Int32Array {
  const [first, ...others] = lists;
  if (others.every((list) => list.length === first!.length && list.every((index, i) => index === first![i])))
    return first!;
  const sets = others.map((list) => new Set(list));
  return first!.filter((index) => sets.every((set) => set.has(index)));
}

function pickRows(rows: Float32Array, have: Int32Array, want: Int32Array, k: number): Float32Array {
  if (have.length === want.length) return rows;
  const place = new Map(Array.from(have, (index, row) => [index, row]));
  const picked = new Float32Array(want.length * k);
  want.forEach((index, i) => {
    const row = place.get(index)!;
    picked.set(rows.subarray(row * k, (row + 1) * k), i * k);
  });
  return picked;
}

/** @throws `inference/members` where the last member cannot be averaged with the first */
function checkAlike(members: readonly LoadedRun[]): void {
  const first = members[0]!;
  const last = members.at(-1)!;
  const fail = (what: string, hint: string) =>
    new PenumbraError('inference/members', `${last.folder} ${what}`, { hint });
  if (members.slice(0, -1).some(({ folder }) => folder === last.folder))
    throw fail('is named twice', 'each member of an ensemble counts once');
  const listed = ({ description }: LoadedRun) => description.data.classes.slice(0, 6).join(', ');
  if (
    last.kind !== first.kind ||
    last.description.data.classes.join('\0') !== first.description.data.classes.join('\0')
  )
    throw fail(
      `knows other classes than ${first.folder}`,
      `an ensemble's members have the same classes in the same order: ${listed(first)} there, ${listed(last)} here`,
    );
}
