import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { Random } from '../../src/random.ts';
import {
  createAssessor,
  defaultLexicon,
  findingSet,
  type Lexicon,
  parseLexicon,
  type Report,
} from '../../src/reports/index.ts';
import { readableReports } from '../../src/reports/io/reports-in.ts';
import { compareOnServer } from '../../src/reports/mine/compare-server.ts';
import {
  bradleyTerry,
  candidatesAsLexicon,
  checkCoverage,
  checkExamples,
  mineLexicon,
  rankByComparisons,
} from '../../src/reports/mine/index.ts';

vi.setConfig({ testTimeout: 300_000 }); // for a busy machine

const openi = join(process.env.PENUMBRA_TEST_DATA ?? '/nowhere', 'openi-reports/reports.jsonl');
const lexicon = defaultLexicon();
const findings = findingSet();

/** Reports in which known hedges, and one that is struck from the lexicon, are used alike. */
async function* corpus(): AsyncGenerator<Report[]> {
  const random = new Random(11);
  const pick = (list: readonly string[]): string => list[random.below(list.length)]!;
  const hedges = ['suggestive of', 'worrisome for', 'suspicious for', 'consistent with', 'concerning for'];
  for (let b = 0; b < 6; b++) {
    yield Array.from({ length: 50 }, (_, i) => ({
      id: `${b}-${i}`,
      text: [
        `There is a ${pick(['left', 'right'])} basilar density ${pick(hedges)} ${pick(['pneumonia', 'atelectasis', 'effusion'])}.`,
        `No ${pick(['pneumothorax', 'effusion'])}.`,
        `Stable ${pick(['cardiomegaly', 'edema'])}.`,
      ].join(' '),
    }));
  }
}
const without = (phrase: string): Lexicon => ({
  ...lexicon,
  entries: lexicon.entries.filter((e) => !e.phrases.includes(phrase)),
});

describe('mining', () => {
  test('finds what was struck from the lexicon, and puts it beside its like', async () => {
    const [first] = await mineLexicon(corpus(), without('concerning for'), findings);
    expect(first).toMatchObject({
      phrase: expect.stringContaining('concerning for'),
      direction: 'forward',
      kind: 'hedge',
    });
    expect(first!.count).toBeGreaterThan(30);
    expect(first!.neighbours.map((n) => n.phrase)).toEqual(
      expect.arrayContaining(['worrisome for', 'suspicious for']),
    );
    // The published ranking has it at 0.690.
    expect(Math.abs(first!.probability! - 0.69)).toBeLessThan(0.06);
    expect(first!.contexts[0]).toContain('concerning for');
  });
  test.skipIf(!existsSync(openi)).each([0, 1])(
    'Open-i, every second hedge struck from the lexicon (beginning with number %i): they are what is proposed',
    async (parity) => {
      let n = 0;
      const struck = new Set<string>();
      const entries = lexicon.entries.filter(({ kind, phrases }) => {
        if (kind !== 'hedge' || n++ % 2 === parity) return true;
        for (const phrase of phrases) struck.add(phrase);
        return false;
      });
      const found = await mineLexicon(readableReports(openi), { ...lexicon, entries }, findings, {
        limit: 40,
      });
      expect(found.length).toBeGreaterThan(25);
      // Word for word; what is a part of one ("represents") or close to one is useful too, but not counted.
      const again = found.filter(({ phrase }) => struck.has(phrase));
      expect(again.length / found.length).toBeGreaterThan(0.45);
    },
  );
  test('finds nothing where the lexicon has it all', async () => {
    expect(await mineLexicon(corpus(), lexicon, findings)).toEqual([]);
  });
  test('candidates can be accepted as they are written', async () => {
    const candidates = await mineLexicon(corpus(), without('concerning for'), findings);
    const accepted = parseLexicon(candidatesAsLexicon(candidates.slice(0, 1)), 'candidates.tsv');
    const assessor = createAssessor({
      lexicon: { ...accepted, entries: [...accepted.entries, ...without('concerning for').entries] },
    });
    const text = 'Density concerning for pneumonia.';
    expect(assessor.assessMention(text, [23, 32])).toMatchObject({
      status: 'uncertain',
      probability: candidates[0]!.probability,
    });
    expect(checkExamples(accepted, findings)).toEqual([]);
  });
});

