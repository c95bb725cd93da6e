import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadCalibrator } from '../../src/calibration/index.ts';
import { type Dataset, openDataset, openImages, parseCsv, writePhantom } from '../../src/data/index.ts';
import {
  brokenPathOf,
  calibrateRun,
  chooseRuns,
  chooseThreshold,
  collect,
  fitAbstention,
  fitSets,
  Predictor,
  predictImages,
  readCalibration,
  UNKNOWN,
  validationOf,
} from '../../src/inference/index.ts';
import { readPredictions } from '../../src/judge/index.ts';
import { setThreads } from '../../src/torch/index.ts';
import { fit, inspectRun, resolveConfig, type TrainOptions } from '../../src/training/index.ts';
import { parquetRows } from '../parquet.ts';
import { findingsOf, flat, phantoms } from '../training/small.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-inference-'));
const at = (...names: string[]) => join(root, ...names);
let images: Dataset;
const findings = findingsOf(phantoms(150));

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });
afterAll(() => rmSync(root, { recursive: true }));

async function train(
  folder: string,
  dataset: Dataset,
  seed: number,
  settings: TrainOptions = {},
): Promise<void> {
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const { finished } = await fit({
    config: resolveConfig({
      epochs: 2,
      batchSize: 12,
      learningRate: 0.05,
      threads: 1,
      workers: 0,
      size: 32,
      device: 'cpu',
      precision: 'float32',
      objective: 'hard',
      seed,
      ...settings,
    }),
    model: flat,
    dataset,
    dataPath: 'somewhere',
    folder,
  });
  expect(finished).toBe(true);
}

beforeAll(async () => {
  setThreads(1);
  // Class folders of PNG, so that the same files can be evaluated and asked about.
  const drawn = phantoms(300);
  for (const [split, subset] of Object.entries(drawn.splits)) {
    const { source, rows, labels, classes } = subset;
    if (source?.kind !== 'memory') throw new Error('phantoms are in memory');
    const length = source.height * source.width;
    for (let i = 0; i < subset.length; i++) {
      const path = at('images', split, classes[labels[i]!]!, `${String(i).padStart(3, '0')}.png`);
      mkdirSync(dirname(path), { recursive: true });
      const data = Uint8Array.from(source.pixels.subarray(rows[i]! * length, (rows[i]! + 1) * length));
      await sharp(data, { raw: { width: source.width, height: source.height, channels: 1 } })
        .toColourspace('b-w')
        .png()
        .toFile(path);
    }
  }
  images = openDataset(at('images'));
  await train(at('study', 'runs', 'hard-seed0'), images, 0);
  await train(at('study', 'runs', 'hard-seed1'), images, 1);
  await train(at('findings'), findings, 0);
  for (const run of ['hard-seed0', 'hard-seed1'])
    cpSync(at('study', 'runs', run), at('plain', run), { recursive: true });
});

const one = () => at('plain', 'hard-seed0');
const two = () => ['hard-seed0', 'hard-seed1'].map((run) => at('plain', run));

async function rowsOf(path: string): Promise<Record<string, string>[]> {
  const lines: string[][] = [];
  parseCsv(readFileSync(path, 'utf8'), path, (fields) => lines.push([...fields]));
  const [header, ...rows] = lines;
  return rows.map((row) => Object.fromEntries(header!.map((name, c) => [name, row[c]!])));
}

