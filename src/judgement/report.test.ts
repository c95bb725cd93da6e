import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { METHODS, type SimulationOptions, simulated } from '../../test/fixtures/judgement/simulated.ts';
import { parseXml, walk } from '../../test/fixtures/study/xml.ts';
import { escapeHtml } from '../page/svg.ts';
import {
  type Judgement,
  judge,
  type Report,
  reportFigures,
  reportHtml,
  reportMarkdown,
  reportTables,
  reportText,
} from './index.ts';
import type { FigureResults } from './parts/figures.ts';
import { showCell } from './report.ts';
import { allDifferences } from './report-reading.ts';

const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=y>',
  "it's & so | x",
  '</style>',
  'é 中 ☃',
];

const cases: Record<
  string,
  { simulation: SimulationOptions; replicates?: number; parts?: Record<string, unknown>; cells?: number }
> = {
  'three methods on a phantom, another centre': { simulation: { centres: true, pairs: 'all' } },
  'one run, an absent class, hostile names': {
    simulation: {
      seeds: 1,
      posterior: false,
      validation: false,
      names: HOSTILE,
      absent: 4,
      methods: [
        ['a<b', 'Hard <labels>', 3, 0.6],
        ['b|c', 'Hard <labels>', 1, 0.6],
      ],
      baseline: 'a<b',
      strata: { 'side <x>': ['l', 'l', 'r', 'r', '<r>'] },
    },
  },
  'one method, no intervals': { simulation: { methods: METHODS.slice(0, 1) }, replicates: 0 },
  findings: {
    simulation: { kind: 'findings', names: ['edema', 'no <finding>'], seeds: 1, frequencies: [0.2, 0.01] },
    parts: { calibration: ['platt'] },
  },
  'nine methods in two cells': {
    simulation: {
      samples: 60,
      seeds: 1,
      methods: Array.from(
        { length: 9 },
        (_, i) => [`ls:eps=0.${i}`, 'Label smoothing', 0.6 + i / 5, 0.4] as const,
      ),
    },
    replicates: 10,
    parts: { calibration: ['temperature'] },
    cells: 2,
  },
  'features and certificates': {
    simulation: { samples: 60, seeds: 1, network: true, methods: METHODS.slice(0, 2) },
    replicates: 20,
    parts: {
      calibration: false,
      conformal: false,
      embeddings: { sample: 20, k: 3, pictures: ['tsne'] },
      certificates: { images: 4, samples: 100 },
    },
  },
};

describe.each(Object.entries(cases))('%s', (_, { simulation, replicates = 30, parts = {}, cells = 1 }) => {
  let report: Report;
  let html: string;
  beforeAll(async () => {
    const judgement = await judge(simulated({ samples: 90, ...simulation }), {
      replicates,
      parts: { embeddings: false, ...parts },
    });
    report = throughJson(reportOf(judgement, cells));
    html = reportHtml(report);
  }, 300_000);

  test('the page is well-formed, and every < and > is that of an element', () => {
    expect(html.startsWith('<!doctype html>\n')).toBe(true);
    expect(misnested(html)).toBeUndefined();
    const rest = withoutStyle(html)
      .replace(/<!doctype html>/, '')
      .replace(/<\/?[a-z][a-z0-9]*(?:\s+[a-zA-Z][a-zA-Z0-9-]*="[^"<>]*")*\s*\/?>/g, '');
    expect(rest).not.toMatch(/[<>]/);
  });

  test('it asks for nothing from outside, and its policy lets its own script run alone', () => {
    for (const [element] of withoutStyle(html).matchAll(/<[^>]*>/g)) {
      // What is said of a cell is text, whatever it holds: quotes and brackets in it are escaped.
      expect(element.replace(/ (?:data-head|title|alt|aria-label)="[^"]*"/g, '')).not.toMatch(
        /https?:|<(?:link|iframe|object)|\s(?:xlink:href|on[a-z]+)=|\shref="(?!#)|\ssrc="(?!data:image\/)/i,
      );
    }
    const scripts = [...html.matchAll(/<script>(.*?)<\/script>/gs)].map(([, script]) => script!);
    expect(scripts).toHaveLength(1);
    const hash = createHash('sha256').update(scripts[0]!).digest('base64');
    expect(html).toContain(escapeHtml(`default-src 'none'`));
    expect(html).toContain(escapeHtml(`script-src 'sha256-${hash}'`));
    expect(/<style>.*?<\/style>/s.exec(html)![0]).not.toMatch(/https?:|@import|<\/style>.+/);
    for (const [, target] of html.matchAll(/url\(([^)]*)\)/g)) expect(target).toBe('#hatch');
    expect(html).toContain('@media screen and (prefers-color-scheme: dark)');
    expect(html).toContain('@media print');
  });

  test('no NaN, null, undefined or Infinity anywhere', () => {
    const seen = withoutStyle(html).replace(/ (?:class|d|style|points)="[^"]*"/g, '');
    for (const text of [seen, reportMarkdown(report), reportText(report), ...reportFigures(report).values()])
      expect(text).not.toMatch(/NaN|\bnull\b|undefined|Infinity|\[object/);
  });

  test('every link leads somewhere, and ids are there once', () => {
    const ids = [...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id!);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, target] of html.matchAll(/href="#([^"]*)"/g)) expect(ids).toContain(target);
    for (const part of Object.keys(report.cells[0]!.judgement.parts)) expect(ids).toContain(`cell-1-${part}`);
    for (const [part, { quiet, absent }] of Object.entries(report.cells[0]!.judgement.absent)) {
      expect(ids).not.toContain(`cell-1-${part}`);
      if (!quiet) expect(html).toContain(escapeHtml(absent));
    }
  });

  test('every figure is a file that stands alone, of a safe name', () => {
    const files = [...reportFigures(report)];
    expect(files.length).toBeGreaterThan(1);
    for (const [name, svg] of files) {
      expect(name).toMatch(/^[A-Za-z0-9._+-]+\.svg$/);
      const root = parseXml(svg);
      const [, , width, height] = root.attributes.viewBox!.split(' ').map(Number);
      expect(width).toBeGreaterThan(100);
      expect(height).toBeGreaterThan(100);
      expect([...walk(root)].filter((e) => e.name === 'title')[0]!.text).not.toBe('');
      // No letter is smaller than 7 pt at the width that the file declares, which is at most a page's text.
      const mm = Number.parseFloat(root.attributes.width!);
      expect(mm).toBeLessThanOrEqual(178.1);
      for (const [, size] of svg.matchAll(/font-size: ([\d.]+)px/g))
        expect((Number(size) * mm * 72) / (width! * 25.4), `${name}: ${size}px`).toBeGreaterThan(6.95);
    }
    expect(new Set(files.map(([name]) => name.toLowerCase())).size).toBe(files.length);
  });

  test('every table is whole: unique ids, as many cells as columns, Markdown rows of one width', () => {
    const tables = reportTables(report);
    expect(new Set(tables.map(({ id }) => id)).size).toBe(tables.length);
    for (const { columns, rows, stubs } of tables) {
      expect(new Set(columns.map(({ id }) => id)).size).toBe(columns.length);
      for (const row of rows) {
        expect(row.cells).toHaveLength(columns.length);
        expect(row.stubs).toHaveLength(stubs.length);
      }
    }
    for (const block of reportMarkdown(report)
      .split('\n\n')
      .filter((text) => text.startsWith('|'))) {
      const widths = block
        .split('\n')
        .filter((line) => line.startsWith('|'))
        .map((line) => line.split(/(?<!\\)\|/).length);
      expect(new Set(widths).size, block.slice(0, 80)).toBe(1);
    }
  });

  test('the terminal text fits its width but for what cannot be divided, and says the numbers of the result', () => {
    const { methods } = report.cells[0]!.judgement.parts.figures as FigureResults;
    const text = reportText(report, { width: 90 });
    const { value } = methods[0]!.figures.nll!;
    expect(text).toContain(value!.toFixed(3));
    for (const line of text.split('\n'))
      if (!/\d\.\d/.test(line)) expect([...line].length, line).toBeLessThanOrEqual(92);
    const plain = reportText(report, { color: true, width: 90 });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes are what is looked for
    expect(plain.replace(/\x1b\[\d+m/g, '')).toBe(text);
  });

  test('two methods of one label are told apart', () => {
    const labels = report.methods.map(({ label }) => label);
    for (const { id, label } of report.methods)
      if (labels.filter((one) => one === label).length > 1)
        expect(html).toContain(escapeHtml(`${label} (${id})`));
  });
});

