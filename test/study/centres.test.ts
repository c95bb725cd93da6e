import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RADIMAGENET_CLASSES, writePhantom } from '../../src/data/index.ts';
import { runStudy } from '../../src/study/study.ts';
import { resolveStudy } from '../../src/study/study-file.ts';
import type { StudyReport } from '../../src/study/study-result.ts';
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

async function judged(study: object): Promise<StudyReport> {
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

let radimagenet: StudyReport;
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
  const [set] = radimagenet.sets;
  expect(set).toMatchObject({ format: 'radimagenet', samples: { train: 165, val: 165, test: 165 } });
  expect(set!.classes).toEqual(RADIMAGENET_CLASSES);
  const { strata } = radimagenet.cells[0]!;
  const modalities = strata.filter(({ attribute }) => attribute === 'modality');
  expect(modalities.map(({ value }) => value).sort()).toEqual(['CT', 'MR', 'US']);
  for (const attribute of ['modality', 'anatomy']) {
    const own = strata.filter((stratum) => stratum.attribute === attribute);
    expect(own.reduce((sum, { samples }) => sum + samples, 0)).toBe(165);
    // The whole is the mean of its parts.
    for (const m of [0, 1]) {
      const hits = own.reduce(
        (sum, { methods, samples }) => sum + methods[m]!.figures.top1.value! * samples,
        0,
      );
      const { value } = radimagenet.cells[0]!.calibration[0]!.methods[m]!.figures.top1;
      expect(hits / 165).toBeCloseTo(value!, 12);
    }
  }
});

test('other sites of the same data, as trained and after a temperature', () => {
  const { centres } = radimagenet.cells[0]!;
  expect(centres.map(({ centre, kind, calibrator, samples }) => [centre, kind, calibrator, samples])).toEqual(
    [
      ['B', 'site', 'none', 165],
      ['B', 'site', 'temperature', 165],
    ],
  );
  for (const { methods, absentClasses } of centres) {
    expect(absentClasses).toEqual([]);
    for (const { inCentre, outOfCentre, drop } of methods) {
      expect(drop.ece.value).toBeCloseTo(inCentre.ece.value! - outOfCentre.ece.value!, 12);
      expect(drop.ece.low!).toBeLessThanOrEqual(drop.ece.high!);
    }
  }
  const [none] = radimagenet.cells[0]!.calibration;
  expect(centres[0]!.methods[0]!.inCentre.nll.value).toBeCloseTo(none!.methods[0]!.figures.nll.value!, 12);
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
  const [cell] = report.cells;
  expect(report.sets[0]!.classes).toEqual(['low', 'middle', 'high']);
  expect(cell!.absent.calibration).toBe('not asked for');
  expect(cell!.centres).toHaveLength(1);
  expect(cell!.centres[0]).toMatchObject({
    centre: 'Elsewhere',
    kind: 'set',
    calibrator: 'none',
    absentClasses: ['high'],
  });
  // The merged posterior is still the truth.
  expect(cell!.calibration[0]!.methods[0]!.truth!.ece.value).not.toBeNull();
}, 300_000);
