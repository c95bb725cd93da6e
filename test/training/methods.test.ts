import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { makeBatch, openDataset } from '../../src/data/index.ts';
import { SampleReader } from '../../src/data/sample-reader.ts';
import {
  createObjective,
  type Objective,
  ObjectiveRun,
  parseObjective,
  type Seen,
} from '../../src/objectives/index.ts';
import { needLabels, oneOfK } from '../../src/tasks/index.ts';
import { Generator, keep, Scope, type Tensor, tensor, tidy } from '../../src/torch/index.ts';
import { Linear, Module } from '../../src/torch/nn/index.ts';
import { SGD } from '../../src/torch/optim/index.ts';
import { loadNewestCheckpoint } from '../../src/training/checkpoint.ts';
import {
  type FitEvent,
  fit,
  inspectRun,
  noisyConfidences,
  openRun,
  RunFolder,
  resolveConfig,
  type TrainOptions,
} from '../../src/training/index.ts';
import { trainStep } from '../../src/training/train-step.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-methods-'));
const tiny: TrainOptions = { model: 'resnet10', epochs: 1, batchSize: 16, threads: 1, precision: 'float32' };
const phantoms = (size = 32) => openDataset('phantom', { phantom: { images: 64, size } });

vi.setConfig({ testTimeout: 120_000 });
afterAll(() => rmSync(root, { recursive: true }));

async function train(name: string, settings: TrainOptions, dataset = phantoms()) {
  const events: FitEvent[] = [];
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const result = await fit({
    config: resolveConfig({ ...tiny, ...settings }),
    dataset,
    dataPath: 'phantom',
    folder: join(root, name),
    onEvent: (event) => events.push(event),
  });
  return { result, events };
}

const weights = (name: string) => readFileSync(join(root, name, 'model.safetensors'));

describe('a teacher', () => {
  test('is trained first where none is named, with hard labels, and is the hard run of the same settings', async () => {
    const { result, events } = await train('self', { objective: 'tfkd-self' });
    expect(result.finished).toBe(true);
    expect(events).toContainEqual({ type: 'notice', message: expect.stringContaining('trained first') });
    await train('hard', { objective: 'hard' });
    expect(weights('self/teacher').equals(weights('hard'))).toBe(true);
    expect(weights('self').equals(weights('hard'))).toBe(false);

    await train('self-of-hard', { objective: 'tfkd-self', teacher: join(root, 'hard') });
    await train('self-of-file', { objective: 'tfkd-self', teacher: join(root, 'hard', 'model.safetensors') });
    for (const name of ['self-of-hard', 'self-of-file']) {
      expect(weights(name).equals(weights('self')), name).toBe(true);
      expect(existsSync(join(root, name, 'teacher')), name).toBe(false);
    }
  });

  test('of the same weights elsewhere is the same teacher; one of other weights is not', async () => {
    await train('hard-1', { objective: 'hard', seed: 1 });
    const again = { objective: 'tfkd-self', teacher: join(root, 'hard', 'model.safetensors') };
    expect((await train('self-of-hard', again)).events).toEqual([]);
    await expect(
      train('self-of-hard', { objective: 'tfkd-self', teacher: join(root, 'hard-1') }),
    ).rejects.toMatchObject({ code: 'training/other-run', message: expect.stringContaining('teacher') });
  });

  test.each([
    ['missing', 'there is no teacher at'],
    ['unfinished', 'is not a finished run'],
    ['resnet18/model.safetensors', 'is no copy of this resnet10'],
  ])('%s: a clear error before training', async (name, message) => {
    if (name === 'unfinished') await expect(stopped('unfinished')).resolves.toBe(false);
    if (name.startsWith('resnet18')) await train('resnet18', { objective: 'hard', model: 'resnet18' });
    const failing = train('failing', { objective: 'tfkd-self', teacher: join(root, name) });
    await expect(failing).rejects.toMatchObject({
      code: 'training/teacher',
      message: expect.stringContaining(message),
    });
    expect(existsSync(join(root, 'failing', 'metrics.jsonl'))).toBe(false);
  });

  test('that is stopped stops the run, which goes on later', async () => {
    expect(await stopped('self-stopped', { objective: 'tfkd-self' })).toBe(false);
    const { result } = await train('self-stopped', { objective: 'tfkd-self' });
    expect(result.finished).toBe(true);
    expect(weights('self-stopped').equals(weights('self'))).toBe(true);
  });
});

