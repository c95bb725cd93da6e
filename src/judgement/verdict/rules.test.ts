import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ShownFigure } from '../shown.ts';
import type { Facts, MethodFacts } from './facts.ts';
import { overall } from './overall.ts';
import { cautions, decide, registerRule, ruleList, wordOf } from './rules.ts';

const shown = (
  name: string,
  label: string,
  unit: '%' | 'nats' | '',
  better: ShownFigure['better'],
  sort: 'statistic' | 'calibration',
) => ({ name, label, unit, digits: 1, better, meaning: '', sort }) as ShownFigure;
const figures: Record<string, ShownFigure> = Object.fromEntries(
  [
    shown('top1', 'Top-1', '%', 'higher', 'statistic'),
    shown('auroc', 'AUROC', '', 'higher', 'statistic'),
    shown('nll', 'NLL', 'nats', 'lower', 'statistic'),
    shown('brier', 'Brier score', '', 'lower', 'statistic'),
    shown('eceDebiased', 'ECE, debiased', '%', 'lower', 'calibration'),
    shown('confidenceGap', 'Confidence − accuracy', '%', 'zero', 'statistic'),
  ].map((figure) => [figure.name, figure]),
);

type Tests = MethodFacts['against'];
const even: Tests = Object.fromEntries(Object.keys(figures).map((name) => [name, 'undecided']));

function method(
  id: string,
  sure: number,
  right: number,
  error: number,
  against: Tests = {},
  more: Partial<MethodFacts> = {},
): MethodFacts {
  const gap = sure - right;
  return {
    id,
    name: id.toUpperCase(),
    sure,
    right,
    gap: { value: gap, low: gap - 0.03, high: gap + 0.03 },
    error: { value: error, low: Math.max(0, error - 0.04), high: error + 0.04 },
    values: { top1: right, auroc: 0.8, nll: 1 + error, brier: 0.5, eceDebiased: error, confidenceGap: gap },
    learned: true,
    beatsMajority: true,
    against: id === 'hard' ? {} : { ...even, ...against },
    fitted: null,
    againstFitted: null,
    ...more,
  };
}

function facts(methods: readonly MethodFacts[], more: Partial<Facts> = {}): Facts {
  return {
    kind: 'one-of-k',
    samples: 600,
    classes: 5,
    level: '95 %',
    tested: true,
    methods,
    baseline: methods[0]!.id,
    figures,
    error: 'eceDebiased',
    accuracies: ['top1', 'auroc'],
    losses: ['nll', 'brier'],
    ignorant: { name: 'Always “grade 2”', right: 0.21 },
    calibrator: null,
    visible: 0.04,
    ...more,
  };
}

const fitted = (error: number, temperature = 1.9): MethodFacts['fitted'] => ({
  error: { value: error, low: 0, high: error + 0.03 },
  temperature,
  change: {},
});
const hard = method('hard', 0.68, 0.56, 0.16, {}, { fitted: fitted(0.035) });
const plain = method('hard', 0.68, 0.56, 0.16);
const ols = (against: Tests = { eceDebiased: 'better' }, more: Partial<MethodFacts> = {}) =>
  method('ols', 0.54, 0.54, 0.04, against, more);

