import { describe, expect, test } from 'vitest';
import { simulated } from '../../../test/fixtures/judgement/simulated.ts';
import type { Outputs } from '../../figures/index.ts';
import { binaryAuroc } from '../../metrics/index.ts';
import { Random } from '../../random.ts';
import { type Judged, type Judgement, judge, partList } from '../index.ts';
import { asFindings, columnAt, rankedColumn, shownColumns } from '../one-by-one.ts';
import { View } from '../view.ts';
import type { ClassReliabilityResults } from './class-reliability.ts';
import { type ConformalResult, conformalPart } from './conformal.ts';
import type { ConfusionResults } from './confusion.ts';
import { type DecisionResults, netBenefit } from './decision.ts';
import type { ImageResults } from './images.ts';
import { type OperatingResults, predictiveValues } from './operating.ts';
import { curvesOf, type RankingResults } from './ranking.ts';

const part = <R>({ parts }: Judgement, name: string) => parts[name] as R;
const only = [
  'figures',
  'baselines',
  'confusion',
  'operating',
  'ranking',
  'decision',
  'class-reliability',
  'images',
];

/** Four images of three classes, by hand. */
function byHand(pictures?: Judged['pictures']): Judged {
  const outputs = (rows: readonly (readonly number[])[], labels: readonly number[]): Outputs => ({
    targets: { kind: 'one-of-k', names: ['a', 'b', 'c'], values: Int32Array.from(labels) },
    probabilities: Float64Array.from(rows.flat()),
  });
  const judgedOnes = outputs(
    [
      [0.9, 0.05, 0.05],
      [0.8, 0.1, 0.1],
      [0.1, 0.6, 0.3],
      [0.4, 0.25, 0.35],
    ],
    [0, 1, 1, 0],
  );
  return {
    kind: 'one-of-k',
    names: ['a', 'b', 'c'],
    baseline: 'm',
    ...(pictures && { pictures }),
    methods: [
      {
        id: 'm',
        label: 'M',
        runs: [{ name: 'seed 0', judged: async () => judgedOnes, validation: async () => judgedOnes }],
      },
    ],
  };
}

describe('by hand', () => {
  test('confusion matrix: rows are true', async () => {
    const { methods } = part<ConfusionResults>(await judge(byHand(), { only }), 'confusion');
    expect(methods[0]!.counts).toEqual([
      [2, 0, 0],
      [1, 1, 0],
      [0, 0, 0],
    ]);
  });

  test('images: the surest error first, hits by how little sure, and never a name', async () => {
    const asked: number[][] = [];
    const judgement = await judge(
      byHand(async (samples) => {
        asked.push([...samples]);
        return samples.map((sample) => (sample === 2 ? undefined : `data:image/png;base64,${sample}`));
      }),
      { only },
    );
    const { errors, hits } = part<ImageResults>(judgement, 'images');
    expect(errors.map(({ sample }) => sample)).toEqual([1]);
    expect(hits.map(({ sample }) => sample)).toEqual([3, 2, 0]);
    expect(asked).toEqual([[1, 3, 2, 0]]);
    expect(errors[0]).toEqual({
      sample: 1,
      picture: 'data:image/png;base64,1',
      truth: 'b',
      said: [{ method: 'm', answer: 'a', probability: 0.8, right: false }],
    });
    expect(hits[1]).not.toHaveProperty('picture');
    expect((await judge(byHand(), { only })).absent.images).toEqual({
      absent: 'no images were given',
      quiet: true,
    });
    const off = await judge(
      byHand(async () => []),
      { only, parts: { images: false } },
    );
    expect(off.parts.images).toBeUndefined();
  });

  test('a class against all others is a finding; of two classes the second is looked at', () => {
    const outputs: Outputs = {
      targets: { kind: 'one-of-k', names: ['a', 'b'], values: Int32Array.of(0, 1, 1) },
      probabilities: Float64Array.of(0.9, 0.1, 0.2, 0.8, 0.6, 0.4),
    };
    const { present, probability, known } = columnAt(asFindings(outputs), 1);
    expect([...present]).toEqual([0, 1, 1]);
    expect([...probability]).toEqual([0.1, 0.8, 0.4]);
    expect([...known]).toEqual([1, 1, 1]);
    expect(shownColumns('one-of-k', ['a', 'b'])).toEqual([1]);
    expect(shownColumns('findings', ['a', 'b'])).toEqual([0, 1]);
    expect(shownColumns('one-of-k', Array.from({ length: 31 }, String))).toEqual([]);
  });
});