describe('calibrate', () => {
  test('keeps the calibrator with the run, and it is used to the last bit', async () => {
    const folder = at('calibrated');
    cpSync(one(), folder, { recursive: true });
    const fitted = await calibrateRun(folder, images);
    expect(fitted.samples).toBe(images.splits.val!.length);
    expect(fitted.temperature).toBeGreaterThan(0);
    expect(fitted.nllAfter!).toBeLessThanOrEqual(fitted.nllBefore!);
    const saved = JSON.parse(readFileSync(join(folder, 'calibration.json'), 'utf8'));
    expect(saved).toMatchObject({ kind: 'one-of-k', data: { split: 'val', name: 'images' } });

    const { output } = await inspectRun(folder, images.splits.test!);
    await using predictor = Predictor.open([folder]);
    const { outputs, own } = await collect(predictor, images.splits.test!);
    expect(own).toEqual(output.probabilities);
    expect(outputs.probabilities).toEqual(loadCalibrator(saved.calibrator).apply(output.logits));
    expect(outputs.logits).toBeUndefined();

    await using bare = Predictor.open([folder], { calibrated: false });
    expect((await collect(bare, images.splits.test!)).outputs.probabilities).toEqual(output.probabilities);
  });

  test('refuses a calibrator of other weights, and one that was changed', async () => {
    const folder = at('changed');
    cpSync(at('calibrated'), folder, { recursive: true });
    cpSync(join(two()[1]!, 'model.safetensors'), join(folder, 'model.safetensors'));
    expect(() => Predictor.open([folder])).toThrow(/was fitted for other weights/);
    await using bare = Predictor.open([folder], { calibrated: false });
    expect(bare.calibrated).toBe(false);

    const lost = at('lost');
    cpSync(at('calibrated'), lost, { recursive: true });
    writeFileSync(join(lost, 'calibration.safetensors'), 'other');
    expect(() => readCalibration(lost)!.validation()).toThrow(/lost the validation outputs/);
    const path = join(lost, 'calibration.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"temperature": [\d.]+/, '"temperature": -1'));
    expect(() => readCalibration(lost)).toThrow(/is damaged: .*wrong parameters/);
  });

  test('serves findings, each by itself, and names what there is', async () => {
    await calibrateRun(at('findings'), findings, { method: 'platt' });
    await using predictor = Predictor.open([at('findings')]);
    const { outputs, own } = await collect(predictor, findings.splits.test!);
    expect(own).not.toEqual(outputs.probabilities);
    await expect(calibrateRun(at('findings'), findings, { method: 'vector' })).rejects.toThrow(
      /no calibrator 'vector' for findings/,
    );
    await expect(calibrateRun(one(), images, { method: 'temprature' })).rejects.toMatchObject({
      hint: expect.stringContaining('did you mean temperature?'),
    });
  });
});

describe('predict', () => {
  test.each(['csv', 'jsonl', 'parquet'])(
    'says of files what evaluate says of them, bit for bit: %s',
    async (ending) => {
      await using predictor = Predictor.open([at('calibrated')]);
      const { outputs, own } = await collect(predictor, images.splits.test!);
      const out = at(`same.${ending}`);
      const result = await predictImages(predictor, openImages([at('images', 'test')]), { out, inputs: [] });
      expect(result).toMatchObject({ images: images.splits.test!.length, broken: [], brokenFile: undefined });
      const rows: Record<string, unknown>[] =
        ending === 'csv'
          ? await rowsOf(out)
          : ending === 'jsonl'
            ? readFileSync(out, 'utf8')
                .trim()
                .split('\n')
                .map((line) => JSON.parse(line))
            : await parquetRows(out);
      const k = images.classes.length;
      const read = Float32Array.from(
        rows.flatMap((row) => images.classes.map((name) => Number(row[`p_${name}`]))),
      );
      expect(read).toEqual(outputs.probabilities);
      rows.forEach((row, i) => {
        expect(`test/${row.name}`).toBe(images.splits.test!.nameOf(outputs.indices[i]!));
        expect(Math.fround(Number(row.confidence))).toBe(Math.max(...own!.subarray(i * k, (i + 1) * k)));
        expect(Math.fround(Number(row.calibrated_confidence))).toBe(
          Math.max(...read.subarray(i * k, (i + 1) * k)),
        );
      });
    },
  );

  test('several runs are an ensemble, each calibrated by its own, as in evaluate', async () => {
    const members = two().map((folder, m) => {
      cpSync(folder, at('members', String(m)), { recursive: true });
      return at('members', String(m));
    });
    await calibrateRun(members[0]!, images);
    expect(() => Predictor.open(members)).toThrow(/1 of 2 members have a calibrator/);
    await calibrateRun(members[1]!, images);
    expect(() => Predictor.open([members[0]!, members[0]!])).toThrow(/is named twice/);
    expect(() => Predictor.open([members[0]!, at('findings')])).toThrow(/knows other classes/);
    await using ensemble = Predictor.open(members);
    const { outputs, own } = await collect(ensemble, images.splits.test!);
    const singles = await Promise.all(members.map((folder) => inspectRun(folder, images.splits.test!)));
    const mean = (parts: readonly ArrayLike<number>[]) =>
      Float32Array.from(parts[0]!, (p, i) => (p + parts[1]![i]!) / 2);
    expect(own).toEqual(mean(singles.map(({ output }) => output.probabilities)));
    const calibrators = members.map((folder) => readCalibration(folder)!.calibrator!);
    expect(outputs.probabilities).toEqual(
      mean(singles.map(({ output }, m) => calibrators[m]!.apply(output.logits))),
    );
    const out = at('ensemble.csv');
    await predictImages(ensemble, openImages([at('images', 'test')]), { out, inputs: [] });
    const read = (await rowsOf(out)).flatMap((row) => images.classes.map((name) => Number(row[`p_${name}`])));
    expect(Float32Array.from(read)).toEqual(outputs.probabilities);
  });

  test('images that cannot be read have no row, and are listed beside; the list goes when all can be', async () => {
    const folder = at('new');
    cpSync(at('images', 'test'), folder, { recursive: true });
    const [first] = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.png'))
      .sort();
    const good = readFileSync(join(folder, first!));
    writeFileSync(join(folder, first!), good.subarray(0, good.length - 30));
    writeFileSync(join(folder, 'notes.txt'), 'x');
    const out = at('broken.csv');
    await using predictor = Predictor.open([one()]);
    const found = openImages([folder]);
    expect(found.skipped).toHaveLength(1);
    const result = await predictImages(predictor, found, { out, inputs: [folder] });
    expect(result.broken.map(({ file }) => file)).toEqual([first]);
    expect(await rowsOf(out)).toHaveLength(found.length - 1);
    expect((await rowsOf(brokenPathOf(out)))[0]!.name).toBe(first);
    writeFileSync(join(folder, first!), good);
    const again = await predictImages(predictor, openImages([folder]), { out, inputs: [folder] });
    expect(again.brokenFile).toBeUndefined();
    expect(readdirSync(root).filter((name) => name.startsWith('broken.csv'))).toEqual(['broken.csv']);
  });

  test('never over what it reads, nor over what is none of its own; an abort leaves what was there', async () => {
    await using predictor = Predictor.open([one()]);
    const table = at('table.csv');
    const names = ['a', 'b'].map((name) => `new/${name}.png`);
    writeFileSync(table, `file\n${names.join('\n')}\n`);
    const found = openImages([table]);
    await expect(predictImages(predictor, found, { out: table, inputs: [table] })).rejects.toThrow(
      /is the input/,
    );
    const thesis = at('thesis.csv');
    writeFileSync(thesis, 'chapter,words\n');
    await expect(predictImages(predictor, found, { out: thesis, inputs: [] })).rejects.toThrow(
      /exists already/,
    );
    // Neither file of the table is there: that is broken images, and of all of them none is left.
    await expect(predictImages(predictor, found, { out: at('none.csv'), inputs: [] })).rejects.toThrow(
      /none of the 2 images/,
    );
    const out = at('kept.csv');
    writeFileSync(out, 'name,predicted\nold,x\n');
    const controller = new AbortController();
    controller.abort(new Error('stop'));
    await expect(
      predictImages(predictor, openImages([at('images')]), { out, inputs: [], signal: controller.signal }),
    ).rejects.toThrow('stop');
    expect(readFileSync(out, 'utf8')).toBe('name,predicted\nold,x\n');
    expect(readdirSync(root).filter((name) => name.endsWith('.tmp') || name.endsWith('.lock'))).toEqual([]);
  });

  test('IDX files, tables and single files need no labels; judge reads what is written', async () => {
    await writePhantom(at('idx'), { images: 40, size: 32 });
    const labelled = openDataset(at('idx'));
    for (const name of readdirSync(at('idx'))) if (/labels/.test(name)) rmSync(at('idx', name));
    await using predictor = Predictor.open([one()]);
    const idx = openImages([at('idx')]);
    expect(idx.length).toBe(40);
    const split = Object.values(labelled.splits)[0]!;
    expect(idx.parts.some(({ subset }) => subset.nameOf(0) === split.nameOf(0))).toBe(true);

    const file = at(
      'images',
      'test',
      images.classes[0]!,
      readdirSync(at('images', 'test', images.classes[0]!))[0]!,
    );
    expect(openImages([file]).length).toBe(1);
    expect(openImages([file, file]).parts[0]!.subset.nameOf(1)).toBe(file);
    expect(() => openImages([at('nowhere')])).toThrow(/there is no/);

    const { subset } = openImages([at('images', 'test')]).parts[0]!;
    const lines = Array.from({ length: subset.length }, (_, i) => `test/${subset.nameOf(i)},P${i % 7},\n`);
    writeFileSync(at('images', 'list.csv'), `path,patient,label\n${lines.join('')}`);
    const out = at('listed.csv');
    await predictImages(predictor, openImages([at('images', 'list.csv')]), { out, inputs: [] });
    const rows = await rowsOf(out);
    expect(rows.map(({ group }) => group)).toEqual(lines.map((_, i) => `P${i % 7}`));
    const truth = at('truth.csv');
    writeFileSync(
      truth,
      `name,label\n${rows.map(({ name }) => `${name},${name!.split('/')[1]}`).join('\n')}\n`,
    );
    for (const path of [out, at('listed.jsonl')]) {
      if (path !== out)
        await predictImages(predictor, openImages([at('images', 'list.csv')]), { out: path, inputs: [] });
      const read = await readPredictions(path, { labels: truth, group: 'group' });
      const evaluated = await collect(predictor, images.splits.test!);
      expect(read.outputs.targets).toEqual(evaluated.outputs.targets);
      expect(Float32Array.from(read.outputs.probabilities)).toEqual(evaluated.outputs.probabilities);
    }
  });
});

test('an intensity window is kept with the run, in numbers, and new images are shown through it', async () => {
  const drawn = phantoms(60);
  for (const [split, { source, rows, labels, classes, length }] of Object.entries(drawn.splits)) {
    if (source?.kind !== 'memory') throw new Error('phantoms are in memory');
    for (let i = 0; i < length; i++) {
      const path = at('twelve', split, classes[labels[i]!]!, `${i}.png`);
      mkdirSync(dirname(path), { recursive: true });
      const from = rows[i]! * 1024;
      // 8 bits as 12: the phantom's greys, sixteen times as large.
      const data = Uint16Array.from(source.pixels.subarray(from, from + 1024), (v) =>
        Math.round((v * 4095) / 255),
      );
      await sharp(data, { raw: { width: 32, height: 32, channels: 1 } })
        .toColourspace('grey16')
        .png()
        .toFile(path);
    }
  }
  const twelve = openDataset(at('twelve'));
  await train(at('windowed'), twelve, 0, { window: 'auto' });
  await train(at('black'), twelve, 0);
  const { config } = JSON.parse(readFileSync(at('windowed', 'config.json'), 'utf8'));
  expect(config.window).toEqual({ low: 0, high: 4095 });
  // Found again, not another run.
  await train(at('windowed'), twelve, 0, { window: 'auto' });
  const said = async (run: string) => {
    await using predictor = Predictor.open([at(run)]);
    const { outputs } = await collect(predictor, twelve.splits.test!);
    const out = at(`${run}.csv`);
    await predictImages(predictor, openImages([at('twelve', 'test')]), { out, inputs: [] });
    const read = (await rowsOf(out)).flatMap((row) => twelve.classes.map((name) => Number(row[`p_${name}`])));
    expect(Float32Array.from(read)).toEqual(outputs.probabilities);
    // How much the answers differ from image to image.
    const first = outputs.probabilities.filter((_, i) => i % twelve.classes.length === 0);
    return Math.max(...first) - Math.min(...first);
  };
  expect(await said('windowed')).toBeGreaterThan(3 * (await said('black')));
});

describe('sets and "I do not know"', () => {
  test('say what the validation outputs say', async () => {
    const folder = at('kept');
    cpSync(one(), folder, { recursive: true });
    await using nothing = Predictor.open([folder], { needsValidation: true });
    expect(() => validationOf(nothing)).toThrow(/keeps no outputs/);
    await calibrateRun(folder, images, { method: 'none' });
    await using predictor = Predictor.open([folder], { needsValidation: true });
    expect(predictor.calibrated).toBe(false);
    const validation = validationOf(predictor);
    const direct = await inspectRun(folder, images.splits.val!);
    expect(validation.probabilities).toEqual(direct.output.probabilities);

    const sets = fitSets(validation, { coverage: 0.8 });
    const abstention = fitAbstention(validation, 0.45);
    const own = sets.setsOf(validation.probabilities);
    const labels = direct.output.labels;
    // On the samples themselves the coverage is at least what was asked for.
    expect(own.filter((set, i) => set.includes(labels[i]!)).length / own.length).toBeGreaterThanOrEqual(0.8);
    const out = at('sets.csv');
    const result = await predictImages(predictor, openImages([at('images', 'val')]), {
      out,
      inputs: [],
      sets,
      abstention,
    });
    const rows = await rowsOf(out);
    rows.forEach((row, i) => {
      expect(row.set).toBe(own[i]!.map((c) => images.classes[c]).join('|'));
      expect(row.answer).toBe(Number(row.confidence) >= abstention.thresholds[0]! ? row.predicted : UNKNOWN);
    });
    const answered = rows.filter(({ answer }) => answer !== UNKNOWN);
    expect(result.abstained).toBe(rows.length - answered.length);
    expect(answered.length).toBe(abstention.onValidation[0]!.answered);
    const wrong = answered.filter(({ name, answer }) => !name!.startsWith(`${answer}/`)).length;
    expect(wrong / answered.length).toBeCloseTo(abstention.onValidation[0]!.wrong.value!, 12);
    expect(() => fitSets(validation, { coverage: 0.9, method: 'best' })).toThrow(/no conformal sets/);
  });

  test('of findings each is a question of its own', async () => {
    await using predictor = Predictor.open([at('findings')], { needsValidation: true });
    const validation = validationOf(predictor);
    const sets = fitSets(validation, { coverage: 0.9 });
    const abstention = fitAbstention(validation, 0.2);
    expect(abstention.thresholds).toHaveLength(findings.classes.length);
    const all = sets.setsOf(validation.probabilities);
    const { targets } = validation;
    if (targets.kind !== 'findings') throw new Error('they are findings');
    const k = findings.classes.length;
    for (let c = 0; c < k; c++) {
      const known = all.flatMap((set, a) =>
        a % k === c && (targets.mask?.[a] ?? 1) === 1 && targets.values[a] !== 0.5
          ? [set.includes(Number(targets.values[a]! > 0.5))]
          : [],
      );
      expect(known.filter(Boolean).length / known.length).toBeGreaterThanOrEqual(0.9);
    }
  });

  test('the threshold answers most of all that keep the risk', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.boolean()), { minLength: 1, maxLength: 40 }),
        fc.constantFrom(0.05, 0.1, 0.25, 0.5),
        (samples, risk) => {
          const confidence = Float64Array.from(samples, ([tenth]) => tenth / 10);
          const chosen = chooseThreshold(
            confidence,
            samples.map(([, right]) => Number(right)),
            risk,
          );
          let most = 0;
          for (const t of new Set(confidence)) {
            const answered = samples.filter((_, i) => confidence[i]! >= t);
            const wrong = answered.filter(([, right]) => !right).length;
            if (wrong <= risk * answered.length) most = Math.max(most, answered.length);
          }
          expect(chosen.answered).toBe(most);
          if (most === 0)
            expect(chosen).toMatchObject({ threshold: Number.POSITIVE_INFINITY, wrong: { value: null } });
        },
      ),
    );
  });
});

