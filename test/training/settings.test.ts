import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDataset, writePhantom } from '../../src/data/index.ts';
import { createModel } from '../../src/models/index.ts';
import { nearest } from '../../src/nearest.ts';
import { aten, fromTypedArray, Generator, Scope, tidy, writeSafetensors } from '../../src/torch/index.ts';
import { canFuse } from '../../src/torch/nn/index.ts';
import {
  evaluateRun,
  type FitEvent,
  fit,
  loadNewestCheckpoint,
  RunFolder,
  resolveConfig,
  settingNames,
  type TrainOptions,
} from '../../src/training/index.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-training-'));
const tiny: TrainOptions = {
  model: 'resnet18',
  stem: 'standard',
  epochs: 1,
  batchSize: 16,
  threads: 1,
  workers: 0,
  precision: 'float32',
  keepCheckpoints: true,
};
const phantoms = (classes?: readonly string[]) => {
  const dataset = openDataset('phantom', { phantom: { images: 64, size: 32 } });
  if (classes === undefined) return dataset;
  const splits = Object.entries(dataset.splits).map(([name, subset]) => [name, { ...subset, classes }]);
  return { ...dataset, classes, splits: Object.fromEntries(splits) };
};

afterAll(() => rmSync(root, { recursive: true }));

async function train(name: string, settings: TrainOptions, dataset = phantoms(), onStep = () => {}) {
  const events: FitEvent[] = [];
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const result = await fit({
    config: resolveConfig(settings),
    dataset,
    dataPath: 'phantom',
    folder: join(root, name),
    onEvent(event) {
      events.push(event);
      if (event.type === 'step') onStep();
    },
  });
  return { result, events };
}

describe('settings', () => {
  test.each([
    ['learningrate', 'learningRate'],
    ['batch_size', 'batchSize'],
    ['epoch', 'epochs'],
    ['wieghtDecay', 'weightDecay'],
    ['warmup', 'warmUp'],
  ])("'%s' is no setting; '%s' is", (wrong, right) => {
    expect(() => resolveConfig({ [wrong]: 1 } as TrainOptions)).toThrow(
      expect.objectContaining({
        code: 'training/config',
        message: `there is no setting '${wrong}'`,
        hint: `did you mean '${right}'?`,
        where: { setting: wrong },
      }),
    );
    expect(nearest(wrong, settingNames)).toBe(right);
  });

  test.each([
    [{ epochs: 0 }, 'epochs must be at least 1, and is 0'],
    [{ epochs: 1.5 }, 'epochs must be a whole number, and is 1.5'],
    [{ learningRate: 0 }, 'learningRate must be more than 0, and is 0'],
    [{ ema: 1 }, 'ema must be less than 1, and is 1'],
    [{ schedule: 'step' }, 'schedule must be one of constant, cosine, multi-step, and is "step"'],
    [{ flip: 'no' }, 'flip must be true or false, and is "no"'],
    [{ channels: 2 }, 'channels cannot be 2'],
    [{ window: { low: 5, high: 2 } }, "setting 'window': low must be less than high"],
  ])('%j is told in words', (settings, message) => {
    expect(() => resolveConfig(settings as TrainOptions)).toThrow(
      expect.objectContaining({ code: 'training/config', message }),
    );
  });

  test.each([
    [{ epochs: 0 }, 'epochs'],
    [{ batchSize: 1 }, 'batchSize'],
    [{ learningRate: 'fast' }, 'learningRate'],
    [{ channels: 2 }, 'channels'],
    [{ normalization: { mean: [0], std: [0] } }, 'normalization'],
    [{ model: 'resnet19' }, 'model'],
    [{ schedule: 'multi-step' }, 'milestones'],
  ])('%j names the setting at fault', (settings, setting) => {
    expect(() => resolveConfig(settings as TrainOptions)).toThrow(
      expect.objectContaining({
        code: 'training/config',
        where: { setting: expect.stringMatching(new RegExp(`^${setting}`)) },
      }),
    );
  });

  test('an objective is checked with its options before anything is trained', () => {
    expect(() => resolveConfig({ objective: 'ls:epsilon=2' })).toThrow('epsilon must be in [0, 1], got 2');
    expect(resolveConfig({ objective: ' ols : alpha = 0.3 ' }).objective).toBe('ols:alpha=0.3');
  });

  test('a resolved configuration resolves to itself', () => {
    const config = resolveConfig({ objective: 'ls', epochs: 3 });
    expect(resolveConfig(config)).toEqual(config);
    expect(Object.keys(config).sort()).toEqual([...settingNames].sort());
  });
});

