import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GRADES, simulated } from '../../test/fixtures/judgement/simulated.ts';
import { measureFigures, registerFigure } from '../figures/index.ts';
import { mean } from '../metrics/index.ts';
import {
  type Judgement,
  judge,
  type Part,
  partList,
  type Report,
  registerPart,
  reportHtml,
  reportMarkdown,
  reportTables,
} from './index.ts';
import type { CalibratorResult } from './parts/calibrators.ts';
import type { CentreResult } from './parts/centres.ts';
import { type EnsembleResults, ensembleOf } from './parts/ensembles.ts';
import type { FigureResults } from './parts/figures.ts';
import type { FlagResult } from './parts/flags.ts';
import type { SelectiveResult } from './parts/selective.ts';
import type { StratumResult } from './parts/strata.ts';
import { methodTable } from './view.ts';

const quick = { replicates: 40, parts: { calibration: ['temperature'], embeddings: false } };
const part = <R>({ parts }: Judgement, name: string) => parts[name] as R;

describe('a simulation whose truth is known', () => {
  const strata = { half: GRADES.map((_, k) => (k < 2 ? 'low' : 'high')) };
  const judged = simulated({ centres: true, strata, pairs: 'all', samples: 240 });
  let judgement: Judgement;
  beforeAll(async () => {
    judgement = await judge(judged, quick);
  }, 300_000);

  test('every part that fits is measured, and the others say why not', () => {
    expect(Object.keys(judgement.parts)).toEqual(
      expect.arrayContaining([
        'figures',
        'calibration',
        'reliability',
        'ensembles',
        'truth',
        'centres',
        'selective',
        'conformal',
        'strata',
        'classes',
      ]),
    );
    expect(judgement.absent.certificates).toEqual({ absent: 'not asked for', quiet: true });
    expect(JSON.parse(JSON.stringify(judgement))).toEqual(judgement);
  });

  test('the sharpened method is found over-confident, and a temperature repairs it', () => {
    const { methods } = part<FigureResults>(judgement, 'figures');
    const [hard, ls] = methods;
    expect(hard!.figures.confidenceGap!.low).toBeGreaterThan(0.1);
    expect(ls!.versus!.eceDebiased!.value).toBeLessThan(-0.1);
    expect(ls!.versus!.eceDebiased!.adjusted).toBeLessThan(0.05);
    const [temperature] = part<readonly CalibratorResult[]>(judgement, 'calibration');
    // Noise of standard deviation 0.6 on logits of 1.6: a little more than the sharpness is to be undone.
    for (const { temperature: t } of temperature!.fits.hard!) expect(t).toBeGreaterThan(2.5);
    expect(temperature!.methods[0]!.figures.eceDebiased!.value).toBeLessThan(
      hard!.figures.eceDebiased!.value! / 3,
    );
  });

  test('a pair is measured once and read as method − baseline, whichever way it is stored', () => {
    const { methods, pairs } = part<FigureResults>(judgement, 'figures');
    expect(pairs).toHaveLength(3);
    for (const one of methods.slice(1))
      for (const [name, { value, low, high }] of Object.entries(one.versus!)) {
        if (value === null) continue;
        const apart = one.figures[name]!.value! - methods[0]!.figures[name]!.value!;
        expect(value, name).toBeCloseTo(apart, 10);
        if (low === null) continue;
        expect(low, name).toBeLessThanOrEqual(value);
        expect(high, name).toBeGreaterThanOrEqual(value);
      }
  });

  test('an ensemble is the figures of the mean probabilities', async () => {
    const [hard] = part<EnsembleResults>(judgement, 'ensembles');
    const outputs = await Promise.all(judged.methods[0]!.runs.map((run) => run.judged()));
    const mean = ensembleOf(outputs);
    expect(mean.probabilities[7]).toBeCloseTo(
      (outputs[0]!.probabilities[7]! + outputs[1]!.probabilities[7]!) / 2,
      6,
    );
    const figures = measureFigures(mean, { replicates: 0 });
    for (const name of ['top1', 'nll', 'brier', 'truth.kl'])
      expect(hard!.figures[name]!.value, name).toBeCloseTo(figures[name]!.value!, 12);
    // Jensen: the ensemble's NLL and Brier score are never above the mean of its members'.
    expect(hard!.versus!.nll!.value).toBeLessThan(0);
    expect(hard!.versus!.brier!.value).toBeLessThan(0);
  });

  test('strata: the whole is the mean of its parts', () => {
    const results = part<readonly StratumResult[]>(judgement, 'strata');
    expect(results.map(({ value }) => value).sort()).toEqual(['high', 'low']);
    for (const m of [0, 1, 2]) {
      const hits = results.reduce(
        (sum, { methods, samples }) => sum + methods[m]!.figures.top1!.value! * samples,
        0,
      );
      expect(hits / 240).toBeCloseTo(
        part<FigureResults>(judgement, 'figures').methods[m]!.figures.top1!.value!,
        12,
      );
    }
  });

  test('rare and common findings: their means are those of the findings', async () => {
    const findings = simulated({
      kind: 'findings',
      names: ['a', 'b', 'c'],
      frequencies: [0.01, 0.2, 0.04],
      samples: 120,
      seeds: 1,
    });
    const { parts } = await judge(findings, {
      replicates: 20,
      parts: { calibration: false, embeddings: false },
    });
    const results = parts.strata as readonly StratumResult[];
    expect(results.map(({ value, classes }) => [value, classes])).toEqual([
      ['rare, below 5 %', 2],
      ['common, 5 % or more', 1],
    ]);
    const whole = (parts.figures as FigureResults).methods[0]!.figures.auroc!;
    const [rare, common] = results.map(({ methods }) => methods[0]!.figures.auroc!);
    expect(rare!.value).toBeCloseTo((whole.perFinding!.a!.value! + whole.perFinding!.c!.value!) / 2, 12);
    expect(common!.value).toBeCloseTo(whole.perFinding!.b!.value!, 12);
    expect(rare!.low).toBeLessThan(rare!.value!);
    expect(results[0]!.methods[1]!.versus!.auroc).toBeDefined();
  });

  test('centres: in minus out, each with an interval that holds it', () => {
    const results = part<readonly CentreResult[]>(judgement, 'centres');
    expect(results.map(({ calibrator, samples }) => [calibrator, samples])).toEqual([
      ['none', 150],
      ['temperature', 150],
    ]);
    for (const { methods } of results)
      for (const { inCentre, outOfCentre, drop } of methods)
        for (const name of ['top1', 'nll', 'eceDebiased', 'auroc']) {
          const { value, low, high } = drop[name]!;
          expect(value).toBeCloseTo(inCentre[name]!.value! - outOfCentre[name]!.value!, 12);
          expect(low).toBeLessThan(value!);
          expect(high).toBeGreaterThan(value!);
        }
  });

  test('selective: the curve ends at the error rate, and its mean is the AURC', () => {
    const [confidence, logit] = part<readonly SelectiveResult[]>(judgement, 'selective');
    const { methods } = part<FigureResults>(judgement, 'figures');
    confidence!.methods.forEach(({ curve, figures }, m) => {
      expect(curve.at(-1)!.coverage).toBe(1);
      expect(1 - curve.at(-1)!.risk).toBeCloseTo(methods[m]!.figures.top1!.value!, 12);
      expect(figures.aurc!.value).toBeCloseTo(methods[m]!.figures.aurc!.value!, 10);
      expect(figures.augrc!.value).toBeCloseTo(methods[m]!.figures.augrc!.value!, 10);
    });
    // The answers are the same, only their order is another.
    logit!.methods.forEach(({ curve }, m) => {
      expect(curve.at(-1)!.risk).toBeCloseTo(confidence!.methods[m]!.curve.at(-1)!.risk, 12);
    });
  });
});

