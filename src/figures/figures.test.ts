import { afterEach, describe, expect, test } from 'vitest';
import {
  auroc,
  balancedAccuracy,
  binaryAuroc,
  brier,
  calibrationInterval,
  classwiseEce,
  confidenceGap,
  ece,
  eceEqualMass,
  mce,
  nll,
  smoothEce,
  top1,
  topK,
  topLabels,
  truthDistance,
} from '../metrics/index.ts';
import { Random } from '../random.ts';
import {
  chooseThresholds,
  compareFigures,
  figuresJson,
  figuresOf,
  measureFigures,
  measureMethods,
  type Outputs,
  outputsOf,
  predictionsOf,
  registerFigure,
  SeenOutputs as Seen,
  summarize,
} from './index.ts';

/** Labels drawn from a known posterior; p ∝ posterior^sharpness, so that 1 is the truth and more is over-confident. */
function oneOfK(n: number, classes: number, sharpness: number, seed: number): Outputs {
  const random = new Random(seed);
  const posterior = new Float64Array(n * classes);
  const probabilities = new Float32Array(n * classes);
  const values = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const z = Array.from({ length: classes }, () => random.normal() * 1.5);
    posterior.set(softmax(z), i * classes);
    probabilities.set(softmax(z.map((x) => x * sharpness)), i * classes);
    let u = random.uniform();
    let y = 0;
    while (y < classes - 1 && (u -= posterior[i * classes + y]!) > 0) y++;
    values[i] = y;
  }
  const names = Array.from({ length: classes }, (_, k) => `class ${k}`);
  return { targets: { kind: 'one-of-k', names, values }, probabilities, posterior };
}

/** Findings drawn from a known probability; a few are not known. The last finding is never present. */
function findings(n: number, sharpness: number, seed: number, unknown = 0.1): Outputs {
  const random = new Random(seed);
  const names = ['edema', 'fracture', 'hernia'];
  const k = names.length;
  const values = new Float32Array(n * k);
  const mask = new Uint8Array(n * k);
  const probabilities = new Float64Array(n * k);
  for (let at = 0; at < n * k; at++) {
    const z = random.normal() * 1.5 - 1;
    const never = at % k === k - 1;
    probabilities[at] = 1 / (1 + Math.exp(-z * sharpness));
    mask[at] = random.uniform() < unknown ? 0 : 1;
    values[at] = mask[at] === 1 && !never && random.uniform() < 1 / (1 + Math.exp(-z)) ? 1 : 0;
  }
  return { targets: { kind: 'findings', names, values, mask }, probabilities };
}

function softmax(z: number[]): number[] {
  const e = z.map(Math.exp);
  const sum = e.reduce((a, b) => a + b);
  return e.map((x) => x / sum);
}

const quick = { replicates: 200, seed: 5 };

