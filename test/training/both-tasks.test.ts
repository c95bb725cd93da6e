import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Dataset, Findings } from '../../src/data/index.ts';
import { binaryAuroc } from '../../src/metrics/index.ts';
import { objectiveDefinitions } from '../../src/objectives/index.ts';
import { Generator, readSafetensors, Scope, setThreads } from '../../src/torch/index.ts';
import { loadNewestCheckpoint } from '../../src/training/checkpoint.ts';
import {
  embedRun,
  evaluateRun,
  type FitEvent,
  fit,
  inspectRun,
  RunFolder,
  resolveConfig,
  type TrainOptions,
} from '../../src/training/index.ts';
import { FINDINGS, findingsOf, flat, flatWithDropout, phantoms, withTexts, words } from './small.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-tasks-'));
const at = (name: string) => join(root, name);
const quick: TrainOptions = {
  epochs: 3,
  batchSize: 12,
  learningRate: 0.05,
  threads: 1,
  workers: 0,
  device: 'cpu',
  precision: 'float32',
  keepCheckpoints: true,
};
const data = { labels: phantoms(), findings: findingsOf(phantoms()) };

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });
beforeAll(() => setThreads(1));
afterAll(() => rmSync(root, { recursive: true }));

async function train(
  name: string,
  settings: TrainOptions,
  dataset: Dataset,
  { model = flat, stopAt }: { model?: typeof flat; stopAt?: number } = {},
) {
  const controller = new AbortController();
  const events: FitEvent[] = [];
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const result = await fit({
    config: resolveConfig({ ...quick, ...settings }),
    model,
    dataset,
    dataPath: 'phantom',
    folder: at(name),
    signal: controller.signal,
    onEvent(event) {
      events.push(event);
      if (event.type === 'step' && event.step === stopAt) controller.abort();
    },
  });
  return { ...result, events };
}

/** The trained weights, as one array by name. */
function weights(name: string, file = 'model.safetensors'): Map<string, Float32Array> {
  using _scope = new Scope();
  const { tensors } = readSafetensors(join(at(name), file));
  return new Map(Array.from(tensors, ([key, tensor]) => [key, tensor.toTypedArray() as Float32Array]));
}

function expectSameFiles(name: string, other: string): void {
  const last = readdirSync(join(at(name), 'checkpoints'))
    .sort()
    .at(-1)!;
  for (const file of ['model.safetensors', join('checkpoints', last)])
    expect(readFileSync(join(at(name), file)).equals(readFileSync(join(at(other), file))), file).toBe(true);
}

function largestDifference(a: Map<string, Float32Array>, b: Map<string, Float32Array>): number {
  let largest = 0;
  for (const [name, values] of a)
    for (const [i, value] of values.entries())
      largest = Math.max(largest, Math.abs(value - b.get(name)![i]!));
  return largest;
}