describe('a run folder', () => {
  beforeAll(async () => {
    await train('run', { ...tiny, objective: 'ls' });
  }, 120_000);

  test('holds what it says', () => {
    const files = readdirSync(join(root, 'run')).map((name) => name.replace(/tfevents.*/, 'tfevents'));
    expect(files.sort()).toEqual([
      'checkpoints',
      'config.json',
      'done.json',
      'events.out.tfevents',
      'metrics.jsonl',
      'model.safetensors',
    ]);
    const description = new RunFolder(join(root, 'run')).description();
    expect(description.config).toEqual(resolveConfig({ ...tiny, objective: 'ls' }));
    expect(description.mode).toEqual({
      device: 'cpu',
      precision: 'float32',
      threads: 1,
      fused: canFuse('float32'),
    });
    expect(description.model).toMatchObject({ size: 32, channels: 1, activation: 'softmax' });
  });

  test('is of one run: another setting or other data are refused, and the difference is named', async () => {
    await expect(train('run', { ...tiny, objective: 'hard' })).rejects.toMatchObject({
      code: 'training/other-run',
      message: expect.stringContaining('config.objective is "ls" there and "hard" now'),
    });
    const other = openDataset('phantom', { phantom: { images: 64, size: 32, seed: 9 } });
    await expect(train('run', { ...tiny, objective: 'ls' }, other)).rejects.toMatchObject({
      code: 'training/other-run',
      message: expect.stringContaining('data.fingerprint'),
    });
    // What changes no number may differ.
    const { result } = await train('run', { ...tiny, objective: 'ls', workers: 1, checkpointSteps: 3 });
    expect(result.finished).toBe(true);
  });

  test('is locked while a run is in it, also against this process, and free again after', async () => {
    const folder = new RunFolder(join(root, 'run'));
    const lock = folder.lock();
    await expect(train('run', { ...tiny, objective: 'ls' })).rejects.toMatchObject({
      code: 'training/locked',
      message: `${folder.path} is in use by process ${process.pid}`,
    });
    lock[Symbol.dispose]();
    writeFileSync(folder.file('run.lock'), '999999999'); // What one left that was killed: nobody holds it.
    folder.lock()[Symbol.dispose]();
    expect(existsSync(folder.file('run.lock'))).toBe(false);
  });

  test('of other images with the same labels is another run, finished or not', async () => {
    const { splits, ...rest } = phantoms();
    const { source } = splits.train!;
    if (source?.kind !== 'memory') throw new Error('phantoms are in memory');
    const pixels = source.pixels.slice() as typeof source.pixels;
    pixels[0]! ^= 255;
    const other = { ...splits.train!, source: { ...source, pixels } };
    await expect(
      train('run', { ...tiny, objective: 'ls' }, { ...rest, splits: { ...splits, train: other } }),
    ).rejects.toMatchObject({
      code: 'training/other-run',
      message: expect.stringContaining('data.fingerprint'),
    });
    const judged = { ...splits.test!, source: { ...source, pixels } };
    await expect(
      train('run', { ...tiny, objective: 'ls' }, { ...rest, splits: { ...splits, test: judged } }),
    ).rejects.toMatchObject({ code: 'training/other-run' });
    await expect(train('run', { ...tiny, objective: 'ls', size: 40 })).rejects.toMatchObject({
      code: 'training/other-run',
    });
  });

  test('without its weights does not pass for finished, and a foreign file is not overwritten', async () => {
    const folder = new RunFolder(join(root, 'run'));
    renameSync(folder.file('model.safetensors'), folder.file('elsewhere'));
    await expect(train('run', { ...tiny, objective: 'ls' })).rejects.toMatchObject({ code: 'training/lost' });
    renameSync(folder.file('elsewhere'), folder.file('model.safetensors'));
    mkdirSync(join(root, 'mine', 'checkpoints'), { recursive: true });
    for (const name of ['metrics.jsonl', 'thesis.tmp', 'checkpoints/thesis.tmp'])
      writeFileSync(join(root, 'mine', name), 'mine');
    await expect(train('mine', { ...tiny, objective: 'ls' })).rejects.toMatchObject({ code: 'files/exists' });
    renameSync(join(root, 'mine', 'metrics.jsonl'), join(root, 'mine', 'notes'));
    await expect(train('mine', { ...tiny, objective: 'ls' })).rejects.toMatchObject({ code: 'files/exists' });
    renameSync(join(root, 'mine', 'checkpoints'), join(root, 'mine', 'others'));
    expect((await train('mine', { ...tiny, objective: 'ls' })).result.finished).toBe(true);
    for (const name of ['notes', 'thesis.tmp', 'others/thesis.tmp'])
      expect(readFileSync(join(root, 'mine', name), 'utf8')).toBe('mine');
  });

  test('that is removed while it is trained is no success', async () => {
    const stopped = train('gone', { ...tiny, objective: 'ls', epochs: 2 }, undefined, () =>
      rmSync(join(root, 'gone'), { recursive: true, force: true }),
    );
    await expect(stopped).rejects.toMatchObject({ code: expect.stringMatching(/^(files|torch)\//) });
  });

  test('evaluates its own split, and says what does not fit', async () => {
    const run = join(root, 'run');
    const { predictions, broken } = await evaluateRun(run, phantoms(), 'test');
    expect(broken).toEqual([]);
    const { probabilities, labels, classes } = predictions;
    expect(labels).toEqual(phantoms().splits.test!.labels);
    for (let i = 0; i < labels.length; i++) {
      const row = probabilities.subarray(i * classes, (i + 1) * classes);
      expect(Array.from(row).reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 5);
    }
    const names = ['a', 'b', 'c', 'd', 'e'];
    await expect(evaluateRun(run, phantoms(names), 'test')).rejects.toMatchObject({
      code: 'training/classes',
      hint: expect.stringContaining('the data: a, b, c, d, e (5)'),
    });
    const noTest = openDataset('phantom', {
      phantom: { images: 64, size: 32 },
      fractions: { val: 0.1, test: 0 },
    });
    await expect(evaluateRun(run, noTest, 'test')).rejects.toMatchObject({
      code: 'training/no-split',
      hint: 'it has: train, val',
    });
    await expect(evaluateRun(root, phantoms(), 'test')).rejects.toMatchObject({ code: 'training/run' });
  });

  test('that is unfinished is not evaluated', async () => {
    const controller = new AbortController();
    // biome-ignore lint/suspicious/noFocusedTests: it trains
    const { finished } = await fit({
      config: resolveConfig(tiny),
      dataset: phantoms(),
      dataPath: 'phantom',
      folder: join(root, 'unfinished'),
      signal: controller.signal,
      onEvent: (event) => event.type === 'step' && controller.abort(),
    });
    expect(finished).toBe(false);
    await expect(evaluateRun(join(root, 'unfinished'), phantoms(), 'test')).rejects.toMatchObject({
      code: 'training/unfinished',
    });
  });

  test('without a training split there is nothing to train', async () => {
    const { splits, ...rest } = phantoms();
    const { train: _, ...others } = splits;
    await expect(train('no-train', tiny, { ...rest, splits: others })).rejects.toMatchObject({
      code: 'training/no-train-split',
    });
  });
});

test('a run that diverges says so and keeps the last good checkpoint', async () => {
  const settings = {
    ...tiny,
    objective: 'hard',
    learningRate: 1e30,
    warmUp: 0,
    epochs: 4,
    checkpointSteps: 1,
  };
  await expect(train('diverged', settings)).rejects.toMatchObject({
    code: 'training/diverged',
    hint: expect.stringContaining('lower the learning rate'),
  });
  using _scope = new Scope();
  const checkpoint = loadNewestCheckpoint<{ step: number }>(join(root, 'diverged', 'checkpoints'));
  expect(checkpoint!.progress.step).toBeGreaterThan(0);
  for (const [name, value] of checkpoint!.tensors)
    if (value.dtype === 'float32') expect(value.isfinite().all().item(), name).toBe(1);
  expect(existsSync(join(root, 'diverged', 'done.json'))).toBe(false);
  expect(existsSync(join(root, 'diverged', 'run.lock'))).toBe(false);
});

test('broken images are listed with their reasons, and training goes on without them', async () => {
  const folder = join(root, 'pngs');
  await writePhantom(folder, { images: 64, size: 32, format: 'png' });
  rmSync(join(folder, 'posterior.csv'));
  const listing = openDataset(folder);
  const { train: split, val } = listing.splits;
  const at = (name: string) => join(folder, name);
  writeFileSync(at(split!.nameOf(0)), '');
  truncateSync(at(split!.nameOf(1)), 60);
  writeFileSync(at(val!.nameOf(0)), 'no picture');
  const { result } = await train(
    'with-broken',
    { ...tiny, size: 32, epochs: 2, workers: 1 },
    openDataset(folder),
  );
  expect(result.finished).toBe(true);
  const names = result.broken.map(({ file }) => file);
  expect(names).toHaveLength(3);
  for (const name of [split!.nameOf(0), split!.nameOf(1), val!.nameOf(0)])
    expect(
      names.some((file) => file.endsWith(name)),
      name,
    ).toBe(true);
  for (const { reason } of result.broken) expect(reason).not.toBe('');
  const done = JSON.parse(readFileSync(join(root, 'with-broken', 'done.json'), 'utf8')) as {
    broken: unknown;
  };
  expect(done.broken).toEqual(result.broken);
});

test.each([
  ['float32', 'as configured'],
  ['bfloat16', 'as configured'],
  ['auto', /AMX|AVX512-BF16|GPU|does not say/],
] as const)('precision %s trains, and the start says which was chosen and why', async (precision, reason) => {
  const { result, events } = await train(`precision-${precision}`, { ...tiny, precision, objective: 'ols' });
  const start = events.find((event) => event.type === 'start')!;
  if (precision !== 'auto') expect(start.mode.precision).toBe(precision);
  expect(start.mode.reason).toMatch(reason);
  const [epoch] = result.epochs;
  expect(epoch!.trainLoss).toBeGreaterThan(0);
  expect(epoch!.val!.nll).toBeGreaterThan(0);
});

test('a device that is not there is an error that says so', async () => {
  await expect(train('no-device', { ...tiny, device: 'cuda:77' })).rejects.toMatchObject({
    code: expect.stringMatching(/^(training\/device|torch\/)/),
  });
});

describe('initial weights', () => {
  const write = (name: string, model: string, classes: number, channels = 1) => {
    mkdirSync(root, { recursive: true });
    const path = join(root, `${name}.safetensors`);
    const made = createModel(model, { classes, channels, generator: new Generator(42) });
    tidy(() => writeSafetensors(path, made.stateDict()));
    made.dispose();
    return path;
  };

  test('load as they are, with a head of another size fresh and said so', async () => {
    const weights = write('other-head', 'resnet18', 9);
    const settings = { ...tiny, weights, learningRate: 1e-12, weightDecay: 0, objective: 'hard' };
    const { events } = await train('weights', settings);
    expect(events).toContainEqual({
      type: 'notice',
      message: 'initial weights: the last layer, fc, starts fresh: fc.weight is 9×512, expected 5×512',
    });
    // At no learning rate the weights stay those of the file.
    using _scope = new Scope();
    const { tensors } = loadNewestCheckpoint(join(root, 'weights', 'checkpoints'))!;
    const first = createModel('resnet18', { classes: 9, channels: 1, generator: new Generator(42) });
    const expected = first.stateDict().get('layer4.1.conv2.weight')!;
    expect(aten.allclose(tensors.get('model.layer4.1.conv2.weight')!, expected, 0, 1e-8)).toBe(true);
  });

  test.each([
    ['resnet50', 1, /layer1\.0\.conv1\.weight is 64×64×1×1, expected 64×64×3×3 \(and \d+ more\)/],
    ['resnet34', 1, /layer1\.2\.\S+ is not in the network \(and \d+ more\)/],
    ['resnet18', 4, /conv1\.weight is 64×4×7×7, expected 64×1×7×7/],
  ])('of %s with %i channels are refused', async (model, channels, message) => {
    const weights = write(`${model}-${channels}`, model, 5, channels);
    await expect(train(`weights-${model}-${channels}`, { ...tiny, weights })).rejects.toMatchObject({
      code: 'models/weights',
      message: expect.stringMatching(message),
    });
  });

  test('that are no weights at all are refused', async () => {
    const weights = join(root, 'nothing.safetensors');
    tidy(() => writeSafetensors(weights, new Map([['x', fromTypedArray(new Float32Array(2))]])));
    await expect(train('weights-nothing', { ...tiny, weights })).rejects.toMatchObject({
      code: 'models/weights',
    });
  });
});