describe('one of K', () => {
  const outputs = oneOfK(600, 6, 2, 1);
  const measured = measureFigures(outputs, quick);
  const p = predictionsOf(outputs);

  test('each value is that of the pure function', () => {
    const { confidence, correct } = topLabels(p);
    const truth = truthDistance(p, outputs.posterior!);
    const expected: Record<string, number> = {
      top1: top1(p),
      top5: topK(p, 5),
      balancedAccuracy: balancedAccuracy(p),
      auroc: auroc(p).macro!,
      nll: nll(p),
      brier: brier(p),
      ece: ece(p),
      eceEqualMass: eceEqualMass(p),
      smoothEce: smoothEce(confidence, correct),
      eceDebiased: calibrationInterval([{ confidence, outcome: correct }], { seed: 5 }).value,
      mce: mce(p),
      classwiseEce: classwiseEce(p).ece,
      confidenceGap: confidenceGap(p),
      'truth.totalVariation': truth.totalVariation,
      'truth.kl': truth.kl,
      'truth.squaredError': truth.squaredError,
      'truth.ece': truth.ece,
    };
    for (const [name, value] of Object.entries(expected)) {
      expect(measured[name]!.value, name).toBeCloseTo(value, 12);
    }
    expect(Object.keys(measured).sort()).toEqual(
      figuresOf('one-of-k')
        .map(({ name }) => name)
        .sort(),
    );
  });

  test('every figure with an interval lies in it; MCE and class-wise ECE have none', () => {
    for (const { name, sort } of figuresOf('one-of-k')) {
      const { value, low, high } = measured[name]!;
      if (sort === 'plain') expect({ low, high }, name).toEqual({ low: null, high: null });
      else expect(low! <= value! && value! <= high! && low! < high!, name).toBe(true);
    }
  });

  test('survives JSON, equal seeds give equal bytes, the truth stands apart', () => {
    const summary = summarize(outputs, quick);
    const text = JSON.stringify(summary);
    expect(JSON.parse(text)).toEqual(summary);
    expect(JSON.stringify(summarize(outputs, quick))).toBe(text);
    const json = figuresJson(measured) as Record<string, Record<string, unknown>>;
    expect(json.top1).toEqual(measured.top1);
    expect(json.truth!.kl).toEqual(measured['truth.kl']);
  });

  test('an absent class has no AUROC and no recall, and the others keep theirs', () => {
    const names = ['a', 'b', 'c'];
    const probabilities = Float64Array.of(0.7, 0.2, 0.1, 0.3, 0.6, 0.1, 0.6, 0.3, 0.1);
    const few = summarize(
      { targets: { kind: 'one-of-k', names, values: Int32Array.of(0, 1, 1) }, probabilities },
      { replicates: 50 },
    );
    expect(few.perClass![2]).toMatchObject({ support: 0, recall: null, auroc: null });
    expect(few.figures.auroc!.value).toBeCloseTo(1, 12);
    const single = { kind: 'one-of-k', names: ['a', 'b'], values: Int32Array.of(0) } as const;
    const one = measureFigures({ targets: single, probabilities: Float64Array.of(0.7, 0.3) }, quick);
    expect(one.auroc).toEqual({ value: null, low: null, high: null });
  });

  test('a perfectly calibrated network may look uncalibrated in print, but its interval reaches 0', () => {
    const exact = measureFigures(oneOfK(602, 5, 1, 9), { replicates: 0, figures: ['ece'] });
    expect(exact.ece).toMatchObject({ low: null, high: null });
    const { ece: printed } = measureFigures(oneOfK(602, 5, 1, 9), { ...quick, figures: ['ece'] });
    expect(printed!.low).toBe(0);
    expect(printed!.value).toBeGreaterThan(0.01);
  });
});

describe('several runs and methods', () => {
  const exact = oneOfK(600, 4, 1, 4);
  const sharp = { ...exact, probabilities: oneOfK(600, 4, 2.5, 4).probabilities };

  test('values are means over runs, bins pool them', () => {
    const both = summarize([exact, sharp], { replicates: 50 });
    expect(both.runs).toBe(2);
    const mean = (ece(predictionsOf(exact)) + ece(predictionsOf(sharp))) / 2;
    expect(both.figures.ece!.value).toBeCloseTo(mean, 12);
    expect(both.bins.reduce((n, bin) => n + bin.count, 0)).toBe(1200);
  });

  test('other samples, no runs and unknown names are refused', () => {
    expect(() => measureFigures([exact, oneOfK(600, 4, 1, 5)])).toThrow('Run 1 is not of the same samples');
    expect(() => compareFigures(exact, oneOfK(599, 4, 1, 4))).toThrow('not of the same samples');
    expect(() => measureFigures([])).toThrow('no runs');
    expect(() => measureFigures(exact, { figures: ['f2'] })).toThrow('no figure "f2"');
    expect(() => measureMethods(new Map([['a', [exact]]]), { baseline: 'b' })).toThrow('no method "b"');
  });

  test('the over-confident method differs in calibration and not in accuracy', () => {
    const differences = compareFigures(sharp, exact, { replicates: 400 });
    expect(differences.top1).toMatchObject({ value: 0, p: 1, adjusted: 1 });
    expect(differences.nll!.value).toBeCloseTo(nll(predictionsOf(sharp)) - nll(predictionsOf(exact)), 12);
    for (const name of ['ece', 'eceDebiased', 'smoothEce', 'eceEqualMass']) {
      expect(differences[name]!.low, name).toBeGreaterThan(0);
      expect(differences[name]!.p, name).toBeLessThan(0.05);
    }
    expect(differences.mce).toMatchObject({ low: null, high: null, p: null, adjusted: null });
    expect(differences['truth.kl']!.low).toBeGreaterThan(0);
  });

  test('p-values are corrected over the pairs of one figure', () => {
    const methods = new Map([
      ['exact', [exact]],
      ['sharp', [sharp]],
      ['same', [{ ...exact }]],
    ]);
    const { pairs } = measureMethods(methods, { replicates: 400, figures: ['nll', 'mce'] });
    expect(pairs.map(({ first, second }) => `${first} − ${second}`)).toEqual([
      'sharp − exact',
      'same − exact',
    ]);
    const [first, second] = pairs.map(({ figures }) => figures.nll!);
    expect(first!.adjusted).toBeCloseTo(2 * first!.p!, 12);
    expect(second).toMatchObject({ value: 0, p: 1, adjusted: 1 });
    expect(measureMethods(methods, { replicates: 0, pairs: 'all' }).pairs).toHaveLength(3);
  });
});

