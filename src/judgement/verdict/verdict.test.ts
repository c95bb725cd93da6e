import { describe, expect, test } from 'vitest';
import { simulated } from '../../../test/fixtures/judgement/simulated.ts';
import {
  type Judgement,
  judge,
  type Report,
  reportHtml,
  reportMarkdown,
  reportTables,
  reportText,
  reportVerdicts,
} from '../index.ts';
import type { BaselineResults } from '../parts/baselines.ts';
import type { FigureResults } from '../parts/figures.ts';
import { showCell } from '../report.ts';
import { differencesOf } from '../summary.ts';

const parts = { calibration: ['temperature'], conformal: false, embeddings: false };

function reportOf(judgement: Judgement): Report {
  return {
    version: 2,
    title: 'A comparison',
    finished: '2026-11-28T00:00:00.000Z',
    command: 'penumbra compare x',
    facts: [],
    methods: judgement.methods.map(({ id, label }) => ({ id, label, about: id })),
    cells: [{ set: '', network: '', about: '', judgement }],
    missing: [],
    notes: [],
    software: {},
  };
}

const everywhere = (report: Report) => [reportHtml(report), reportMarkdown(report), reportText(report)];

describe('networks at chance level', { timeout: 300_000 }, () => {
  // Logits that are noise: right as often as by chance, and very sure of it.
  const methods = [
    ['hard', 'Hard labels', 0.02, 150],
    ['ls', 'Label smoothing', 0.005, 150],
  ] as const;

  test('are said to have learned nothing, before anything else, in every rendering', async () => {
    const judgement = await judge(simulated({ methods, samples: 300, seeds: 1 }), { replicates: 200, parts });
    const report = reportOf(judgement);
    const [{ verdict }] = reportVerdicts(report) as [ReturnType<typeof reportVerdicts>[number]];
    expect(verdict.kind).toBe('nothing-learned');
    expect(verdict.sentence).toMatch(
      /^None of these networks learned anything: right in \d+ (to \d+ )?% of 5 classes/,
    );
    const html = reportHtml(report);
    expect(html).toContain('class="banner"');
    expect(html.indexOf('learned anything')).toBeLessThan(html.indexOf('<table'));
    for (const text of everywhere(report)) {
      expect(text).toContain('None of these networks learned anything');
      expect(text).toContain('learned nothing');
      expect(text).not.toMatch(/Hard labels: neither over- nor under-confident/);
    }
  });

  test('of findings too; and one that learned is not swept along', async () => {
    const names = ['edema', 'mass', 'nodule'];
    const noise = await judge(simulated({ kind: 'findings', names, methods, samples: 300, seeds: 1 }), {
      replicates: 200,
      parts,
    });
    expect(reportVerdicts(reportOf(noise))[0]!.verdict.kind).toBe('nothing-learned');
    const one = await judge(
      simulated({
        methods: [...methods.slice(0, 1), ['ols', 'Online label smoothing', 1, 0.5]],
        samples: 300,
        seeds: 1,
      }),
      { replicates: 200, parts },
    );
    const [{ verdict, cautions }] = reportVerdicts(reportOf(one)) as [
      ReturnType<typeof reportVerdicts>[number],
    ];
    expect(verdict.kind).not.toBe('nothing-learned');
    expect(cautions.join(' ')).toContain('Hard labels learned nothing');
  });

  test('chance and class frequencies are rows with closed forms', async () => {
    const judgement = await judge(simulated({ samples: 300, seeds: 1 }), { replicates: 50, parts });
    const { rows, majority, from } = judgement.parts.baselines as BaselineResults;
    const [frequencies, chance] = rows;
    expect(from).toBe('validation');
    expect(chance!.figures.nll!.value).toBeCloseTo(Math.log(5), 12);
    expect(chance!.figures.brier!.value).toBeCloseTo(0.8, 12);
    const most = judgement.names.indexOf(majority!);
    expect(frequencies!.figures.top1!.value).toBeCloseTo(judgement.support[most]! / 300, 12);
    expect(frequencies!.figures.auroc!.value).toBeCloseTo(0.5, 12);
    expect(reportHtml(reportOf(judgement))).toContain('At random');
  });
});

