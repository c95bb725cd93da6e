import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Masks, openImages } from '../../src/data/index.ts';
import { type ExplainOptions, explainRuns, writeExplained } from '../../src/inference/index.ts';
import { readSafetensors, Scope, setThreads } from '../../src/torch/index.ts';
import { fit, resolveConfig, type TrainOptions } from '../../src/training/index.ts';
import { findingsOf, phantoms } from '../training/small.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-explain-'));
const at = (name: string) => join(root, name);
const labels = phantoms(60);
const findings = findingsOf(labels);
const val = findings.splits.val!;
const part = { subset: val, known: true, groupOf: (i: number) => i % 5 };
const quiet: Omit<ExplainOptions, 'runs'> = { methods: ['grad-cam'], limit: 100 };
const both = [
  { name: 'cnn', folder: at('cnn') },
  { name: 'lu', folder: at('lu') },
];

vi.setConfig({ testTimeout: 120_000, hookTimeout: 240_000 });
afterAll(() => rmSync(root, { recursive: true }));
beforeAll(async () => {
  setThreads(1);
  for (const [name, more, dataset] of [
    ['cnn', { model: 'resnet10', stem: 'small' }, findings],
    ['lu', { model: 'lu_vit_ti_16', stem: 'small' }, findings],
    ['labels', { model: 'resnet10', stem: 'standard' }, labels],
  ] as const) {
    const settings: TrainOptions = {
      ...more,
      objective: 'hard',
      epochs: 1,
      batchSize: 32,
      threads: 1,
      workers: 0,
    };
    // biome-ignore lint/suspicious/noFocusedTests: it trains
    await fit({
      config: resolveConfig({ ...settings, precision: 'float32' }),
      dataset,
      dataPath: 'phantom',
      folder: at(name),
    });
  }
});

/** The upper left quarter of every image is `mild`, and all of every second one is `rare`. */
const masks = new Masks(
  Array.from({ length: val.length }, (_, i) => val.nameOf(i)).flatMap((image, i) => [
    { image, finding: 'mild', size: [2, 2] as const, counts: [0, 1, 3] },
    ...(i % 2 === 0 ? [{ image, finding: 'rare', size: [2, 2] as const, counts: [0, 4] }] : []),
    { image, finding: 'of no run', size: [2, 2] as const, counts: [0, 4] },
  ]),
);