describe('findings', () => {
  const outputs = findings(800, 2, 3);
  const measured = measureFigures(outputs, quick);

  test('a finding that is never present has no AUROC, never 0.5, and the mean leaves it out', () => {
    const { perFinding, value } = measured.auroc!;
    expect(perFinding!.hernia).toEqual({ value: null, low: null, high: null });
    const seen = new Seen(outputs);
    const expected = [0, 1].map((k) => {
      const { probability, target, mask } = seen.column(k);
      const keep = (_: number, i: number) => mask[i] === 1;
      return binaryAuroc(probability.filter(keep), target.filter(keep))!;
    });
    expect(perFinding!.edema!.value).toBeCloseTo(expected[0]!, 12);
    expect(value).toBeCloseTo((expected[0]! + expected[1]!) / 2, 12);
    expect(measured.brier!.perFinding!.hernia!.value).toBeGreaterThan(0);
  });

  test('what is not known counts for nothing', () => {
    const { values, mask } = outputs.targets as { values: Float32Array; mask: Uint8Array };
    const other = new Float32Array(values);
    const probabilities = new Float64Array(outputs.probabilities);
    for (let at = 0; at < mask.length; at++) {
      if (mask[at] === 1) continue;
      other[at] = 1 - other[at]!;
      probabilities[at] = 1 - probabilities[at]!;
    }
    const targets = { ...outputs.targets, values: other } as Outputs['targets'];
    expect(measureFigures({ targets, probabilities }, quick)).toEqual(measured);
  });

  test('every interval holds its figure', () => {
    for (const [name, { value, low, high, perFinding }] of Object.entries(measured)) {
      expect(low! <= value! && value! <= high!, name).toBe(true);
      for (const one of Object.values(perFinding!)) {
        if (one.value !== null) expect(one.low! <= one.value && one.value <= one.high!, name).toBe(true);
      }
    }
  });

  test('without any known value every figure of the finding is absent', () => {
    const mask = new Uint8Array(800 * 3).map((_, at) => (at % 3 === 1 ? 0 : 1));
    const blank = measureFigures(
      { ...outputs, targets: { ...outputs.targets, mask } as Outputs['targets'] },
      quick,
    );
    for (const [name, figure] of Object.entries(blank)) {
      expect(figure.perFinding!.fracture, name).toEqual({ value: null, low: null, high: null });
      if (name !== 'auroc') expect(figure.value, name).not.toBeNull();
    }
  });

  test('several images of one patient widen the intervals', () => {
    const once = findings(200, 1, 8, 0);
    const four = (values: Float32Array | Float64Array) => {
      const all = new (values.constructor as Float64ArrayConstructor)(values.length * 4);
      for (let copy = 0; copy < 4; copy++) all.set(values, copy * values.length);
      return all;
    };
    const values = four(once.targets.values as Float32Array) as unknown as Float32Array;
    const targets = { kind: 'findings', names: once.targets.names, values } as const;
    const copied = { targets, probabilities: four(once.probabilities as Float64Array) };
    const groups = Int32Array.from({ length: 800 }, (_, i) => i % 200);
    const plain = measureFigures(copied, quick);
    const grouped = measureFigures(copied, { ...quick, groups });
    for (const name of ['auroc', 'auprc', 'nll', 'brier', 'eceDebiased']) {
      const width = ({ low, high }: { low: number | null; high: number | null }) => high! - low!;
      expect(width(grouped[name]!), name).toBeGreaterThan(1.4 * width(plain[name]!));
    }
  });

  test('differences: per finding, corrected over findings', () => {
    const exact = { ...outputs, probabilities: findings(800, 1, 3).probabilities };
    const { nll: loss, auroc: area } = compareFigures(outputs, exact, quick);
    expect(loss!.p).toBeLessThan(0.05);
    expect(area!.value).toBeCloseTo(0, 12);
    expect(loss!.perFinding!.edema!.adjusted).toBeGreaterThanOrEqual(loss!.perFinding!.edema!.p!);
    expect(area!.perFinding!.hernia!).toEqual({
      value: null,
      low: null,
      high: null,
      p: null,
      adjusted: null,
    });
  });

  test('fp32 rounds a sure probability to 1; the logit keeps the loss of an error finite and true', () => {
    const targets = { kind: 'findings', names: ['edema'], values: Float32Array.of(0, 1) } as const;
    const sure = { targets, probabilities: Float32Array.of(1, 1), logits: Float32Array.of(20, 20) };
    const bare = { targets, probabilities: sure.probabilities };
    expect(measureFigures(sure, quick).nll!.value).toBeCloseTo(10, 6);
    expect(measureFigures(bare, quick).nll!.value).toBeCloseTo((126 * Math.LN2) / 2, 6);
  });

  test('operating points come from validation and are judged elsewhere', () => {
    const thresholds = chooseThresholds(findings(2000, 2, 11));
    expect(thresholds[2]).toBeNaN();
    const judged = measureFigures({ ...outputs, thresholds }, quick);
    expect(judged.sensitivity!.perFinding!.hernia!.value).toBeNull();
    const { value } = judged.sensitivity!.perFinding!.edema!;
    expect(value! + judged.specificity!.perFinding!.edema!.value! - 1).toBeGreaterThan(0.2);
    expect(measured.sensitivity).toBeUndefined();
    const all = chooseThresholds(findings(2000, 2, 11), { sensitivity: 1 });
    const own = measureFigures({ ...findings(2000, 2, 11), thresholds: all }, { replicates: 0 });
    expect(own.sensitivity!.perFinding!.edema!.value).toBe(1);
  });
});

