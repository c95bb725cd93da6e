import { describe, expect, test } from 'vitest';
import { Random } from '../../random.ts';
import { findingSet, parseFindings } from '../findings/findings.ts';
import { probabilityToRate } from '../rate.ts';
import { backOff, createLlmExtractor, type LlmOptions } from './extractor.ts';
import { type Level, levels, meaningOf } from './levels.ts';
import { createPrompt } from './prompt.ts';
import { chatEndpoint } from './server.ts';

test('waits grow, stay under their bounds, and are the same for the same seed', () => {
  const limits = { first: 500, longest: 30_000 };
  const waits = (seed: number): number[] => {
    const random = new Random(seed);
    return Array.from({ length: 12 }, (_, i) => backOff(i + 1, limits, random));
  };
  expect(waits(1)).toEqual(waits(1));
  expect(waits(1)).not.toEqual(waits(2));
  for (let attempt = 1; attempt <= 12; attempt++) {
    const bound = Math.min(30_000, 500 * 2 ** (attempt - 1));
    const random = new Random(attempt);
    const many = Array.from({ length: 400 }, () => backOff(attempt, limits, random));
    expect(Math.max(...many)).toBeLessThan(bound);
    expect(Math.min(...many)).toBeGreaterThanOrEqual(0);
    // Full jitter: the mean is half the bound; five standard errors of 400 uniform draws.
    const mean = many.reduce((a, b) => a + b) / many.length;
    expect(Math.abs(mean - bound / 2)).toBeLessThan((5 * bound) / Math.sqrt(12 * 400));
  }
});

describe('the version', () => {
  const base: LlmOptions = { url: 'http://localhost:1/v1' };
  const version = (more: Partial<LlmOptions> = {}): string =>
    createLlmExtractor({ ...base, ...more }).version;

  test.each<[string, Partial<LlmOptions>]>([
    ['prompt', { prompt: 'Another {{findings}} {{keys}}' }],
    ['model', { model: 'other' }],
    ['findings', { findings: findingSet('chestxray14') }],
    ['temperature', { temperature: 0.1 }],
    ['seed', { seed: 1 }],
    ['longest answer', { maxTokens: 100 }],
    ['thinking', { thinking: true }],
    ['body', { body: { top_k: 1 } }],
  ])('changes with the %s', (_, more) => {
    expect(version()).toMatch(/^[0-9a-f]{16}$/);
    expect(version(more)).not.toBe(version());
  });

  test('does not change with the way to the model', () => {
    expect(version({ url: 'http://elsewhere/v1', concurrency: 3, retries: 9, timeout: 5 })).toBe(version());
  });
});

describe('the prompt', () => {
  test('names every finding with its words, every word of the answer, and nothing is left to fill in', () => {
    const findings = findingSet();
    const { system } = createPrompt(findings).messages({ id: '', text: 'x' });
    for (const finding of findings.findings) expect(system).toContain(`\n- ${finding} (`);
    for (const level of Object.keys(levels)) expect(system).toMatch(new RegExp(`^ {3}${level} `, 'm'));
    expect(system).toContain(JSON.stringify(findings.findings));
    expect(system).toContain('"No Finding" is present when');
    expect(system).not.toMatch(/\{\{|\}\}|undefined/);
  });

  test('speaks of no "No Finding" where the set has none', () => {
    const findings = parseFindings('finding\trole\tphrase\nGout\tmention\tgout\n', 'mine');
    expect(createPrompt(findings).messages({ id: '', text: 'x' }).system).not.toContain('No Finding');
  });

  test('shows the fields of a report under their names', () => {
    const { user } = createPrompt(findingSet()).messages({
      id: '',
      sections: [
        { section: 'history', text: 'Cough.' },
        { section: 'findings', text: '' },
        { section: 'impression', text: 'Clear.' },
      ],
    });
    expect(user).toMatch(/>\nHISTORY:\nCough.\n\nIMPRESSION:\nClear.\n</);
  });
});

test('the levels fall from present to absent, and their values are those of the published ranking', () => {
  // p = σ(0.0890·(μ − 24.888)) at the μ of the phrase in the ranking's table.
  const ranking: Partial<Record<Level, number>> = {
    most_likely: 43.43685173843055,
    probable: 39.42433247882465,
    suggested: 33.02324438064744,
    may_represent: 25.92324422333458,
    possible: 22.92369178229979,
    not_excluded: 17.955380295053196,
    unlikely: 7.07158165579799,
  };
  for (const [level, mu] of Object.entries(ranking)) {
    const p = 1 / (1 + Math.exp(-0.089 * (mu - 24.888)));
    expect(Math.abs(levels[level as Level].probability! - p)).toBeLessThan(0.001);
    expect(levels[level as Level].status).toBe('uncertain');
  }
  const values = Object.values(levels).map((level) => level.probability);
  const scale = values.slice(0, values.indexOf(0) + 1) as number[];
  expect(scale).toEqual([...scale].sort((a, b) => b - a));
  for (const level of Object.keys(levels) as Level[]) {
    expect(meaningOf(level)).toEqual({ ...levels[level], ...probabilityToRate(levels[level].probability) });
  }
  expect(meaningOf(null)).toEqual({
    status: 'not_mentioned',
    probability: null,
    deviation: null,
    label: null,
    rate: null,
  });
});

test.each([
  ['http://localhost:8000', 'http://localhost:8000/v1/chat/completions'],
  ['http://localhost:8000/', 'http://localhost:8000/v1/chat/completions'],
  ['http://localhost:8000/v1', 'http://localhost:8000/v1/chat/completions'],
  ['http://localhost:8000/v1/', 'http://localhost:8000/v1/chat/completions'],
  ['https://host/a/b', 'https://host/a/b/chat/completions'],
  ['https://host/v1/chat/completions', 'https://host/v1/chat/completions'],
  ['https://host/openai/v1?api-version=1#x', 'https://host/openai/v1/chat/completions?api-version=1'],
])('the address %s means %s', (url, endpoint) => {
  expect(chatEndpoint(url).href).toBe(endpoint);
});