async function stopped(name: string, settings: TrainOptions = {}): Promise<boolean> {
  const controller = new AbortController();
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const result = await fit({
    config: resolveConfig({ ...tiny, ...settings }),
    dataset: phantoms(),
    dataPath: 'phantom',
    folder: join(root, name),
    signal: controller.signal,
    onEvent: (event) => event.type === 'step' && controller.abort(),
  });
  return result.finished;
}

test('negative rates are trained at the learning rate of their method after the warm-up', async () => {
  const settings = {
    objective: 'gls:rate=-0.4,warmup=0.5,scale=0.25',
    epochs: 2,
    schedule: 'constant',
  } as const;
  const { result } = await train('negative', { ...settings, warmUp: 0, learningRate: 0.01 });
  expect(result.epochs.map(({ learningRate }) => learningRate)).toEqual([0.01, 0.0025]);
});

describe('mixup', () => {
  class Flat extends Module {
    readonly fc: Linear;
    readonly seen: Tensor[] = [];
    constructor() {
      super();
      this.fc = this.child('fc', new Linear(4, 3, { generator: new Generator(1) }));
    }
    override forward(images: Tensor): Tensor {
      this.seen.push(keep(images.clone()));
      return this.fc.forward(images.flatten(1));
    }
  }

  const values = Float32Array.from({ length: 20 }, (_, i) => Math.sin(i * i));
  const shared = (pixels: Float32Array) => {
    const copy = new Float32Array(new SharedArrayBuffer(4 * pixels.length));
    copy.set(pixels);
    return copy;
  };
  /** Five images of 2×2. */
  const batchOf = (pixels: Float32Array) =>
    makeBatch({
      number: 0,
      inputs: {
        images: { values: shared(pixels), shape: [5, 1, 2, 2], layout: 'NCHW' },
      },
      targets: { kind: 'one-of-k', names: ['a', 'b', 'c'], values: Int32Array.of(0, 1, 2, 1, 0) },
      indices: Int32Array.of(10, 11, 12, 13, 14),
      release() {},
    });

  const spy = (objective: Objective) => new ObjectiveRun({ name: 'spy' }, objective, oneOfK);

  /** One step, and everything that the objective was shown. */
  function step(alpha: number, seed: number) {
    const shown: { labels: number[]; indices: number[]; loss: number }[] = [];
    let observed: number[] = [];
    const inner = createObjective(parseObjective('ls'), {
      task: oneOfK,
      classes: 3,
      epochs: 1,
      samples: 20,
      targets: { kind: 'one-of-k', names: ['a', 'b', 'c'], values: new Int32Array(20) },
      device: 'cpu',
      generator: new Generator(0),
    });
    const ints = (labels: Tensor) => Array.from(labels.toTypedArray() as BigInt64Array, Number);
    const objective = spy({
      loss(b) {
        const loss = inner.loss(b);
        shown.push({
          labels: ints(needLabels(b.targets).labels),
          indices: Array.from(b.indices),
          loss: loss.item(),
        });
        return loss;
      },
      observe: ({ targets }) => {
        observed = ints(needLabels(targets).labels);
      },
    });
    const model = tidy(() => new Flat());
    const optimizer = new SGD(model.namedParameters(), { learningRate: 0 });
    const mode = { device: 'cpu', precision: 'float32', threads: 1, fused: true, reason: '' } as const;
    const mixup = alpha > 0 ? { alpha, generator: new Generator(seed) } : undefined;
    const { loss } = trainStep({ model, optimizer, objective, mode, mixup }, batchOf(values), 0);
    const images = Array.from(model.seen[0]!.toTypedArray() as Float32Array);
    return { shown, observed, loss, images };
  }

  test('off is the plain step', () => {
    const { shown, images, loss } = step(0, 0);
    expect(shown).toHaveLength(1);
    expect(images).toEqual(Array.from(values));
    expect(loss).toBe(shown[0]!.loss);
  });

  test.each([0, 1, 2, 3])('mixes images and losses by one share and one order (draw %i)', (seed) => {
    const { shown, observed, loss, images } = step(0.8, seed);
    const [own, other] = shown as [(typeof shown)[0], (typeof shown)[0]];
    expect(own.labels).toEqual([0, 1, 2, 1, 0]);
    expect([...other.indices].sort()).toEqual([10, 11, 12, 13, 14]);
    const partners = other.indices.map((index) => index - 10);
    expect(other.labels).toEqual(partners.map((i) => own.labels[i]));
    // The share from the first pixel of an image that has another partner; it must explain every pixel and the loss.
    const i = partners.findIndex((partner, at) => partner !== at);
    const pixel = (at: number, k: number) => values[at * 4 + k]!;
    const share = (images[i * 4]! - pixel(partners[i]!, 0)) / (pixel(i, 0) - pixel(partners[i]!, 0));
    expect(share).toBeGreaterThanOrEqual(0.5);
    expect(share).toBeLessThanOrEqual(1);
    for (const [at, partner] of partners.entries())
      for (let k = 0; k < 4; k++)
        expect(images[at * 4 + k]).toBeCloseTo(share * pixel(at, k) + (1 - share) * pixel(partner, k), 5);
    expect(loss).toBeCloseTo(share * own.loss + (1 - share) * other.loss, 5);
    expect(observed).toEqual(own.labels);
  });

  test.each([
    // Beta(1, 1) is uniform: the larger half has the mean 3/4. Beta(0.2, 0.2) lies near its ends: the mean is 0.899.
    [1, 0.75],
    [0.2, 0.8988],
  ])('the share of a step follows Beta(%f, the same), folded to its larger half', (alpha, mean) => {
    // Image i is the number i throughout, so that the share follows from what the objective is shown.
    const numbered = batchOf(Float32Array.from({ length: 20 }, (_, at) => Math.floor(at / 4)));
    const seen: Seen[] = [];
    const shown: number[][] = [];
    const objective = spy({
      loss(b) {
        seen.push(b);
        const { images } = b.inputs;
        shown.push(Array.from(images!.select(1, 0).select(1, 0).select(1, 0).toTypedArray(), Number));
        return b.logits.cross_entropy_loss(needLabels(b.targets).labels);
      },
    });
    const fc = tidy(() => new Linear(4, 3, { generator: new Generator(1) }));
    const model = { forward: (images: Tensor) => fc.forward(images.flatten(1)) };
    const optimizer = new SGD(fc.namedParameters(), { learningRate: 0 });
    const mode = { device: 'cpu', precision: 'float32', threads: 1, fused: true, reason: '' } as const;
    const mixup = { alpha, generator: new Generator(3) };
    const shares: number[] = [];
    for (let step = 0; step < 4000; step++) {
      seen.length = shown.length = 0;
      trainStep({ model, optimizer, objective, mode, mixup }, numbered, 0);
      const partners = Array.from(seen[1]!.indices, (index) => index - 10);
      const i = partners.findIndex((partner, at) => partner !== at);
      if (i >= 0) shares.push((shown[0]![i]! - partners[i]!) / (i - partners[i]!));
    }
    expect(shares.length).toBeGreaterThan(3900);
    // Four standard errors of the mean of the uniform's half, whose deviation is the larger of the two.
    const error = (4 * 0.1443) / Math.sqrt(shares.length);
    expect(Math.abs(shares.reduce((sum, share) => sum + share, 0) / shares.length - mean)).toBeLessThan(
      error,
    );
    expect(Math.min(...shares)).toBeGreaterThanOrEqual(0.5 - 1e-6);
    expect(Math.max(...shares)).toBeLessThanOrEqual(1 + 1e-6);
  });
});