test('findings: every figure of every finding, operating points from the validation outputs', async () => {
  const names = ['edema', 'effusion', 'nodule'];
  const judged = simulated({
    kind: 'findings',
    names,
    seeds: 1,
    samples: 160,
    methods: [
      ['hard', 'Hard labels', 3, 0.6],
      ['ls', 'Label smoothing', 1, 0.6],
    ],
  });
  const judgement = await judge(judged, { replicates: 40, parts: { calibration: ['platt'] } });
  const [platt] = part<readonly CalibratorResult[]>(judgement, 'calibration');
  const [plain] = part<FigureResults>(judgement, 'figures').methods;
  expect(platt!.methods[0]!.figures.nll!.value).toBeLessThan(plain!.figures.nll!.value!);
  const { methods } = part<FigureResults>(judgement, 'figures');
  for (const { figures } of methods) {
    for (const name of ['auroc', 'auprc', 'eceDebiased', 'sensitivity']) {
      const { perFinding, value } = figures[name]!;
      expect(Object.keys(perFinding!)).toEqual(names);
      const mean = Object.values(perFinding!).reduce((sum, one) => sum + one.value!, 0) / names.length;
      expect(value, name).toBeCloseTo(mean, name.startsWith('ece') ? 1 : 10);
    }
  }
  const reliability = judgement.parts.reliability as readonly {
    methods: readonly {
      bins: readonly { count: number }[];
      findings: readonly (readonly { count: number }[])[];
    }[];
  }[];
  const [all] = reliability[0]!.methods;
  const total = (bins: readonly { count: number }[]) => bins.reduce((sum, { count }) => sum + count, 0);
  expect(total(all!.bins)).toBe(all!.findings.reduce((sum, bins) => sum + total(bins), 0));
  for (const { risk, alpha, methods: flagged } of part<readonly FlagResult[]>(judgement, 'flags'))
    for (const { figures } of flagged) {
      // What was promised holds up to the chance of 160 images.
      const { value, low } = figures[risk === 'missed' ? 'missed' : 'alarms']!;
      expect(low!, risk).toBeLessThan(alpha);
      expect(value!, risk).toBeLessThan(alpha + 0.06);
    }
  const table = reportTables(reportOf(judgement)).find(({ id }) => id === 'findings')!;
  expect(table.rows).toHaveLength(names.length * 2);
  expect(table.rows[0]!.stubs).toEqual(['Edema', 'Hard labels']);
}, 300_000);