describe('thresholds', () => {
  const targets = { kind: 'findings', names: ['f'], values: Float32Array.of(0, 0, 1, 0, 1, 1) } as const;
  const outputs = { targets, probabilities: Float64Array.of(0.1, 0.2, 0.3, 0.4, 0.7, 0.9) };

  test('each rule against what can be counted by hand', () => {
    expect(chooseThresholds(outputs)[0]).toBeCloseTo(0.55, 12); // 2/3 + 1 − 1, as 1 + 2/3 − 1 at 0.25, but nearer 0.5
    expect(chooseThresholds(outputs, 'f1')[0]).toBeCloseTo(0.25, 12); // 6/7 against 4/5
    expect(chooseThresholds(outputs, { sensitivity: 1 })[0]).toBeCloseTo(0.25, 12);
    expect(chooseThresholds(outputs, { specificity: 1 })[0]).toBeCloseTo(0.55, 12);
    expect(() => chooseThresholds(outputs, { specificity: 2 })).toThrow('at most 1');
    expect(() => chooseThresholds(oneOfK(5, 2, 1, 1))).toThrow('findings');
  });
});

describe('a new figure is one entry', () => {
  const list = figuresOf('one-of-k') as unknown as { name: string }[];
  afterEach(() => {
    const at = list.findIndex(({ name }) => name === 'halfRight');
    if (at >= 0) list.splice(at, 1);
  });

  test('it is measured, compared and corrected like the others', () => {
    registerFigure('one-of-k', {
      name: 'halfRight',
      label: 'Half right',
      unit: '%',
      digits: 1,
      better: 'higher',
      meaning: 'Half of Top-1.',
      sort: 'plain',
      of: (seen) => top1(seen.predictions) / 2,
    });
    const outputs = oneOfK(50, 3, 1, 1);
    const { halfRight, top1: whole } = measureFigures(outputs, { replicates: 0 });
    expect(halfRight!.value).toBe(whole!.value! / 2);
    expect(compareFigures(outputs, outputs, { replicates: 0 }).halfRight!.value).toBe(0);
    expect(() => registerFigure('one-of-k', { ...figuresOf('one-of-k')[0]! })).toThrow('already');
    expect(() => registerFigure('one-of-k', { ...figuresOf('one-of-k')[0]!, name: 'a b' })).toThrow(
      'cannot name',
    );
  });
});

test('outputs from predictions and back', () => {
  const outputs = oneOfK(20, 3, 1, 1);
  expect(predictionsOf(outputsOf(predictionsOf(outputs)))).toEqual(predictionsOf(outputs));
});