describe('curves', () => {
  const column = (seed: number, n: number, ties: boolean) => {
    const random = new Random(seed);
    const present = Uint8Array.from({ length: n }, () => (random.uniform() < 0.3 ? 1 : 0));
    const probability = Float64Array.from(present, (y) => {
      const p = 1 / (1 + Math.exp(-(random.normal() + 1.5 * y - 0.5)));
      return ties ? Math.round(10 * p) / 10 : p;
    });
    return { present, probability, known: new Uint8Array(n).fill(1) };
  };

  test.each([false, true])('the area under the ROC curve is the AUROC, also with ties: %s', (ties) => {
    const own = column(3, 4000, ties);
    const { roc } = curvesOf(own, rankedColumn(own));
    expect(roc[0]).toBeLessThan(0.5);
    expect(roc.at(-1)).toBe(1);
    const area = roc.slice(1).reduce((sum, y, i) => sum + (y + roc[i]!) / 100, 0);
    expect(area).toBeCloseTo(binaryAuroc(own.probability, own.present)!, 2);
  });

  test('precision at full recall is how frequent positives are, where the lowest score is a positive’s', () => {
    const own = {
      present: Uint8Array.of(1, 0, 0, 1),
      probability: Float64Array.of(0.9, 0.5, 0.3, 0.1),
      known: new Uint8Array(4).fill(1),
    };
    const { pr } = curvesOf(own, rankedColumn(own));
    expect(pr[0]).toBe(1);
    expect(pr[25]).toBe(1);
    expect(pr.at(-1)).toBe(0.5);
  });

  test('unknown ones do not count', () => {
    const own = {
      present: Uint8Array.of(1, 0, 1),
      probability: Float64Array.of(0.9, 0.5, 0.1),
      known: Uint8Array.of(1, 1, 0),
    };
    expect(rankedColumn(own)).toMatchObject({ positives: 1, negatives: 1, order: [0, 1] });
  });
});

describe('net benefit', () => {
  test('is that of Vickers and Elkin: TP/n − FP/n · p/(1 − p)', () => {
    // 100 of 1,000 have it; at 20 % 80 of them and 90 of the others are called.
    expect(netBenefit(80 / 100, 90 / 900, 0.1, 0.2)).toBeCloseTo(80 / 1000 - (90 / 1000) * (0.2 / 0.8), 12);
    expect(netBenefit(1, 1, 0.1, 0.1)).toBeCloseTo(0, 12);
  });

  test('of calibrated probabilities lies above acting on everybody and on nobody, wherever that is', async () => {
    const names = ['edema'];
    const judgement = await judge(
      simulated({
        kind: 'findings',
        names,
        samples: 4000,
        seeds: 1,
        methods: [['m', 'M', 1, 0]],
        posterior: false,
      }),
      { only: ['figures', 'decision'], replicates: 0 },
    );
    const { classes } = part<DecisionResults>(judgement, 'decision');
    classes[0]!.methods[0]!.benefit.forEach((benefit, i) => {
      expect(benefit).toBeGreaterThan(Math.max(0, classes[0]!.all[i]!) - 0.012);
    });
    const rare = await judge(
      simulated({
        kind: 'findings',
        names,
        samples: 400,
        seeds: 1,
        methods: [['m', 'M', 1, 0]],
        posterior: false,
      }),
      { only: ['figures', 'decision'], replicates: 0, parts: { decision: { prevalence: 0.02 } } },
    );
    expect(part<DecisionResults>(rare, 'decision').classes[0]!.prevalence).toBe(0.02);
  });
});