/** One case for each rule: facts for which it decides, and what a stranger is told. */
const cases: Record<string, readonly [Facts, RegExp, string?]> = {
  untested: [facts([plain, ols()], { tested: false }), /^Nothing can be said yet/],
  'nothing-learned': [
    facts([
      method('hard', 0.9, 0.2, 0.7, {}, { learned: false }),
      method('ols', 0.5, 0.2, 0.3, {}, { learned: false }),
    ]),
    /^None of these networks learned anything: right in 20 % of 5 classes, where answering always “grade 2” is right in 21 %\.$/,
  ],
  'alone-off': [
    facts([hard], { calibrator: 'temperature' }),
    /^Do not take HARD at its word: it is 68 % sure and right in 56 %, .* off by 16\.0 %/,
    'hard',
  ],
  'alone-good': [
    facts([method('hard', 0.55, 0.55, 0.01, {}, { error: { value: 0.01, low: 0, high: 0.04 } })]),
    /^HARD can be believed: it is 55 % sure and right in 55 %, and its true calibration error is at most 4\.0 %\.$/,
    'hard',
  ],
  'alone-unsure': [
    facts([method('hard', 0.55, 0.55, 0.03)]),
    /^600 images cannot tell whether HARD can be believed/,
  ],
  'no-difference': [
    facts([plain, ols({})], { samples: 195 }),
    /^OLS and HARD cannot be told apart on 195 images, and HARD is over-confident/,
  ],
  'temperature-does-as-much': [
    facts([hard, ols({ eceDebiased: 'better' }, { againstFitted: even })], { calibrator: 'temperature' }),
    /^Believe HARD with a temperature of 1\.9: one fitted number does as much as OLS\. The calibration error of HARD falls from 16\.0 % to 3\.5 %\.$/,
    'hard',
  ],
  'method-better': [
    facts(
      [hard, ols({ eceDebiased: 'better', nll: 'better' }, { againstFitted: { ...even, nll: 'better' } })],
      { calibrator: 'temperature' },
    ),
    /^Believe OLS: it is 54 % sure and right in 54 %, while HARD is 68 % sure and right in 56 %/,
    'ols',
  ],
  'trade-off': [
    facts([plain, ols({ eceDebiased: 'better', top1: 'worse' })]),
    /^Better probabilities have a price here: .* worse in Top-1 \(54\.0 % against 56\.0 %\)/,
  ],
  'better-otherwise': [
    facts([plain, ols({ nll: 'better' })]),
    /^Take OLS: it is better than HARD in NLL/,
    'ols',
  ],
  'gap-only': [
    facts([method('hard', 0.56, 0.56, 0.02), method('ls', 0.4, 0.57, 0.1, { confidenceGap: 'differs' })]),
    /^They differ in how sure they are, and in nothing else that could be shown: LS is 17 points under-confident, HARD neither over- nor under-confident beyond chance\.$/,
  ],
  'baseline-stands': [facts([plain, ols({ nll: 'worse' })]), /^Stay with HARD: .* OLS is worse\.$/, 'hard'],
  mixed: [
    facts([plain, ols({ auroc: 'better', nll: 'worse' })]),
    /^No method is simply better than HARD: OLS is better in AUROC but worse in NLL\.$/,
  ],
};

describe('the rules', () => {
  test.each(Object.entries(cases))('%s', (kind, [given, sentence, believed]) => {
    const verdict = decide(given);
    expect(verdict.kind).toBe(kind);
    expect(verdict.sentence).toMatch(sentence);
    expect(verdict.method).toBe(believed);
    for (const text of [verdict.sentence, verdict.because, verdict.advice]) expect(text).toMatch(/^\S.*\.$/s);
    expect(verdict.short).not.toBe('');
  });

  test('every rule has its case here, and says when it holds', () => {
    expect(Object.keys(cases).sort()).toEqual(
      ruleList()
        .map((rule) => rule.kind)
        .sort(),
    );
    for (const { when } of ruleList()) expect(when.length).toBeGreaterThan(10);
  });

  test('a fitted number is not praised where a method is ahead of it, or where it mends nothing', () => {
    const ahead = ols({ eceDebiased: 'better' }, { againstFitted: { ...even, eceDebiased: 'better' } });
    expect(decide(facts([hard, ahead], { calibrator: 'temperature' })).kind).toBe('method-better');
    const useless = { ...hard, fitted: fitted(0.2) };
    const level = ols({ eceDebiased: 'better' }, { againstFitted: even });
    expect(decide(facts([useless, level], { calibrator: 'temperature' })).kind).toBe('method-better');
  });

  test('a fitted number also does as much as methods that win in a loss alone', () => {
    const inLoss = ols({ nll: 'better', brier: 'better' }, { againstFitted: even });
    const verdict = decide(facts([hard, inLoss], { calibrator: 'temperature' }));
    expect(verdict.kind).toBe('temperature-does-as-much');
    expect(verdict.because).toContain('significantly better in NLL or Brier score');
    const ahead = ols({ nll: 'better' }, { againstFitted: { ...even, nll: 'better' } });
    expect(decide(facts([hard, ahead], { calibrator: 'temperature' })).kind).toBe('better-otherwise');
  });

  test('a method that learned nothing is never believed, however calibrated it is', () => {
    const dull = ols({ eceDebiased: 'better' }, { learned: false });
    const verdict = decide(facts([plain, dull]));
    expect(verdict.method).not.toBe('ols');
    expect(cautions(facts([plain, dull])).join(' ')).toContain('OLS learned nothing');
  });

  test('a new rule is asked before the last one', () => {
    registerRule(
      {
        kind: 'mine',
        when: 'there are exactly seven classes',
        decide: ({ classes }) =>
          classes === 7 ? { sentence: 'Seven.', because: 'So.', advice: 'Do.', short: 'seven' } : undefined,
      },
      'untested',
    );
    expect(decide(facts([plain], { classes: 7 })).kind).toBe('mine');
    expect(decide(facts([plain])).kind).not.toBe('mine');
    (ruleList() as unknown as { kind: string }[]).shift();
  });
});