describe('findings', () => {
  const serving = objectiveDefinitions().filter(({ tasks }) => tasks.includes('findings'));
  const texts = [...serving.map(({ name }) => name), 'gls:rates=data', 'ols:variant=zero-start'];

  test.each(texts)(
    '%s trains, stops in the middle of an epoch, and ends bit for bit as if it had not',
    async (text) => {
      const settings = { objective: text, epochs: 2 };
      const name = `findings-${text.replace(/\W/g, '-')}`;
      const { finished, epochs } = await train(name, settings, data.findings);
      expect(finished).toBe(true);
      expect(epochs[1]!.trainAccuracy).toBeGreaterThan(0);
      expect(epochs[1]!).not.toHaveProperty('trainTop1');
      const stopped = await train(`${name}-stopped`, settings, data.findings, { stopAt: 4 });
      expect(stopped.finished).toBe(false);
      await train(`${name}-stopped`, settings, data.findings);
      expectSameFiles(name, `${name}-stopped`);
      if (serving.find((one) => one.name === text)?.teacher)
        expect(readdirSync(at(name))).toContain('teacher');
    },
  );

  test('learn what the images show: training lowers the loss and ranks the held-out images', async () => {
    const { epochs } = await train('learns', { objective: 'hard', epochs: 25, flip: false }, data.findings);
    expect(epochs.at(-1)!.trainLoss).toBeLessThan(0.8 * epochs[0]!.trainLoss);
    const { predictions } = await evaluateRun(at('learns'), data.findings, 'test');
    const { targets, probabilities } = predictions;
    const severe = Float32Array.from(targets.values.filter((_, i) => i % 3 === 1));
    const p = probabilities.filter((_, i) => i % 3 === 1);
    expect(
      binaryAuroc(
        p,
        severe.map((y) => Number(y > 0.5)),
      ),
    ).toBeGreaterThan(0.7);
  });

  test('outputs are the sigmoid of the logits beside what is true of the same samples', async () => {
    await train('outputs', { objective: 'hard' }, data.findings);
    const val = data.findings.splits.val!;
    const { output } = await inspectRun(at('outputs'), val, { features: true });
    expect(output.classes).toBe(3);
    expect(output.targets).toEqual(val.targets);
    expect(output.features).toHaveLength(8 * val.length);
    output.logits.forEach((z, i) => {
      expect(output.probabilities[i]).toBeCloseTo(1 / (1 + Math.exp(-z)), 6);
    });
    expect(() => output.labels).toThrow(expect.objectContaining({ code: 'data/findings' }));
    expect({ ...output }).not.toHaveProperty('labels');
    // The last epoch's line shows the same, by the mean over what is known.
    let [sum, known] = [0, 0];
    const { values, mask } = val.targets as Extract<typeof val.targets, { kind: 'findings' }>;
    values.forEach((y, i) => {
      if (mask![i] === 0) return;
      const q = output.probabilities[i]!;
      sum -= y * Math.log(q) + (1 - y) * Math.log(1 - q);
      known++;
    });
    const last = new RunFolder(at('outputs')).metrics().at(-1)!.val!;
    expect(last.nll).toBeCloseTo(sum / known, 6);
    expect(last.auroc).toBeGreaterThan(0);
    expect(last).not.toHaveProperty('top1');
  });

  test('are embedded by one of them, in the samples where it is known', async () => {
    await train('embedded', { objective: 'hard' }, data.findings);
    const { features, labels, indices, classes } = await embedRun(at('embedded'), data.findings, 'val', {
      finding: 'mild',
    });
    const { values, mask } = data.findings.splits.val!.targets as Findings;
    expect(classes).toEqual(['no mild', 'mild']);
    expect(indices).toEqual(
      Int32Array.from({ length: mask!.length / 3 }, (_, i) => i).filter((i) => mask![i * 3] === 1),
    );
    expect(Array.from(labels)).toEqual(Array.from(indices, (i) => values[i * 3]));
    const { output } = await inspectRun(at('embedded'), data.findings.splits.val!, { features: true });
    expect(features.subarray(8, 16)).toEqual(output.features!.subarray(8 * indices[1]!, 8 * indices[1]! + 8));
    await expect(embedRun(at('embedded'), data.findings, 'val')).rejects.toMatchObject({
      code: 'training/finding',
      hint: 'name one of: mild, severe, rare',
    });
    const misspelt = embedRun(at('embedded'), data.findings, 'val', { finding: 'sever' });
    await expect(misspelt).rejects.toMatchObject({ hint: "did you mean 'severe'?" });
  });

  test('the run says what it was trained on; data of another kind, or other values, are refused', async () => {
    await train('kinds', { objective: 'hard' }, data.findings);
    const description = new RunFolder(at('kinds')).description();
    expect(description.data.classes).toEqual(FINDINGS);
    expect(description.model.activation).toBe('sigmoid');
    const less = findingsOf(phantoms(), 0.5);
    await expect(train('kinds', { objective: 'hard' }, less)).rejects.toMatchObject({
      code: 'training/other-run',
      message: expect.stringContaining('data.fingerprint'),
    });
    const labels = { ...data.labels, classes: FINDINGS };
    const { test: split } = labels.splits;
    const renamed = { ...split!, classes: FINDINGS, targets: { ...split!.targets, names: FINDINGS } };
    await expect(inspectRun(at('kinds'), renamed)).rejects.toMatchObject({
      code: 'training/classes',
      message: expect.stringContaining('predicts findings, and the data have one label of K'),
    });
  });

  test('a method that does not serve them is refused before anything is written', async () => {
    await expect(train('css', { objective: 'css' }, data.findings)).rejects.toMatchObject({
      code: 'objectives/task',
    });
    expect(readdirSync(root)).not.toContain('css');
  });

  test('mixup mixes them', async () => {
    await train('mixup', { objective: 'hard', mixup: 0.4 }, data.findings, { stopAt: 5 });
    await train('mixup', { objective: 'hard', mixup: 0.4 }, data.findings);
    await train('mixup-once', { objective: 'hard', mixup: 0.4 }, data.findings);
    expectSameFiles('mixup', 'mixup-once');
    await train('mixup-none', { objective: 'hard' }, data.findings);
    expect(largestDifference(weights('mixup'), weights('mixup-none'))).toBeGreaterThan(1e-4);
  });
});