describe('checking', () => {
  test('the shipped lexicon gets all its examples right', () =>
    expect(checkExamples(lexicon, findings)).toEqual([]));
  test('a wrong example is named with its line', () => {
    const own = parseLexicon(
      'phrase\tkind\tdirection\tscope\tprobability\tsource\texample\texpected\nmay be\thedge\tbackward\tlist\t0.5\town\tThis may be [pneumonia].\tuncertain\n',
      'x',
    );
    expect(checkExamples(own, findings)).toEqual([
      { line: 2, phrase: 'may be', expected: 'uncertain', got: 'present', unseen: false },
    ]);
  });
  test('coverage counts what no cue covers', async () => {
    const full = await checkCoverage(corpus(), lexicon, findings);
    expect(full).toMatchObject({ reports: 300, coverage: 1, uncovered: [] });
    const less = await checkCoverage(corpus(), without('concerning for'), findings);
    expect(less.uncovered).toEqual([{ word: 'concerning', count: less.doubtful - less.covered }]);
    expect(less.coverage).toBeLessThan(0.9);
  });
});

describe('comparisons in pairs', () => {
  test('Bradley–Terry against a closed form: two players, no prior', () => {
    const wins = [...Array(30).fill({ winner: 0, loser: 1 }), ...Array(10).fill({ winner: 1, loser: 0 })];
    const { theta } = bradleyTerry(2, wins, 1e4);
    expect(theta[0]! - theta[1]!).toBeCloseTo(Math.log(3), 5);
  });
  test('comparisons with noise put candidates near their true place', async () => {
    const truth: Record<string, number> = {
      low: 0.2,
      middle: 0.5,
      high: 0.8,
      a: 0.1,
      b: 0.3,
      c: 0.5,
      d: 0.7,
      e: 0.9,
    };
    const logit = (p: number): number => Math.log(p / (1 - p));
    const random = new Random(5);
    const compare = async (x: string, y: string) =>
      random.uniform() < 1 / (1 + Math.exp(-2 * (logit(truth[x]!) - logit(truth[y]!))))
        ? ('a' as const)
        : ('b' as const);
    const anchors = ['a', 'b', 'c', 'd', 'e'].map((phrase) => ({ phrase, probability: truth[phrase]! }));
    const ranked = await rankByComparisons(['low', 'middle', 'high'], anchors, compare, {
      rounds: 200,
      concurrency: 1,
    });
    for (const { phrase, probability, deviation } of ranked) {
      expect(Math.abs(probability - truth[phrase]!), phrase).toBeLessThan(0.1);
      expect(Math.abs(logit(probability) - logit(truth[phrase]!))).toBeLessThan(4 * deviation + 0.3);
    }
  });
  test('too few anchors are refused', async () => {
    await expect(rankByComparisons(['x'], [], async () => 'a')).rejects.toMatchObject({
      code: 'reports/anchors',
    });
  });

  async function withServer(
    answer: (a: string, b: string) => { status?: number; body: string },
    work: (url: string) => Promise<void>,
  ): Promise<void> {
    const server: Server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += chunk));
      request.on('end', () => {
        const [, a, b] = /A: "(.*)"\nB: "(.*)"\n/.exec(JSON.parse(body).messages[0].content)!;
        const { status = 200, body: text } = answer(a!, b!);
        response.writeHead(status).end(text);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }
  const say = (content: string): { body: string } => ({
    body: JSON.stringify({ choices: [{ message: { content } }] }),
  });
  const candidate = async () =>
    (await mineLexicon(corpus(), without('concerning for'), findings)).slice(0, 1);

  test('a server that compares well is believed; thoughts and odd answers are passed over', async () => {
    let n = 0;
    const order = [
      'less likely',
      'cannot be excluded',
      'possible',
      'may represent',
      'suggestive of',
      'CANDIDATE',
      'probable',
      'consistent with',
      'most likely',
    ];
    const place = (phrase: string): number =>
      order.indexOf(phrase) < 0 ? order.indexOf('CANDIDATE') : order.indexOf(phrase);
    await withServer(
      (a, b) => {
        n++;
        if (n % 10 === 0) return say('I cannot tell.');
        return say(`<think>A or B?</think> ${place(a) > place(b) ? 'A' : 'B'}`);
      },
      async (server) => {
        const [ranked] = await compareOnServer(await candidate(), lexicon, {
          server,
          model: 'm',
          rounds: 40,
        });
        expect(ranked!.probability).toBeGreaterThan(0.55);
        expect(ranked!.probability).toBeLessThan(0.85);
        expect(ranked!.comparison!.deviation).toBeGreaterThan(0);
      },
    );
  });
  test.each<[string, { status?: number; body: string }, RegExp]>([
    ['refuses', { status: 500, body: 'secret' }, /status 500/],
    ['answers without sense', say('maybe'), /None of \d+ comparisons/],
    ['answers no JSON', { body: '<html>' }, /None of \d+ comparisons/],
  ])('a server that %s is an error', async (_, answer, message) => {
    await withServer(
      () => answer,
      async (server) => {
        await expect(
          compareOnServer(await candidate(), lexicon, { server, model: 'm', rounds: 4 }),
        ).rejects.toMatchObject({
          code: 'reports/compare',
          message: expect.stringMatching(message),
        });
      },
    );
  });
});