test('features of a run are the input of its head, and logits what probabilities come from', async () => {
  const dataset = phantoms();
  const subset = dataset.splits.test!;
  await train('hard', { objective: 'hard' });
  const plain = await inspectRun(join(root, 'hard'), subset);
  const { output } = await inspectRun(join(root, 'hard'), subset, { features: true });
  expect(plain.output.features).toBeUndefined();
  const n = output.labels.length;
  const width = output.features!.length / n;
  expect(width).toBe(512);
  await using run = openRun(join(root, 'hard'), subset);
  tidy(() => {
    const head = run.model.stateDict();
    const logits = tensor(output.features!)
      .view([n, width])
      .matmul(head.get('fc.weight')!.t())
      .add(head.get('fc.bias')!);
    const expected = logits.toTypedArray() as Float32Array;
    const p = logits.softmax(1).toTypedArray() as Float32Array;
    for (let i = 0; i < expected.length; i++) {
      expect(output.logits[i]).toBeCloseTo(expected[i]!, 4);
      expect(plain.output.logits[i]).toBeCloseTo(expected[i]!, 4);
      expect(output.probabilities[i]).toBeCloseTo(p[i]!, 5);
    }
  });
});

test('noisy confidences decode the images that they look at, and no others', async () => {
  const subset = phantoms().splits.train!;
  await train('hard', { objective: 'hard' });
  const read = vi.spyOn(SampleReader.prototype, 'read');
  try {
    const { indices } = await noisyConfidences(join(root, 'hard'), subset, {
      images: 5,
      samples: 10,
      sigma: 0.1,
    });
    expect(indices).toEqual(Int32Array.from([0, 1, 2, 3, 4], (i) => Math.floor((i * subset.length) / 5)));
    expect(read.mock.calls.reduce((sum, [request]) => sum + request.indices.length, 0)).toBe(5);
  } finally {
    read.mockRestore();
  }
});