describe('what is registered from outside', () => {
  const outside: Part<{ readonly answer: number }> = {
    name: 'outside',
    title: 'From <outside>',
    kinds: ['one-of-k'],
    measure: ({ judged }) => ({ answer: judged.methods.length }),
    show: ({ answer }, view) => ({
      answers: [{ question: 'How many?', remarks: [{ kind: 'plain', text: `${answer} methods.` }] }],
      blocks: [
        {
          table: methodTable(
            view,
            { id: 'outside', title: 'counted', caption: '' },
            [{ id: 'n', label: 'n', unit: 'count', better: 'none' }],
            view.ids.map((method) => ({
              method,
              cells: [{ estimate: { value: answer, low: null, high: null } }],
            })),
          ),
        },
      ],
    }),
  };
  test('a part is measured, read, tabulated and shown; a figure stands in every table', async () => {
    registerPart(outside, 'classes');
    registerFigure('one-of-k', {
      name: 'meanConfidence',
      label: 'Mean confidence',
      unit: '%',
      digits: 1,
      better: 'zero',
      meaning: 'How sure.',
      sort: 'plain',
      of: ({ top }) => mean(top.confidence),
    });
    const names = partList().map(({ name }) => name);
    expect(names.indexOf('outside')).toBe(names.indexOf('classes') - 1);
    const report = reportOf(await judge(simulated({ samples: 80, seeds: 1 }), { ...quick, replicates: 0 }));
    const html = reportHtml(report);
    expect(html).toContain('From &lt;outside&gt;');
    expect(html).toContain('3 methods.');
    expect(reportMarkdown(report)).toContain('## Counted');
    const tables = reportTables(report);
    expect(tables.map(({ id }) => id)).toContain('outside');
    for (const id of ['main', 'calibration-temperature'])
      expect(tables.find((table) => table.id === id)!.columns.map((column) => column.id)).toContain(
        'meanConfidence',
      );
  }, 120_000);
  afterAll(() => registerPart({ ...outside, kinds: [] }));
});

test('a judgement of nothing, or of one name twice, is an error; a stop is a stop', async () => {
  const judged = simulated({ samples: 40 });
  await expect(judge({ ...judged, methods: [] })).rejects.toThrow('nothing to judge');
  await expect(judge({ ...judged, methods: [judged.methods[0]!, judged.methods[0]!] })).rejects.toThrow(
    "'hard' is there twice",
  );
  const signal = AbortSignal.abort(new Error('stop'));
  await expect(judge(judged, { ...quick, signal })).rejects.toThrow('stop');
});

/** A report of one cell. */
function reportOf(judgement: Judgement): Report {
  return {
    version: 2,
    title: 'Simulated',
    finished: '2026-11-21T10:15:00.000Z',
    command: 'penumbra compare x',
    facts: [],
    methods: judgement.methods.map(({ id, label }) => ({ id, label, about: id })),
    cells: [{ set: '', network: '', about: '', judgement }],
    missing: [],
    notes: [],
    software: {},
  };
}