describe('predicted doubt', () => {
  const outputs = findings(400, 1, 7);
  const rates = Float32Array.from(outputs.probabilities, (p) =>
    Math.fround(Math.min(0.9, 2 * Math.min(p, 1 - p))),
  );
  const targets = { ...outputs.targets, rates } as Outputs['targets'];
  const plain: Outputs = { ...outputs, targets };
  const exact: Outputs = { ...plain, doubt: rates };
  const reversed: Outputs = { ...plain, doubt: rates.map((r) => Math.fround(0.9) - r) };

  test('is measured where it was predicted, and the others keep their figures', () => {
    const methods = new Map([
      ['plain', [plain]],
      ['exact', [exact]],
      ['reversed', [reversed]],
    ]);
    const joint = measureMethods(methods, { replicates: 1000, pairs: 'all' });
    const of = (id: string, figure: string) => joint.methods.get(id)![figure]!;
    expect(of('plain', 'doubt.rank')).toMatchObject({ value: null, low: null });
    expect(of('plain', 'doubt.ece').value).toBeNull();
    expect(of('exact', 'doubt.rank').value).toBeCloseTo(1, 10);
    expect(of('reversed', 'doubt.rank').value).toBeCloseTo(-1, 4);
    expect(of('reversed', 'doubt.ece').value).toBeGreaterThan(of('exact', 'doubt.ece').value!);
    for (const id of ['plain', 'exact'])
      expect(of(id, 'auroc').value).toBe(measureFigures(outputs, { figures: ['auroc'] }).auroc!.value);
    const difference = (a: string, b: string) =>
      joint.pairs.find(({ first, second }) => [first, second].sort().join() === [a, b].sort().join())!
        .figures['doubt.rank']!;
    expect(difference('exact', 'plain')).toMatchObject({ value: null, p: null });
    expect(Math.abs(difference('exact', 'reversed').value!)).toBeCloseTo(2, 4);
    const json = figuresJson(joint.methods.get('exact')!) as Record<string, Record<string, unknown>>;
    expect(Object.keys(json.doubt!)).toEqual(['rank', 'ece']);
  });

  test('is absent where nobody predicts it, or no doubt is expressed', () => {
    expect(measureFigures(plain)['doubt.rank']).toBeUndefined();
    expect(measureFigures({ ...outputs, doubt: rates })['doubt.ece']).toBeUndefined();
  });
});

describe('AUROC three ways', () => {
  // Four images of one finding: present, probable (p = 0.8), doubtful (p = 0.2), absent; and one that nobody knows.
  const outputs = (probabilities: number[]): Outputs => ({
    targets: {
      kind: 'findings',
      names: ['a'],
      values: Float32Array.of(1, 1, 0, 0, 1),
      rates: Float32Array.of(-0.1, 0.4, 0.4, 0, 0.9),
      mask: Uint8Array.of(1, 1, 1, 1, 0),
    },
    probabilities: Float64Array.from(probabilities),
  });
  const measured = (probabilities: number[]) => {
    const { auroc, aurocDefinite, aurocSoft } = measureFigures(outputs(probabilities));
    return [auroc!.value, aurocDefinite!.value, aurocSoft!.value];
  };

  test('hedged cases thresholded, left out, and as soft labels', () => {
    // The doubtful one above the probable one: 3 of 4 pairs, 1 of 1, and the weights of the pairs by hand.
    const [thresholded, definite, soft] = measured([0.9, 0.3, 0.6, 0.1, 0]);
    expect(thresholded).toBe(0.75);
    expect(definite).toBe(1);
    // Σ y = Σ (1 − y) = 2; on the right side 1·(0.8 + 0.2 + 1), 0.2·(0.2 + 1), 0.8·1; tied with itself 0.16 twice.
    expect(soft).toBeCloseTo((2 + 0.2 * 1.2 + 0.8 + 0.16) / 4, 6);
    expect(measured([0.9, 0.6, 0.3, 0.1, 0])[2]).toBeGreaterThan(soft!);
  });

  test('stands only where doubt is expressed', () => {
    const plain = outputs([0.9, 0.3, 0.6, 0.1, 0]);
    const { rates: _, ...targets } = plain.targets as Extract<Outputs['targets'], { kind: 'findings' }>;
    const hard = measureFigures({ ...plain, targets });
    expect(hard.auroc!.value).toBe(0.75);
    expect(hard.aurocSoft).toBeUndefined();
    expect(hard.aurocDefinite).toBeUndefined();
  });
});