test('better than chance in ranking, but right no more often than the majority, is said', () => {
  const [text] = cautions(facts([method('hard', 0.6, 0.6, 0.1, {}, { beatsMajority: false })]));
  expect(text).toBe(
    'HARD ranks images better than chance but is right no more often than answering always “grade 2” (21 %).',
  );
});

test('a gap beyond chance makes a method over- or under-confident though its error may be 0', () => {
  const one = method('hard', 0.4, 0.57, 0.03);
  expect(wordOf(facts([one]), one)).toEqual({ word: 'under-confident', kind: 'bad' });
});

test('several sets: the same verdict is said once, different ones by set', () => {
  const believe = decide(cases['method-better']![0]);
  const even = decide(cases['no-difference']![0]);
  expect(overall([{ name: 'knee', verdict: believe }]).sentence).toBe(believe.sentence);
  expect(
    overall([
      { name: 'knee', verdict: believe },
      { name: 'brain', verdict: believe },
    ]).sentence,
  ).toBe('Believe OLS, on all of knee and brain.');
  expect(
    overall([
      { name: 'few', verdict: even },
      { name: 'knee', verdict: believe },
      { name: 'brain', verdict: believe },
    ]).sentence,
  ).toBe('On knee and brain believe OLS; on few no method can be told apart.');
});

test('property: there is a verdict for any facts, and nothing undefined is in it', () => {
  const verdict = fc.constantFrom('better', 'worse', 'undecided', 'untested') as fc.Arbitrary<'better'>;
  const value = fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null });
  const tests = fc.record({
    top1: verdict,
    auroc: verdict,
    nll: verdict,
    brier: verdict,
    eceDebiased: verdict,
    confidenceGap: fc.constantFrom('differs', 'undecided') as fc.Arbitrary<'differs'>,
  });
  const estimate = fc.record({ value, low: value, high: value });
  const one = fc.record({
    sure: value,
    right: value,
    gap: fc.option(estimate, { nil: null }),
    error: estimate,
    learned: fc.constantFrom(true, false, null),
    beatsMajority: fc.constantFrom(true, false, null),
    against: tests,
    fitted: fc.option(fc.record({ error: estimate, temperature: value, change: fc.constant({}) }), {
      nil: null,
    }),
    againstFitted: fc.option(tests, { nil: null }),
  });
  fc.assert(
    fc.property(
      fc.array(one, { minLength: 1, maxLength: 9 }),
      fc.boolean(),
      fc.boolean(),
      (some, tested, findings) => {
        const methods = some.map(
          (own, i): MethodFacts => ({
            id: `m${i}`,
            name: `M${i}`,
            ...own,
            against: i === 0 ? {} : own.against,
            values: {
              top1: own.right,
              auroc: null,
              nll: 1,
              brier: 0.4,
              eceDebiased: own.error.value,
              confidenceGap: null,
            },
          }),
        );
        const given = facts(methods, {
          tested,
          kind: findings ? 'findings' : 'one-of-k',
          calibrator: 'temperature',
        });
        const { sentence, because, advice, short, method: believed } = decide(given);
        for (const text of [
          sentence,
          because,
          advice,
          short,
          ...cautions(given),
          ...methods.map((m) => wordOf(given, m).word),
        ])
          expect(text).not.toMatch(
            /NaN|undefined|null|Infinity|^$|\.\.$|\b(is|are) (still )?(it|expects|learned|can)\b/,
          );
        if (believed !== undefined)
          expect(methods.find(({ id }) => id === believed)!.learned).not.toBe(undefined);
      },
    ),
    { numRuns: 300 },
  );
});

test('what differs at thresholds alone decides nothing, and is told', () => {
  const cut = { sensitivity: 'worse', specificity: 'better' } as const;
  const found = facts([plain, ols({}, { cut })], {
    figures: {
      ...figures,
      sensitivity: { ...figures.auroc!, name: 'sensitivity', label: 'Sensitivity', needs: 'thresholds' },
      specificity: { ...figures.auroc!, name: 'specificity', label: 'Specificity', needs: 'thresholds' },
    },
  });
  expect(decide(found).kind).not.toBe('mixed');
  expect(decide(found).because).toContain(`None of ${Object.keys(figures).length} figures`);
  expect(cautions(found).at(-1)).toBe(
    'At thresholds chosen on validation, against HARD: OLS is higher in Specificity and lower in Sensitivity. That is where they cut, not how well they rank.',
  );
});
