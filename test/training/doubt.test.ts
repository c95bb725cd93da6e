import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Dataset, type Findings, openImages } from '../../src/data/index.ts';
import { measureFigures } from '../../src/figures/index.ts';
import { collect, Predictor, predictImages } from '../../src/inference/index.ts';
import { writePredictions } from '../../src/judge/index.ts';
import { readSafetensors, Scope, setThreads } from '../../src/torch/index.ts';
import {
  embedRun,
  fit,
  inspectRun,
  RunFolder,
  resolveConfig,
  type TrainOptions,
} from '../../src/training/index.ts';
import { findingsOf, flat, phantoms, words } from './small.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-doubt-'));
const at = (name: string) => join(root, name);
const labels = phantoms(100);
const findings = findingsOf(labels);
const quick: TrainOptions = {
  model: 'lu_vit_ti_16',
  stem: 'standard',
  objective: 'hard',
  epochs: 1,
  batchSize: 20,
  learningRate: 0.01,
  threads: 1,
  workers: 0,
  device: 'cpu',
  precision: 'float32',
  keepCheckpoints: true,
};

vi.setConfig({ testTimeout: 180_000 });
beforeAll(() => setThreads(1));
afterAll(() => rmSync(root, { recursive: true }));

async function train(
  name: string,
  settings: TrainOptions & { flat?: true },
  dataset: Dataset,
  stopAt?: number,
) {
  const controller = new AbortController();
  const { flat: isFlat, ...others } = settings;
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  return await fit({
    config: resolveConfig({ ...quick, ...others }),
    ...(isFlat && { model: flat }),
    dataset,
    dataPath: 'phantom',
    folder: at(name),
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === 'step' && event.step === stopAt) controller.abort();
    },
  });
}

/** Weights by name. */
function weights(name: string): Map<string, ArrayLike<unknown>> {
  using _scope = new Scope();
  const { tensors } = readSafetensors(join(at(name), 'model.safetensors'));
  return new Map(Array.from(tensors, ([key, tensor]) => [key, tensor.toTypedArray() as Float32Array]));
}

/** The findings with other targets. */
function retargeted(change: (targets: Findings, grades: Int32Array) => Findings): Dataset {
  const splits = Object.fromEntries(
    Object.entries(findings.splits).map(([name, subset]) => {
      const grades = labels.splits[name as 'train']!.labels;
      return [name, { ...subset, targets: change(subset.targets as Findings, grades) }];
    }),
  );
  return { ...findings, splits };
}

/** Reports hedge where the grade is 3 or more. */
const hedged = retargeted((targets, grades) => ({
  ...targets,
  rates: targets.values.map((_, at) => (grades[Math.floor(at / 3)]! >= 3 ? 0.8 : 0)),
}));

describe('an LU-ViT', () => {
  test.each([
    ['plainly', {}],
    ['with mixup and averaged weights', { mixup: 0.3, ema: 0.9 }],
    ['in bfloat16 with accumulated gradients', { precision: 'bfloat16', accumulate: 2, objective: 'ols' }],
  ] as const)('trains %s, stops, and ends bit for bit as if it had not', async (what, more) => {
    const name = what.replace(/\W/g, '-');
    await train(name, more, findings);
    expect((await train(`${name}-stopped`, more, findings, 2)).finished).toBe(false);
    await train(`${name}-stopped`, more, findings);
    const last = readdirSync(join(at(name), 'checkpoints'))
      .sort()
      .at(-1)!;
    for (const file of ['model.safetensors', join('checkpoints', last)])
      expect(readFileSync(join(at(name), file)).equals(readFileSync(join(at(`${name}-stopped`), file)))).toBe(
        true,
      );
    const { config } = new RunFolder(at(name)).description();
    expect(config).toMatchObject({ findingTokens: true, doubtWeight: 0.5 });
    expect([...weights(name).keys()]).toEqual(expect.arrayContaining(['finding_tokens', 'doubt.weight']));
  });

  test('with both parts off trains as the plain transformer does, bit for bit', async () => {
    await train('off', { findingTokens: false, doubtWeight: 0 }, findings);
    await train('vit', { model: 'vit_ti_16' }, findings);
    for (const [name, values] of weights('off')) expect(values, name).toEqual(weights('vit').get(name));
    expect(weights('off').size).toBe(weights('vit').size);
    expect(new RunFolder(at('vit')).description().config).toMatchObject({
      findingTokens: null,
      doubtWeight: null,
    });
  });

  test('on data that express no doubt has its tokens alone, and is embedded by the token of a finding', async () => {
    const sure = retargeted(({ rates: _, ...targets }) => ({
      ...targets,
      values: targets.values.map(Math.round),
    }));
    await train('sure', {}, sure);
    expect(new RunFolder(at('sure')).description().config.doubtWeight).toBe(0);
    expect([...weights('sure').keys()]).not.toContain('doubt.weight');
    const val = sure.splits.val!;
    const { output } = await inspectRun(at('sure'), val, { features: true });
    expect(output.features).toHaveLength(val.length * 3 * 192);
    expect(output).not.toHaveProperty('doubt');
    const { features, indices } = await embedRun(at('sure'), sure, 'val', { finding: 'severe' });
    const from = (indices[1]! * 3 + 1) * 192;
    expect(features.subarray(192, 384)).toEqual(output.features!.subarray(from, from + 192));
    await expect(train('none', { doubtWeight: 1 }, sure)).rejects.toMatchObject({
      code: 'training/no-doubt',
    });
  });

  test('is for findings', async () => {
    await expect(train('labels', {}, labels)).rejects.toMatchObject({
      code: 'training/findings-only',
      hint: expect.stringContaining('vit_ti_16'),
    });
    const doubting = train('labels', { model: 'resnet10', doubtWeight: 0.5 }, labels);
    await expect(doubting).rejects.toMatchObject({ code: 'training/findings-only' });
    await expect(train('resnet', { model: 'resnet10', findingTokens: true }, findings)).rejects.toMatchObject(
      {
        code: 'models/finding-tokens',
      },
    );
    expect(readdirSync(root)).not.toContain('labels');
  });
});