test.each([
  ['texts alone', false],
  ['texts and images', true],
])('%s go through a network that takes them, with an exact resume', async (_, images) => {
  const dataset = withTexts(data.labels, images);
  const settings = { objective: 'ols', epochs: 12, learningRate: 0.3 };
  const folder = `words-${images}`;
  const { epochs } = await train(folder, settings, dataset, { model: words });
  // The grade stands in the text.
  expect(epochs.at(-1)!.val!.top1).toBeGreaterThan(0.9);
  await train(`${folder}-stopped`, settings, dataset, { model: words, stopAt: 9 });
  await train(`${folder}-stopped`, settings, dataset, { model: words });
  expectSameFiles(folder, `${folder}-stopped`);
  if (images) return;
  await expect(train('pictures', settings, dataset)).rejects.toMatchObject({ code: 'training/no-images' });
});

describe('averaged weights', () => {
  test('are those of the recursion, are saved, and are what is evaluated', async () => {
    // A checkpoint after each of the steps shows the weights that went in.
    const settings = { ema: 0.6, epochs: 1, checkpointSteps: 1, objective: 'hard' };
    const dataset = data.labels;
    let average: Map<string, Float64Array> | undefined;
    const steps = Math.ceil(dataset.splits.train!.length / 12);
    for (let step = 1; step <= steps; step++) {
      await train('ema', settings, dataset, step < steps ? { stopAt: step } : {});
      using _scope = new Scope();
      const { tensors } = loadNewestCheckpoint(new RunFolder(at('ema')).checkpoints)!;
      const decay = Math.min(0.6, (1 + step) / (10 + step));
      const model = [...tensors].filter(([name]) => name.startsWith('model.'));
      average ??= initialWeights(dataset);
      for (const [name, tensor] of model) {
        const own = average.get(name.slice(6))!;
        (tensor.toTypedArray() as Float32Array).forEach((w, i) => {
          own[i] = decay * own[i]! + (1 - decay) * w;
        });
      }
    }
    for (const [name, values] of weights('ema'))
      values.forEach((value, i) => {
        expect(value, name).toBeCloseTo(average!.get(name)![i]!, 5);
      });
    using _scope = new Scope();
    const { tensors } = loadNewestCheckpoint(new RunFolder(at('ema')).checkpoints)!;
    const last = tensors.get('model.fc.weight')!.toTypedArray();
    expect(Array.from(weights('ema').get('fc.weight')!)).not.toEqual(Array.from(last as Float32Array));
    const { predictions } = await evaluateRun(at('ema'), dataset, 'val');
    const nll = predictions.labels.reduce(
      (sum, y, i) => sum - Math.log(predictions.probabilities[i * 5 + y]!) / predictions.labels.length,
      0,
    );
    expect(new RunFolder(at('ema')).metrics().at(-1)!.val!.nll).toBeCloseTo(nll, 6);
  });

  test.each(['labels', 'findings'] as const)(
    'of %s go on bit for bit after a stop, with dropout',
    async (kind) => {
      const settings = { ema: 0.9, objective: 'ols' };
      const model = flatWithDropout;
      await train(`ema-${kind}`, settings, data[kind], { model });
      for (const stopAt of [2, 8])
        await train(`ema-${kind}-stopped`, settings, data[kind], { model, stopAt });
      await train(`ema-${kind}-stopped`, settings, data[kind], { model });
      expectSameFiles(`ema-${kind}`, `ema-${kind}-stopped`);
    },
  );

  test('leave the training itself as it was', async () => {
    await train('ema-off', { objective: 'hard', seed: 2 }, data.labels);
    await train('ema-on', { objective: 'hard', seed: 2, ema: 0.9 }, data.labels);
    using _scope = new Scope();
    const { tensors } = loadNewestCheckpoint(new RunFolder(at('ema-on')).checkpoints)!;
    for (const [name, values] of weights('ema-off'))
      expect(tensors.get(`model.${name}`)!.toTypedArray()).toEqual(values);
  });

  function initialWeights(dataset: Dataset): Map<string, Float64Array> {
    const { size, channels } = { size: 32, channels: dataset.channels };
    const model = flat.make({ classes: 5, channels, size, generator: new Generator(0) });
    return new Map(
      Array.from(model.stateDict(), ([name, tensor]) => [
        name,
        Float64Array.from(tensor.toTypedArray() as Float32Array),
      ]),
    );
  }
});

