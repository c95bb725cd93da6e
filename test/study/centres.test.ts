import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RADIMAGENET_CLASSES, writePhantom } from '../../src/data/index.ts';
import type { Report } from '../../src/judgement/index.ts';
import type { CentreResult } from '../../src/judgement/parts/centres.ts';
import type { FigureResults } from '../../src/judgement/parts/figures.ts';
import type { StratumResult } from '../../src/judgement/parts/strata.ts';
import { runStudy } from '../../src/study/study.ts';
import { resolveStudy } from '../../src/study/study-file.ts';
import { writeRadImageNet } from '../data/radimagenet-fixture.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-centres-'));
afterAll(() => rmSync(root, { recursive: true }));

const shared = {
  networks: ['resnet10'],
  methods: ['hard', 'ls'],
  seeds: 1,
  settings: {
    epochs: 1,
    batchSize: 32,
    size: 8,
    stem: 'small',
    threads: 1,
    precision: 'float32',
    workers: 0,
  },
  embeddings: false,
  replicates: 40,
};

async function judged(study: object): Promise<Report> {
  const file = join(root, 'study.json');
  const { name } = study as { name: string };
  const outcome = await runStudy({
    study: resolveStudy({ ...shared, ...study }, file),
    folder: join(root, 'out', name),
    command: `penumbra study ${name}.json`,
  });
  if (outcome.state !== 'judged') throw new Error(`the study is ${outcome.state}`);
  return outcome.report;
}

let radimagenet: Report;

/** What a part of the only cell holds. */
function part<R>(report: Report, name: string): R {
  return report.cells[0]!.judgement.parts[name] as R;
}

beforeAll(async () => {
  // Every class at both sites in every split: the sites of a class's images take turns.
  await writeRadImageNet(join(root, 'radimagenet'), {
    images: { train: 2, val: 2, test: 2 },
    sites: ['A', 'B'],
  });
  radimagenet = await judged({
    name: 'radimagenet',
    sets: { radimagenet: { path: 'radimagenet', sites: { train: ['A'], test: ['B'] } } },
    conformal: false,
    calibration: ['temperature'],
  });
}, 300_000);

test("RadImageNet's layout: 165 classes, and figures by modality and anatomy", () => {
  const { judgement } = radimagenet.cells[0]!;
  expect(judgement).toMatchObject({ names: RADIMAGENET_CLASSES, samples: 165 });
  const strata = part<readonly StratumResult[]>(radimagenet, 'strata');
  const modalities = strata.filter(({ attribute }) => attribute === 'modality');
  expect(modalities.map(({ value }) => value).sort()).toEqual(['CT', 'MR', 'US']);
  for (const attribute of ['modality', 'anatomy']) {
    const own = strata.filter((stratum) => stratum.attribute === attribute);
    expect(own.reduce((sum, { samples }) => sum + samples, 0)).toBe(165);
    // The whole is the mean of its parts.
    for (const m of [0, 1]) {
      const hits = own.reduce(
        (sum, { methods, samples }) => sum + methods[m]!.figures.top1!.value! * samples,
        0,
      );
      const { value } = part<FigureResults>(radimagenet, 'figures').methods[m]!.figures.top1!;
      expect(hits / 165).toBeCloseTo(value!, 12);
    }
  }
});

test('other sites of the same data, as trained and after a temperature', () => {
  const centres = part<readonly CentreResult[]>(radimagenet, 'centres');
  expect(centres.map(({ centre, kind, calibrator, samples }) => [centre, kind, calibrator, samples])).toEqual(
    [
      ['B', 'site', 'none', 165],
      ['B', 'site', 'temperature', 165],
    ],
  );
  for (const { methods, absentClasses } of centres) {
    expect(absentClasses).toEqual([]);
    for (const { inCentre, outOfCentre, drop } of methods) {
      for (const name of ['top1', 'eceDebiased', 'ece']) {
        const { value, low, high } = drop[name]!;
        expect(value).toBeCloseTo(inCentre[name]!.value! - outOfCentre[name]!.value!, 12);
        expect(low!).toBeLessThanOrEqual(value!);
        expect(value!).toBeLessThanOrEqual(high!);
      }
    }
  }
  const { methods } = part<FigureResults>(radimagenet, 'figures');
  expect(centres[0]!.methods[0]!.inCentre.nll!.value).toBeCloseTo(methods[0]!.figures.nll!.value!, 12);
});

test('its tables: Top-5, modality, anatomy, centres', () => {
  const text = (name: string) => readFileSync(join(root, 'out', 'radimagenet', 'tables', name), 'utf8');
  expect(text('main-radimagenet.md')).toContain('Top-5 (%)');
  expect(text('modality-radimagenet.csv').split('\n')).toHaveLength(1 + 3 * 2 + 1);
  expect(text('anatomy-radimagenet.tex')).toContain('\\toprule');
  expect(text('centres-radimagenet.md')).toContain('165 images of other sites of the data set');
});

test('a second data set with other names of classes, and one class fewer', async () => {
  const { classes } = await writePhantom(join(root, 'elsewhere'), {
    images: 80,
    size: 32,
    seed: 7,
    format: 'png',
  });
  const report = await judged({
    name: 'sets',
    sets: {
      virtual: {
        path: 'phantom',
        phantom: { images: 60, size: 32 },
        classMap: Object.fromEntries(
          classes.map((name, k) => [name, k < 2 ? 'low' : k < 4 ? 'middle' : 'high']),
        ),
      },
    },
    centres: [
      {
        name: 'Elsewhere',
        set: {
          path: 'elsewhere',
          classMap: Object.fromEntries(
            classes.map((name, k) => [name, k < 2 ? 'low' : k < 4 ? 'middle' : null]),
          ),
        },
      },
    ],
    calibration: [],
  });
  const { judgement } = report.cells[0]!;
  expect(judgement.names).toEqual(['low', 'middle', 'high']);
  expect(judgement.absent.calibration).toEqual({ absent: 'not asked for', quiet: true });
  const centres = part<readonly CentreResult[]>(report, 'centres');
  expect(centres).toHaveLength(1);
  expect(centres[0]).toMatchObject({
    centre: 'Elsewhere',
    kind: 'set',
    calibrator: 'none',
    absentClasses: ['high'],
  });
  // The merged posterior is still the truth.
  expect(part<FigureResults>(report, 'figures').methods[0]!.figures['truth.ece']!.value).not.toBeNull();
}, 300_000);