describe('explained by two networks and two methods', () => {
  test('every case has a map of each column that can be, and says what is true', async () => {
    const notices: string[] = [];
    const said = await explainRuns('phantom', [part], {
      ...quiet,
      runs: both,
      methods: ['grad-cam', 'rollout'],
      finding: 'all',
      onNotice: (text) => notices.push(text),
    });
    expect(said.columns.map(({ name }) => name)).toEqual([
      'cnn, Grad-CAM',
      'lu, Grad-CAM',
      'lu, attention rollout',
    ]);
    expect(notices[0]).toBe('attention rollout cannot explain cnn: left out.');
    expect(said.cases).toHaveLength(val.length * 3);
    const { values, mask } = val.targets as { values: Float32Array; mask: Uint8Array };
    said.cases.forEach(({ truth, maps, output, image }, i) => {
      expect([output, image]).toEqual([val.classes[i % 3], val.nameOf(Math.floor(i / 3))]);
      expect(truth).toBe(
        `truth: ${mask[i] === 0 ? 'unknown' : values[i] === 1 ? 'present' : values[i] === 0 ? 'absent' : `p ${values[i]!.toFixed(2)}`}`,
      );
      expect(maps.map(({ height, width, values: map }) => [height, width, map.length])).toEqual([
        [4, 4, 16],
        [8, 8, 64],
        [8, 8, 64],
      ]);
      for (const { values: map } of maps) for (const value of map) expect(value).toBeGreaterThanOrEqual(0);
    });
    expect(said.scores).toBeUndefined();
    // A token of its own gives every finding a map of its own.
    expect(said.cases[0]!.maps[2]!.values).not.toEqual(said.cases[1]!.maps[2]!.values);
  });

  test('masks say what is asked, and score it', async () => {
    const said = await explainRuns('phantom', [part], { ...quiet, runs: both, masks });
    const half = Math.ceil(val.length / 2);
    expect(said.cases).toHaveLength(val.length + half);
    const { all, byOutput } = said.scores!;
    expect([all.maps, all.units]).toEqual([val.length + half, 5]);
    expect([...byOutput.keys()].sort()).toEqual(['mild', 'rare']);
    // A mask of the whole image holds every map that is not empty.
    const full = said.cases.filter(({ output }) => output === 'rare');
    for (const { agreements, maps } of full)
      agreements!.forEach(({ hit, energy, area }, c) => {
        const some = maps[c]!.values.some((value) => value > 0);
        expect([hit, area]).toEqual([Number(some), 1]);
        expect(energy).toBeCloseTo(Number(some), 5);
      });
    expect(byOutput.get('mild')!.area).toBe(0.25);
    const one = await explainRuns('phantom', [part], {
      ...quiet,
      runs: both,
      masks,
      finding: 'rare',
      limit: 3,
    });
    expect(one.cases.map(({ output }) => output)).toEqual(['rare', 'rare', 'rare']);
    await expect(
      explainRuns('phantom', [part], { ...quiet, runs: both, masks, finding: 'severe' }),
    ).rejects.toMatchObject({
      code: 'explain/nothing',
      message: expect.stringContaining('severe'),
    });
  });

  test('the folder has the page, the pictures, the figures and the maps, and is replaced only when asked', async () => {
    const said = await explainRuns('phantom', [part], { ...quiet, runs: both, masks });
    const options = { pictures: 4, maps: true, overwrite: false, inputs: [at('cnn'), at('lu')] };
    await writeExplained(at('why'), said, options);
    const pictures = readdirSync(at('why/pictures'));
    expect(pictures).toHaveLength(4);
    const { width, height } = await sharp(join(at('why/pictures'), pictures[0]!)).metadata();
    expect([width! > 3 * 224, height! > 224]).toEqual([true, true]);
    const json = JSON.parse(readFileSync(at('why/explain.json'), 'utf8'));
    expect(json.columns.map(({ name, layer }: Record<string, string>) => [name, layer])).toEqual([
      ['cnn', 'layer4'],
      ['lu', 'encoder.layers.encoder_layer_11.ln_1'],
    ]);
    expect(json.cases).toHaveLength(said.cases.length);
    expect(
      json.cases.filter(
        ({ picture }: { picture?: string }) => picture && existsSync(join(at('why'), picture)),
      ),
    ).toHaveLength(4);
    expect(json.scores.all.columns[0].hits.low).toBeLessThanOrEqual(json.scores.all.columns[0].hits.value);
    using _scope = new Scope();
    const { tensors } = readSafetensors(at('why/maps.safetensors'));
    expect(tensors.get('lu')!.shape).toEqual([said.cases.length, 8, 8]);
    const html = readFileSync(at('why/index.html'), 'utf8');
    expect(html.match(/<img /g)).toHaveLength(4 * 3);
    expect(html).not.toMatch(/\ssrc="(?!data:image\/)/);
    expect(html).toContain('Holm');
    await expect(writeExplained(at('why'), said, options)).rejects.toMatchObject({ code: 'files/exists' });
    await writeExplained(at('why'), said, { ...options, overwrite: true, pictures: 1 });
    expect(readdirSync(at('why/pictures'))).toHaveLength(1);
  });
});

describe('one label of K', () => {
  test('is explained by the likeliest class of the first run, from files that nobody labelled', async () => {
    const pixels = (seed: number) => Uint8Array.from({ length: 32 * 32 }, (_, i) => (i * seed) % 251);
    const raw = { width: 32, height: 32, channels: 1 } as const;
    for (const name of ['a', 'b'])
      await sharp(pixels(name.charCodeAt(0)), { raw })
        .png()
        .toFile(at(`${name}.png`));
    writeFileSync(at('c.png'), 'no picture');
    const images = openImages(['a', 'b', 'c'].map((name) => at(`${name}.png`)));
    const notices: string[] = [];
    const said = await explainRuns(
      'files',
      images.parts.map((one) => ({ ...one, known: false })),
      {
        ...quiet,
        runs: [{ name: 'labels', folder: at('labels') }],
        onNotice: (text) => notices.push(text),
      },
    );
    expect(said.cases).toHaveLength(2);
    expect(said.broken).toHaveLength(1);
    for (const { probabilities, truth } of said.cases) {
      expect(probabilities[0]).toBeGreaterThanOrEqual(1 / 5);
      expect(truth).toBeUndefined();
    }
    expect(notices).toEqual([expect.stringMatching(/1×1: too coarse.*--layer/)]);
    const finer = await explainRuns(
      'files',
      images.parts.map((one) => ({ ...one, known: false })),
      {
        ...quiet,
        runs: [{ name: 'labels', folder: at('labels') }],
        layer: 'layer1',
        finding: labels.classes[2],
      },
    );
    expect(finer.cases[0]).toMatchObject({ output: labels.classes[2], maps: [{ height: 8, width: 8 }] });
  });

  test('what does not fit is an error', async () => {
    const runs = [{ name: 'labels', folder: at('labels') }];
    const explain = (more: Partial<ExplainOptions>) => explainRuns('x', [part], { ...quiet, runs, ...more });
    await expect(explain({ methods: ['rollout'] })).rejects.toMatchObject({ code: 'explain/method' });
    await expect(explain({ methods: ['saliency'] })).rejects.toMatchObject({ code: 'explain/unknown' });
    await expect(explain({ finding: 'mild' })).rejects.toMatchObject({ code: 'explain/finding' });
    await expect(explain({ layer: 'layer7' })).rejects.toMatchObject({ code: 'torch/module' });
    await expect(explain({ runs: [...runs, both[0]!] })).rejects.toMatchObject({ code: 'explain/members' });
  });
});
