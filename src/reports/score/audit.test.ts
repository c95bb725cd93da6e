import { expect, test } from 'vitest';
import { Random } from '../../random.ts';
import { audit } from './audit.ts';
import type { LabelCase } from './label-errors.ts';

interface World {
  readonly n: number;
  readonly prevalence: number;
  /** Slope of truth on the hedges: 1 where they mean what they say, 0 where they are habit. */
  readonly slope: number;
  readonly hedged: number;
  readonly falsePositive: number;
  readonly miss: number;
}

const plain: World = { n: 400, prevalence: 0.3, slope: 1, hedged: 0.3, falsePositive: 0, miss: 0 };
const HEDGES = [0.17, 0.35, 0.456, 0.523, 0.673, 0.785, 0.9];

function draw(finding: string, change: Partial<World>, seed: number): LabelCase[] {
  const { n, prevalence, slope, hedged, falsePositive, miss } = { ...plain, ...change };
  const random = new Random(seed, 77);
  return Array.from({ length: n }, () => {
    if (random.uniform() < hedged) {
      const probability = HEDGES[random.below(HEDGES.length)]!;
      const logit = slope * Math.log(probability / (1 - probability));
      return { finding, probability, truth: random.uniform() < 1 / (1 + Math.exp(-logit)) };
    }
    const truth = random.uniform() < prevalence;
    const wrong = random.uniform() < (truth ? miss : falsePositive);
    return { finding, probability: Number(truth !== wrong), truth };
  });
}

/** Marked by the truth, which the radiologist knew: what the report says is what is true, or what it leans to. */
const one = (change: Partial<World>, seed = 1) => {
  const cases = draw('x', change, seed);
  const read = cases.map((each) => {
    const hedged = each.probability > 0 && each.probability < 1;
    return hedged ? { ...each, truth: each.probability >= 0.5 } : each;
  });
  return audit(cases, { read }).findings[0]!;
};

test('recommends what the world asks for', () => {
  expect(one({}).recommendation).toMatchObject({ objective: 'soft', correct: false, recalibration: null });
  expect(one({ slope: 0, n: 2000 }).recommendation).toMatchObject({ objective: 'hard' });
  const noisy = one({ falsePositive: 0.1, miss: 0.2, n: 600 });
  expect(noisy.recommendation).toMatchObject({ objective: 'forward', targets: 'soft', correct: true });
  const { errors } = noisy.recommendation;
  // The lower ends, below the truth and not far from it.
  expect(errors.falsePositive).toBeGreaterThan(0.04);
  expect(errors.falsePositive).toBeLessThan(0.1);
  expect(errors.miss).toBeGreaterThan(0.1);
  expect(errors.miss).toBeLessThan(0.2);
  expect(one({ slope: 0, falsePositive: 0.12, n: 2000 }).recommendation.objective).toBe(
    'forward:wording=false',
  );
  const shy = one({ slope: 2.5, n: 2000 }).recommendation;
  expect(shy.objective).toBe('soft');
  expect(shy.recalibration!.slope).toBeGreaterThan(2);
  expect(shy.reasons.join(' ')).toMatch(/Hedges mean more than the table has them/);
});

test('is seldom wrong about hedges that say nothing, and seldom misses those that do', () => {
  const share = (slope: number) => {
    let soft = 0;
    for (let seed = 0; seed < 60; seed++)
      soft += Number(one({ slope, n: 300 }, seed).recommendation.targets === 'soft');
    return soft / 60;
  };
  // About 90 hedges: a 95 % interval above 0 by chance in 2.5 %.
  expect(share(0)).toBeLessThan(0.1);
  expect(share(1)).toBeGreaterThan(0.85);
});

test('a finding of few hedges follows all findings together', () => {
  const rare = draw('rare', { n: 60, hedged: 0.05 }, 3);
  const follows = audit([...rare, ...draw('common', { n: 600 }, 4)]);
  expect(follows.findings[0]!.recommendation).toMatchObject({ objective: 'soft' });
  expect(follows.findings[0]!.recommendation.reasons.join(' ')).toMatch(
    /too few to say.*All findings together follow/,
  );
  const habit = audit([...rare, ...draw('common', { n: 2000, slope: 0 }, 4)]);
  expect(habit.findings[0]!.recommendation.objective).toBe('hard');
  expect(habit.recommendation.objective).toBe('hard');
  expect(
    audit(rare.filter(({ probability }) => probability % 1 === 0)).findings[0]!.recommendation.reasons[0],
  ).toMatch(/never hedged/);
});

test('corrects nothing where errors are few, not shown, or more than the finding bears', () => {
  expect(one({ miss: 0.02, n: 1000 }).recommendation.correct).toBe(false);
  const few = [
    ...new Array<LabelCase>(9).fill({ finding: 'x', probability: 1, truth: true }),
    { finding: 'x', probability: 0, truth: true },
    ...new Array<LabelCase>(50).fill({ finding: 'x', probability: 0, truth: false }),
  ];
  const unsure = audit(few, { read: few }).findings[0]!;
  expect(unsure.recommendation.correct).toBe(true); // 10 % [1.8, 40.4]: shown not to be 0
  expect(unsure.recommendation.errors.miss).toBeLessThan(0.02);
  // A finding of 1 % with 8 % false positives: most that is called present is wrong.
  const rare = one({ prevalence: 0.01, hedged: 0, falsePositive: 0.08, n: 3000 }).recommendation;
  expect(rare.correct).toBe(false);
  expect(rare.reasons.join(' ')).toMatch(/Mend the extraction/);
});

test('what the radiologist missed is no error of the extractor, and without a reading nothing is corrected', () => {
  const cases = draw('x', { miss: 0.2, n: 600 }, 5);
  // The extractor was right each time: it was the radiologist who missed.
  const read = cases.map((each) => ({ ...each, truth: each.probability >= 0.5 }));
  const [truth, reading] = [audit(cases), audit(cases, { read })];
  expect([truth.errorsOf, reading.errorsOf]).toEqual(['labels', 'extraction']);
  expect(truth.errors[0]!.miss.value).toBeGreaterThan(0.15);
  expect(truth.findings[0]!.recommendation.correct).toBe(false);
  expect(truth.recommendation.sentences.join(' ')).toMatch(/not known: mark what the reports say/);
  expect(reading.errors[0]!.miss.value).toBe(0);
  expect(reading.findings[0]!.recommendation.correct).toBe(false);
  expect(reading.findings[0]!.slope).toEqual(truth.findings[0]!.slope);
});

test('hedges that are taken for their opposite are corrected, against a reading', () => {
  const random = new Random(8);
  const read = draw('x', { n: 600, hedged: 0.8 }, 6).map((each) => ({
    ...each,
    truth: each.probability >= 0.5,
  }));
  const heard = read.map((each) => {
    const reversed = each.probability > 0 && each.probability < 1 && random.uniform() < 0.15;
    return reversed ? { ...each, probability: 1 - each.probability } : each;
  });
  const { recommendation } = audit(heard, { read: heard }).findings[0]!;
  expect(recommendation.objective).toBe('forward');
  expect(recommendation.errors.hedged).toBeGreaterThan(0.08);
  expect(recommendation.errors.hedged).toBeLessThan(0.15);
  // Their slope is small for being reversed, and is not taken off twice.
  expect(recommendation.recalibration).toBeNull();
});