describe('operating points', () => {
  test('predictive values are Bayes’ rule, and their interval holds both ends', () => {
    const exact = (value: number) => ({ value, low: value - 0.05, high: value + 0.05 });
    const { ppv, npv } = predictiveValues(exact(0.9), exact(0.8), 0.01);
    expect(ppv.value).toBeCloseTo((0.9 * 0.01) / (0.9 * 0.01 + 0.2 * 0.99), 12);
    expect(npv.value).toBeCloseTo((0.8 * 0.99) / (0.8 * 0.99 + 0.1 * 0.01), 12);
    for (const { value, low, high } of [ppv, npv]) {
      expect(low!).toBeLessThan(value!);
      expect(high!).toBeGreaterThan(value!);
    }
    expect(predictiveValues({ value: null, low: null, high: null }, exact(0.8), 0.1).ppv.value).toBeNull();
  });

  test('thresholds are chosen on validation and keep about what was asked for on fresh images', async () => {
    const judgement = await judge(
      simulated({ samples: 2000, seeds: 1, methods: [['m', 'M', 1, 0.3]], posterior: false }),
      {
        only: ['figures', 'operating'],
        parts: { operating: { rules: ['sensitivity=0.9'], prevalence: 0.05 } },
      },
    );
    const { points, prevalence, calibrationSamples } = part<OperatingResults>(judgement, 'operating');
    expect(calibrationSamples).toBe(200);
    expect(prevalence.severe).toBe(0.05);
    for (const { methods, positives, name } of points) {
      const { sensitivity, specificity } = methods[0]!.figures;
      expect(positives, name).toBe(judgement.support[judgement.names.indexOf(name)]);
      expect(Math.abs(sensitivity!.value! - 0.9), name).toBeLessThan(0.2);
      expect(sensitivity!.low!).toBeLessThan(sensitivity!.value!);
      expect(specificity!.high!).toBeGreaterThan(specificity!.value!);
    }
  });

  test('without validation they say why not; a rule that is none is refused', async () => {
    const judgement = await judge(simulated({ validation: false, seeds: 1, samples: 60 }), {
      only,
      replicates: 0,
    });
    expect(judgement.absent.operating).toEqual({ absent: 'there is no validation split' });
    await expect(
      judge(simulated({ seeds: 1, samples: 60 }), {
        only,
        replicates: 0,
        parts: { operating: { rules: ['best'] } },
      }),
    ).rejects.toThrow();
  });
});

test('reliability of each class counts every image in every class', async () => {
  const judgement = await judge(simulated({ samples: 120, seeds: 2 }), { only, replicates: 0 });
  const { methods } = part<ClassReliabilityResults>(judgement, 'class-reliability');
  for (const { classes } of methods)
    for (const bins of classes) expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(240);
  expect(part<RankingResults>(judgement, 'ranking').classes).toHaveLength(5);
  expect(partList().map(({ name }) => name)).toEqual(expect.arrayContaining(only));
});

test('APS and RAPS that give the same sets say so, and a size whose coverage falls short is never called better', async () => {
  const judgement = await judge(simulated({ samples: 300, seeds: 1 }), { only: ['figures', 'conformal'] });
  const results = part<readonly ConformalResult[]>(judgement, 'conformal');
  const { blocks } = conformalPart.show(results, new View(judgement, ''));
  const notes = blocks.flatMap((block) => ('notes' in block ? block.notes : []));
  expect(notes.join(' ')).toContain('APS and RAPS gave the same sets here for every method');
  // The same results, with a coverage that falls short.
  const short = results.map((one) => ({
    ...one,
    methods: one.methods.map((method) => ({
      ...method,
      figures: { ...method.figures, coverage: { value: 0.7, low: 0.65, high: 0.75 } },
    })),
  }));
  const table = conformalPart
    .show(short, new View(judgement, ''))
    .blocks.flatMap((block) => ('table' in block ? [block.table] : []))[0]!;
  for (const row of table.rows)
    row.cells.forEach(({ best, mark }, c) => {
      if (!table.columns[c]!.id.endsWith('_size')) return;
      expect(best).toBe(false);
      expect(mark).not.toBe('better');
    });
});