describe('a study whose only finding is a confidence gap', { timeout: 300_000 }, () => {
  // Only the test of the gap is significant: all other p-values are taken back, as with 195 images.
  async function gapOnly(): Promise<Judgement> {
    const judgement = await judge(
      simulated({
        methods: [
          ['hard', 'Hard labels', 1, 0.2],
          ['ls', 'Label smoothing', 0.45, 0.2],
        ],
        samples: 195,
        seeds: 1,
      }),
      {
        replicates: 200,
        parts: { ...parts, calibration: false },
        only: ['figures', 'baselines', 'reliability'],
      },
    );
    const figures = judgement.parts.figures as FigureResults;
    const methods = figures.methods.map((one) => ({
      ...one,
      versus:
        one.versus &&
        Object.fromEntries(
          Object.entries(one.versus).map(([name, difference]) => [
            name,
            name === 'confidenceGap' || difference.p === null
              ? difference
              : { ...difference, p: 0.4, adjusted: 0.4 },
          ]),
        ),
    }));
    return { ...judgement, parts: { ...judgement.parts, figures: { ...figures, methods } } };
  }

  test('says so in its first sentence, its table and its list of differences', async () => {
    const judgement = await gapOnly();
    const { versus } = (judgement.parts.figures as FigureResults).methods[1]!;
    expect(versus!.confidenceGap!.adjusted).toBeLessThan(0.05);
    const report = reportOf(judgement);
    const [{ verdict }] = reportVerdicts(report) as [ReturnType<typeof reportVerdicts>[number]];
    expect(verdict.kind).toBe('gap-only');
    expect(verdict.sentence).toMatch(/Label smoothing is \d+ points under-confident/);
    for (const text of everywhere(report)) {
      expect(text).toContain('points under-confident');
      expect(text).toMatch(/Label smoothing: Confidence − accuracy/);
      expect(text).not.toMatch(/nothing differs significantly/i);
    }
  });
});

test('nothing significant is left out: every mark of every table is in the list of differences', {
  timeout: 300_000,
}, async () => {
  const judgement = await judge(simulated({ samples: 150, seeds: 1, pairs: 'all' }), {
    replicates: 100,
    parts: { embeddings: false, calibration: ['temperature', 'isotonic'] },
  });
  const report = reportOf(judgement);
  const shown = showCell(report, report.cells[0]!, 'file');
  const listed = differencesOf(shown);
  const pages = everywhere(report);
  let marks = 0;
  for (const { part, blocks } of shown.parts)
    for (const block of blocks) {
      if (!('table' in block) || block.table.id === 'calibration') continue;
      const { columns, rows, against = 'Hard labels' } = block.table;
      for (const row of rows)
        row.cells.forEach(({ p, mark }, c) => {
          if (mark === null) return;
          expect(p).toBeLessThan(0.05);
          marks++;
          const method = row.stubs.at(-1)!;
          const { label, group } = columns[c]!;
          const figure = group === undefined ? label : `${group}: ${label}`;
          const found = listed.filter((one) => one.where.startsWith(part.title) && one.against === against);
          expect(
            found.some((one) => one[mark].get(method)?.includes(figure)),
            `${part.title} ${method} ${figure}`,
          ).toBe(true);
          for (const page of pages) expect(page.includes(method)).toBe(true);
        });
    }
  expect(marks).toBeGreaterThan(20);
  // What the heat map of calibrators marks stands in the tables of each calibrator.
  const tables = reportTables(report);
  const heat = tables.find(({ id }) => id === 'calibration')!;
  for (const row of heat.rows)
    row.cells.forEach(({ mark }, c) => {
      const [figure, calibrator] = heat.columns[c]!.id.split('_') as [string, string];
      const own = tables.find(
        ({ id }) => id === (calibrator === 'none' ? 'main' : `calibration-${calibrator}`),
      )!;
      const cell = own.rows.find(({ stubs }) => stubs.at(-1) === row.stubs.at(-1))!.cells[
        own.columns.findIndex(({ id }) => id === figure)
      ]!;
      expect(cell.mark, `${figure} ${calibrator}`).toBe(mark);
    });
});