describe('which run', () => {
  test('a run is itself; of a comparison the seeds of one method are an ensemble; else they are listed', () => {
    expect(chooseRuns(one())).toEqual([one()]);
    expect(chooseRuns(at('study'), { many: true })).toHaveLength(2);
    expect(() => chooseRuns(at('study'))).toThrow(/holds 2 runs: hard-seed0, hard-seed1/);
    expect(chooseRuns(at('study'), { run: 'hard-seed1' })).toEqual([at('study', 'runs', 'hard-seed1')]);
    expect(chooseRuns(at('study'), { run: 'hard', many: true })).toHaveLength(2);
    expect(() => chooseRuns(at('study'), { run: 'ols' })).toThrow(/no finished run ols/);
    expect(() => chooseRuns(at('images'))).toThrow(/no run folder/);

    for (const method of ['hard-seed0', 'ols-seed0'])
      for (const net of ['resnet10', 'resnet18'])
        cpSync(one(), at('big', 'knee', net, 'runs', method), { recursive: true });
    expect(() => chooseRuns(at('big'), { many: true })).toThrow(/holds 4 runs: knee\/resnet10\/hard-seed0/);
    expect(chooseRuns(at('big'), { many: true, run: 'resnet10/ols' })).toEqual([
      at('big', 'knee', 'resnet10', 'runs', 'ols-seed0'),
    ]);
    expect(chooseRuns(at('big'), { many: true, run: 'all' })).toHaveLength(4);
    rmSync(at('big', 'knee', 'resnet10', 'runs', 'ols-seed0', 'done.json'));
    expect(() => chooseRuns(at('big'), { many: true })).toThrow(/holds 3 runs; 1 is not finished/);
  });
});
