import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openDataset } from '../../src/data/index.ts';
import {
  type EpochMetrics,
  type FitEvent,
  fit,
  resolveConfig,
  type TrainOptions,
} from '../../src/training/index.ts';
import { unreleased } from '../unreleased.ts';
import type { ChildRun } from './child.ts';

// 30 steps: 80 training images in 3 epochs of 10 batches.
const phantom = { images: 100, size: 32, seed: 5 };
const STEPS = 30;
const common: TrainOptions = {
  model: 'resnet18',
  stem: 'standard',
  epochs: 3,
  batchSize: 8,
  threads: 1,
  seed: 4,
  keepCheckpoints: true,
};
const root = mkdtempSync(join(tmpdir(), 'penumbra-resume-'));
const child = fileURLToPath(new URL('./child.ts', import.meta.url));

// Seconds on an idle machine.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });
afterAll(() => rmSync(root, { recursive: true }));

async function train(folder: string, settings: TrainOptions, signal?: AbortSignal) {
  const events: FitEvent[] = [];
  const tensors = new Set<number>();
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const result = await fit({
    config: resolveConfig(settings),
    dataset: openDataset('phantom', { phantom, fractions: { val: 0.1, test: 0.1 } }),
    dataPath: 'phantom',
    folder,
    onEvent: (event) => {
      events.push(event);
      if (event.type === 'step') tensors.add(unreleased());
    },
    ...(signal && { signal }),
  });
  return { result, events, tensors };
}

/** Trains in a process that writes a checkpoint every `every` steps and kills itself (-9) one step after `step`. */
function trainAndKill(folder: string, settings: TrainOptions, step: number, every = step): void {
  const run: ChildRun = {
    folder,
    phantom,
    settings: { ...settings, checkpointSteps: every },
    killAfter: step,
  };
  const { signal, stderr } = spawnSync(process.execPath, [child, JSON.stringify(run)], { encoding: 'utf8' });
  expect(signal, stderr).toBe('SIGKILL');
}

/** What must not depend on how often a run was stopped. */
function outcome(folder: string) {
  const metrics = readFileSync(join(folder, 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const { seconds: _, imagesPerSecond: __, ...rest } = JSON.parse(line) as EpochMetrics;
      return rest;
    });
  const last = readdirSync(join(folder, 'checkpoints')).sort().at(-1)!;
  const files = ['model.safetensors', 'objective.safetensors', join('checkpoints', last)];
  return { metrics, last, files: new Map(files.map((name) => [name, readFileSync(join(folder, name))])) };
}

function expectSame(actual: ReturnType<typeof outcome>, expected: ReturnType<typeof outcome>): void {
  expect(actual.metrics).toEqual(expected.metrics);
  expect(actual.last).toBe(expected.last);
  for (const [name, bytes] of expected.files) expect(bytes.equals(actual.files.get(name)!), name).toBe(true);
}