describe('a head of doubt', () => {
  test('is there for an objective that trains it itself, of networks of any kind, and then for nothing else', async () => {
    await train('multiclass', { flat: true, objective: 'u-multiclass' }, findings);
    using _scope = new Scope();
    const { tensors } = readSafetensors(new RunFolder(at('multiclass')).file('model.safetensors'));
    const trained = tensors.get('doubt.weight')!.toTypedArray() as Float32Array;
    expect(trained.some((value) => value !== 0)).toBe(true);
    await expect(
      train('both', { flat: true, objective: 'u-multiclass', doubtWeight: 0.5 }, findings),
    ).rejects.toMatchObject({ code: 'training/doubt', hint: 'leave doubtWeight out' });
    // An LU-ViT's own weight gives way.
    await train('multiclass-vit', { objective: 'u-multiclass' }, findings);
    expect(new RunFolder(at('multiclass-vit')).description().config.doubtWeight).toBe(0);
  });

  const steps = {
    flat: true,
    batchSize: 64,
    epochs: 1,
    learningRate: 1e-9,
    flip: false,
    cropPadding: 0,
  } as const;

  test('adds its cross-entropy by its weight to any objective, which begins at ln 2', async () => {
    for (const objective of ['hard', 'gls:rates=data', 'focal']) {
      const name = objective.replace(/\W/g, '-');
      const [plain] = (await train(`${name}-0`, { ...steps, objective }, findings)).epochs;
      const [with2] = (await train(`${name}-2`, { ...steps, objective, doubtWeight: 2 }, findings)).epochs;
      expect(with2!.trainLoss - plain!.trainLoss).toBeCloseTo(2 * Math.LN2, 5);
    }
  });

  test('learns where reports hedge; figures, files and ensembles have what it says', async () => {
    const settings = {
      ...quick,
      flat: true,
      doubtWeight: 1,
      epochs: 60,
      learningRate: 0.05,
      flip: false,
    } as const;
    for (const seed of [0, 1]) await train(`doubt-${seed}`, { ...settings, seed }, hedged);
    const test = hedged.splits.test!;
    const { output } = await inspectRun(at('doubt-0'), test);
    expect(output.doubt).toHaveLength(test.length * 3);
    const figures = measureFigures(output, { replicates: 1000 });
    expect(figures['doubt.rank']!.value).toBeGreaterThan(0.4);
    expect(figures['doubt.rank']!.low).toBeGreaterThan(0);
    expect(figures['doubt.ece']!.value).toBeLessThan(0.3);
    const { rates: _, ...bare } = output.targets as Findings;
    expect(
      measureFigures({ ...output, targets: { ...bare, values: bare.values.map(Math.round) } }, {}),
    ).not.toHaveProperty('doubt.rank');

    await using both = Predictor.open([at('doubt-0'), at('doubt-1')]);
    const { outputs } = await collect(both, test);
    const second = (await inspectRun(at('doubt-1'), test)).output.doubt!;
    outputs.doubt!.forEach((doubt, i) => {
      expect(doubt).toBeCloseTo((output.doubt![i]! + second[i]!) / 2, 6);
    });
    const file = at('predictions.csv');
    await writePredictions(file, output, { nameOf: (i) => `image ${i}` });
    const [head, row] = readFileSync(file, 'utf8').split('\n');
    const column = head!.split(',').indexOf('doubt_severe');
    expect(Number(row!.split(',')[column])).toBeCloseTo(output.doubt![1]!, 6);

    const raw = { width: 32, height: 32, channels: 1 } as const;
    await sharp(new Uint8Array(32 * 32).fill(90), { raw })
      .png()
      .toFile(at('new.png'));
    const out = at('new.jsonl');
    await predictImages(both, openImages([at('new.png')]), { out, inputs: [] });
    const said = JSON.parse(readFileSync(out, 'utf8'));
    for (const name of ['mild', 'severe', 'rare']) {
      expect(said[`doubt_${name}`]).toBeGreaterThan(0);
      expect(said[`doubt_${name}`]).toBeLessThan(1);
    }
  });

  test('needs a network that gives the input of its last layer', async () => {
    const config = resolveConfig({ ...quick, doubtWeight: 1 });
    // biome-ignore lint/suspicious/noFocusedTests: it trains
    const trained = fit({ config, model: words, dataset: findings, dataPath: 'x', folder: at('words') });
    await expect(trained).rejects.toMatchObject({ code: 'models/doubt' });
  });
});