test('what is missing stands before everything else', async () => {
  const judgement = await judge(simulated({ samples: 40, seeds: 1 }), {
    replicates: 0,
    parts: { embeddings: false },
  });
  const html = reportHtml({ ...reportOf(judgement, 1), missing: ['knee: 1 of 2 runs of ols are finished.'] });
  expect(html.indexOf('This study is not whole')).toBeLessThan(html.indexOf('id="verdict"'));
});

test('every difference stands in its section, those after the first few folded', async () => {
  const judgement = await judge(simulated({ samples: 1200, seeds: 1 }), {
    replicates: 20,
    parts: { embeddings: false },
  });
  const report = reportOf(judgement, 1);
  const all = allDifferences([showCell(report, report.cells[0]!, 'page')]);
  expect(all.length).toBeGreaterThan(12);
  const section = /<section id="differences">.*?<\/section>/s.exec(reportHtml(report))![0];
  const rows = [...section.matchAll(/<th [^>]*scope="row"[^>]*>(.*?)<span/g)].map(([, where]) => where);
  expect(rows).toEqual(all.map(({ where }) => escapeHtml(where)));
  expect(section.split('<details>')[0]!.match(/scope="row"/g)!.length).toBeLessThan(12);
}, 120_000);

function throughJson<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

function reportOf(judgement: Judgement, cells: number): Report {
  return {
    version: 2,
    title: 'A study of <twelve> methods & "sets"',
    finished: '2026-11-21T10:15:00.000Z',
    command: 'penumbra study x.json --out "runs/<here>" `x`',
    facts: [['Data set', 'a <b> & c']],
    methods: judgement.methods.map(({ id, label }) => ({ id, label, about: id })),
    cells: Array.from({ length: cells }, (_, i) => ({
      set: cells === 1 ? '' : `set <${i}>`,
      network: cells === 1 ? '' : 'net',
      about: 'judged <on> x',
      judgement,
    })),
    missing: [],
    notes: ['A note & so.'],
    software: { node: 'v24' },
  };
}

function withoutStyle(html: string): string {
  return html.replace(/<style>.*?<\/style>/s, '').replace(/<script>.*?<\/script>/s, '');
}

/** Names the first element that is not closed or closed out of turn. */
function misnested(html: string): string | undefined {
  const open: string[] = [];
  for (const [, slash, name, rest] of withoutStyle(html).matchAll(
    /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z][a-zA-Z0-9-]*="[^"<>]*")*\s*\/?)>/g,
  )) {
    if (slash === '/') {
      if (open.pop() !== name) return `</${name}>`;
    } else if (!rest!.endsWith('/') && !['meta', 'br', 'img'].includes(name!)) open.push(name!);
  }
  return open[0];
}