describe('a run killed with -9 and gone on with ends bit for bit like one that never stopped', () => {
  const settings = { ...common, objective: 'ols', precision: 'float32' } as const;
  let straight: ReturnType<typeof outcome>;

  beforeAll(async () => {
    const folder = join(root, 'straight');
    const { result, tensors } = await train(folder, settings);
    expect(result).toMatchObject({ finished: true, broken: [] });
    straight = outcome(folder);
    expect(straight.last).toBe(`step-0000000${STEPS}.safetensors`);
    expect(straight.metrics.map(({ epoch, step }) => [epoch, step])).toEqual([
      [1, 10],
      [2, 20],
      [3, 30],
    ]);
    expect(tensors.size, 'tensors alive after each step').toBe(1);
  });

  test('the method has learnt, so there is something to lose', () => {
    const objective = straight.files.get('objective.safetensors')!;
    expect(objective.byteLength).toBeGreaterThan(5 * 5 * 4);
    expect(straight.metrics[2]!.trainLoss).not.toBe(straight.metrics[0]!.trainLoss);
  });

  // 10 is the end of an epoch; the others are in the middle of one.
  test.each([1, 7, 10, 13, 29])('after step %i of 30', async (step) => {
    const folder = join(root, `killed-${step}`);
    trainAndKill(folder, settings, step);
    expect(readdirSync(folder)).not.toContain('done.json');
    const { result, events } = await train(folder, settings);
    expect(result.finished).toBe(true);
    expect(events).toContainEqual({ type: 'resume', epoch: Math.floor(step / 10), step });
    expect(events.filter(({ type }) => type === 'step')).toHaveLength(STEPS - step);
    expectSame(outcome(folder), straight);
  });

  test('killed five times on the way', async () => {
    const folder = join(root, 'killed-often');
    for (const step of [2, 4, 11, 12, 25]) trainAndKill(folder, settings, step);
    await train(folder, settings);
    expectSame(outcome(folder), straight);
  });

  test('aborted in the middle of an epoch and at its last step', async () => {
    const folder = join(root, 'aborted');
    for (const stop of [3, 20]) {
      const controller = new AbortController();
      const events: FitEvent[] = [];
      // biome-ignore lint/suspicious/noFocusedTests: it trains
      const result = await fit({
        config: resolveConfig(settings),
        dataset: openDataset('phantom', { phantom, fractions: { val: 0.1, test: 0.1 } }),
        dataPath: 'phantom',
        folder,
        signal: controller.signal,
        onEvent: (event) => {
          events.push(event);
          if (event.type === 'step' && event.step === stop) controller.abort();
        },
      });
      expect(result.finished).toBe(false);
      expect(events.filter(({ type }) => type === 'step').at(-1)).toMatchObject({ step: stop });
    }
    await train(folder, settings);
    expectSame(outcome(folder), straight);
  });

  test('a damaged newest checkpoint is passed over, and the result is the same', async () => {
    const folder = join(root, 'damaged');
    trainAndKill(folder, settings, 2, 1);
    const newest = join(folder, 'checkpoints', 'step-000000002.safetensors');
    const bytes = readFileSync(newest);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(newest, bytes);
    const { events } = await train(folder, settings);
    expect(events).toContainEqual({
      type: 'notice',
      message: expect.stringMatching(/^checkpoint passed over: .*step-000000002.*does not match its hash$/),
    });
    expect(events).toContainEqual({ type: 'resume', epoch: 0, step: 1 });
    expectSame(outcome(folder), straight);
  });

  test('a finished run is not run again', async () => {
    const { result, events } = await train(join(root, 'straight'), settings);
    expect(result.finished).toBe(true);
    expect(result.epochs).toHaveLength(3);
    expect(events.filter(({ type }) => type === 'step')).toEqual([]);
  });
});

test.each([
  { objective: 'hard', optimizer: 'adamw', learningRate: 0.001, precision: 'float32' },
  { objective: 'ols:variant=fine-grained', precision: 'bfloat16' },
  { objective: 'tfkd-self', mixup: 0.3, precision: 'float32' },
  { objective: 'css', mixup: 1, precision: 'float32' },
  { objective: 'focal', model: 'mobilenet_v2', precision: 'float32' },
] as const)('the same holds with %j', async (variant) => {
  const settings = { ...common, ...variant, epochs: 2 };
  const name = `variant-${variant.objective.replace(/\W/g, '-')}-${variant.precision}`;
  await train(join(root, name), settings);
  trainAndKill(join(root, `${name}-killed`), settings, 13);
  await train(join(root, `${name}-killed`), settings);
  const [straight, resumed] = [name, `${name}-killed`].map((folder) => join(root, folder)) as [
    string,
    string,
  ];
  const names = ['model.safetensors', join('checkpoints', 'step-000000020.safetensors')];
  for (const file of names)
    expect(readFileSync(join(resumed, file)).equals(readFileSync(join(straight, file))), file).toBe(true);
});