test("what is drawn while training is no neighbouring seed's initialisation", async () => {
  await train('drawn', { objective: 'hard', seed: 4, keepCheckpoints: true });
  using _scope = new Scope();
  const { tensors } = loadNewestCheckpoint(new RunFolder(join(root, 'drawn')).checkpoints)!;
  // Neither the network nor the objective draws, so the stream stands where it began.
  const begun = tensors.get('generator.state')!;
  for (let seed = 0; seed < 20; seed++)
    expect(new Generator(seed).state.equal(begun), `the stream that initialises seed ${seed}`).toBe(false);
});

test('noisy confidences: of classes chosen beforehand, the same for the same seed, and the plain ones without noise', async () => {
  const subset = phantoms().splits.test!;
  await train('hard', { objective: 'hard' });
  const sample = (sigma: number, seed: number) =>
    noisyConfidences(join(root, 'hard'), subset, { images: 4, samples: 150, selection: 20, sigma, seed });
  const still = await sample(1e-6, 0);
  expect(still.confidences).toHaveLength(4 * 150);
  expect(still.indices).toEqual(Int32Array.from([0, 1, 2, 3], (i) => Math.floor((i * subset.length) / 4)));
  const { output } = await inspectRun(join(root, 'hard'), subset);
  for (const [row, index] of still.indices.entries()) {
    const p = output.probabilities.subarray(index * 5, index * 5 + 5);
    expect(still.chosen[row]).toBe(p.indexOf(Math.max(...p)));
    expect(still.labels[row]).toBe(subset.labels[index]);
    for (let j = 0; j < 150; j++)
      expect(still.confidences[row * 150 + j]).toBeCloseTo(p[still.chosen[row]!]!, 3);
  }
  const noisy = await sample(0.5, 1);
  expect(new Set(noisy.confidences).size).toBeGreaterThan(500);
  expect((await sample(0.5, 1)).confidences).toEqual(noisy.confidences);
  expect((await sample(0.5, 2)).confidences).not.toEqual(noisy.confidences);
  await expect(sample(0, 0)).rejects.toMatchObject({ code: 'training/noise' });
});

test('a finished run keeps no checkpoints, unless it is told to', async () => {
  await train('hard', { objective: 'hard' });
  const run = new RunFolder(join(root, 'hard'));
  expect([run.finished, existsSync(run.checkpoints)]).toEqual([true, false]);
  await train('kept', { objective: 'hard', keepCheckpoints: true });
  expect(existsSync(new RunFolder(join(root, 'kept')).checkpoints)).toBe(true);
});