describe('accumulated gradients', () => {
  // 68 images: batches of 24, 24 and 20, or four of 6 each, the last of 2.
  const large = { batchSize: 24, epochs: 2, objective: 'hard' };
  const small = { ...large, batchSize: 6, accumulate: 4 };

  test.each([
    ['labels', {}],
    ['findings', {}],
    ['findings', { classWeights: 'balanced', objective: 'ols' }],
    ['labels', { classWeights: 'balanced', objective: 'ls' }],
    ['labels', { objective: 'focal', optimizer: 'adamw', learningRate: 0.001 }],
  ] as const)('of %s with %j are those of the large batch', async (kind, more) => {
    const dataset = data[kind];
    expect(dataset.splits.train!.length).toBe(68);
    const name = `accumulate-${kind}-${JSON.stringify(more).replace(/\W+/g, '-')}`;
    const one = await train(`${name}-large`, { ...large, ...more }, dataset);
    const four = await train(`${name}-small`, { ...small, ...more }, dataset);
    expect(four.events.filter(({ type }) => type === 'step')).toHaveLength(
      one.events.filter(({ type }) => type === 'step').length,
    );
    expect(largestDifference(weights(`${name}-large`), weights(`${name}-small`))).toBeLessThan(2e-5);
    for (const [i, epoch] of one.epochs.entries()) {
      expect(four.epochs[i]!.trainLoss).toBeCloseTo(epoch.trainLoss, 4);
      expect(four.epochs[i]!.step).toBe(epoch.step);
    }
  });

  test('a group that the epoch cuts short is a step, and a stop is between steps', async () => {
    const settings = { batchSize: 10, accumulate: 3, epochs: 2, objective: 'ols' };
    const { events } = await train('groups', settings, data.findings);
    // 68 images are seven batches: steps of 30, 30 and 8 images.
    const steps = events.filter((event) => event.type === 'step');
    expect(steps.map(({ images }) => images)).toEqual([30, 30, 8, 30, 30, 8]);
    for (const stopAt of [1, 3, 5]) await train('groups-stopped', settings, data.findings, { stopAt });
    await train('groups-stopped', settings, data.findings);
    expectSameFiles('groups', 'groups-stopped');
  });
});

test.each(['labels', 'findings'] as const)(
  'balanced sampling and class weights of %s go on bit for bit',
  async (kind) => {
    const settings: TrainOptions = { objective: 'hard', sampling: 'balanced', classWeights: 'balanced' };
    await train(`balanced-${kind}`, settings, data[kind]);
    await train(`balanced-${kind}-stopped`, settings, data[kind], { stopAt: 7 });
    await train(`balanced-${kind}-stopped`, settings, data[kind]);
    expectSameFiles(`balanced-${kind}`, `balanced-${kind}-stopped`);
    await train(`plain-${kind}`, { objective: 'hard' }, data[kind]);
    expect(largestDifference(weights(`balanced-${kind}`), weights(`plain-${kind}`))).toBeGreaterThan(1e-3);
  },
);

test('class weights name classes that are there', async () => {
  const settings = { objective: 'hard', classWeights: { sevre: 2 } };
  await expect(train('weights', settings, data.findings)).rejects.toMatchObject({
    code: 'tasks/class-weights',
    hint: "did you mean 'severe'?",
  });
});
