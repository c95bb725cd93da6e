import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { openDuckDB, sqlText } from '../../src/duckdb.ts';
import { PenumbraError } from '../../src/errors.ts';
import {
  type JudgeInput,
  type JudgeOptions,
  judgeFigures,
  judgeJson,
  loadPredictions,
  readPredictions,
  renderJudgement,
} from '../../src/judge/index.ts';
import { Random } from '../../src/random.ts';

const fixtures = fileURLToPath(new URL('../fixtures/judge/', import.meta.url));
const expected = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8'));
const folder = mkdtempSync(join(tmpdir(), 'penumbra-judge-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const quick: JudgeOptions = { replicates: 100 };

async function judge(inputs: readonly (JudgeInput | string)[], options: JudgeOptions = quick) {
  const files = inputs.map((input) => (typeof input === 'string' ? { file: input } : input));
  return judgeFigures(await loadPredictions(files, options), { ...quick, ...options });
}

// biome-ignore lint/suspicious/noExplicitAny: parsed JSON
type Json = Record<string, any>;

let made = 0;
function file(text: string, ending = 'csv'): string {
  const path = join(folder, `${++made}.${ending}`);
  writeFileSync(path, text);
  return path;
}

function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  return file(`${[header, ...rows].map((row) => row.join(',')).join('\n')}\n`);
}

describe('files made by NumPy, figures by torchmetrics and scikit-learn', () => {
  const one = join(fixtures, 'one-of-k.csv');
  const logits = join(fixtures, 'logits.npz');
  const findings = join(fixtures, 'findings.csv');

  test('one label of K', async () => {
    const { figures } = (await judge([one])).methods[0]!.summary;
    for (const [name, value] of Object.entries(expected.oneOfK)) {
      expect(figures[name]!.value, name).toBeCloseTo(value as number, 6);
    }
  });

  test('logits, found out from their name, of the same samples in another order', async () => {
    const result = await judge([one, logits]);
    const { figures } = result.methods[1]!.summary;
    for (const [name, value] of Object.entries(expected.logits)) {
      expect(figures[name]!.value, name).toBeCloseTo(value as number, 6);
    }
    expect(result.methods[1]!.scale).toBe('logits');
    const json = judgeJson(result) as Json;
    expect(json.differences).toHaveLength(1);
    const { ece, top1 } = json.differences[0];
    expect(ece.value).toBeCloseTo(expected.logits.ece - expected.oneOfK.ece, 6);
    expect(Object.keys(top1)).toEqual(['value', 'low', 'high', 'p', 'adjusted']);
  });

  test('14 findings with blanks, one of them never present', async () => {
    const { figures } = (await judge([findings])).methods[0]!.summary;
    const { macro, perFinding } = expected.findings;
    for (const [name, value] of Object.entries(macro)) {
      expect(figures[name]!.value, name).toBeCloseTo(value as number, 6);
      perFinding[name].forEach((own: number | null, j: number) => {
        const found = figures[name]!.perFinding![`finding ${j}`]!.value;
        if (own === null) expect(found, `${name} ${j}`).toBeNull();
        else expect(found, `${name} ${j}`).toBeCloseTo(own, 6);
      });
    }
    expect(perFinding.auroc[5]).toBeNull();
  });

  test('the JSON has figures at the top level, each calibration figure inside its interval', async () => {
    const json = judgeJson(await judge([one], { group: 'patient' })) as Json;
    for (const name of ['ece', 'eceDebiased', 'smoothEce']) {
      const { value, low, high } = json[name];
      expect(low <= value && value <= high, name).toBe(true);
    }
    expect(json.settings.independent).toBe('groups');
    expect(json.differences).toBeUndefined();
    expect(JSON.parse(JSON.stringify(json))).toEqual(json);
  });
});

/** Samples whose truth is drawn from p; the file says p to the power of `sharpness`. */
function simulate(n: number, sharpness: number, seed: number) {
  const random = new Random(seed);
  return Array.from({ length: n }, (_, i) => {
    const z = [random.normal() * 1.5, random.normal() * 1.5, random.normal() * 1.5];
    const p = softmax(z);
    let u = random.uniform();
    let y = 0;
    while (y < 2 && (u -= p[y]!) > 0) y++;
    return { id: `s${i}`, label: ['cat', 'dog', 'owl'][y]!, p: softmax(z.map((v) => v * sharpness)) };
  });
}

function softmax(z: readonly number[]): number[] {
  const e = z.map(Math.exp);
  const sum = e.reduce((a, b) => a + b);
  return e.map((v) => v / sum);
}

type Samples = ReturnType<typeof simulate>;
const HEADER = ['id', 'label', 'p_cat', 'p_dog', 'p_owl'];
const asFile = (samples: Samples) =>
  table(
    HEADER,
    samples.map(({ id, label, p }) => [id, label, ...p]),
  );

describe('simulated files whose answer is known', () => {
  test('calibrated: no miscalibration is claimed; sharpened: it is, and the difference is found', async () => {
    const exact = asFile(simulate(1500, 1, 4));
    const sharp = asFile(simulate(1500, 2.5, 4));
    const result = await judge([
      { name: 'exact', file: exact },
      { name: 'sharp', file: sharp },
    ]);
    const [a, b] = result.methods.map(({ summary }) => summary.figures);
    expect(a!.eceDebiased!.low).toBe(0);
    expect(b!.eceDebiased!.low).toBeGreaterThan(0.05);
    const { figures } = result.differences[0]!;
    expect(figures.eceDebiased!.adjusted).toBeLessThan(0.05);
    expect(figures.top1!.p).toBe(1);
    const text = renderJudgement(result);
    expect(text.split('\n')[0]).toContain('exact: no miscalibration could be shown');
    expect(text).toContain('sharp against exact: worse in ECE');
  });

  test('a file against itself differs in nothing', async () => {
    const path = asFile(simulate(200, 1, 5));
    const result = await judge([
      { name: 'a', file: path },
      { name: 'b', file: path },
    ]);
    for (const [name, { value, p }] of Object.entries(result.differences[0]!.figures)) {
      expect(value, name).toBe(0);
      if (p !== null) expect(p, name).toBe(1);
    }
  });

  test('operating points are chosen on --fit and keep what they promise on fresh samples', async () => {
    const rows = (seed: number) => {
      const random = new Random(seed);
      return Array.from({ length: 3000 }, (_, i) => {
        const z = random.normal() - 1;
        return [
          `${seed}-${i}`,
          random.uniform() < 1 / (1 + Math.exp(-2 * z)) ? 1 : 0,
          1 / (1 + Math.exp(-z)),
        ];
      });
    };
    const header = ['id', 'y_edema', 'p_edema'];
    const result = await judge([table(header, rows(1))], {
      fit: [table(header, rows(2))],
      threshold: { sensitivity: 0.9 },
    });
    expect(result.methods[0]!.thresholds!.edema).toBeGreaterThan(0);
    expect(result.methods[0]!.summary.figures.sensitivity!.value).toBeCloseTo(0.9, 1);
  });

  test('two files of one name are seeds of one method', async () => {
    const result = await judge([
      { name: 'm', file: asFile(simulate(300, 1, 6)) },
      { name: 'm', file: asFile(simulate(300, 2, 6)) },
    ]);
    expect(result.methods).toHaveLength(1);
    expect(result.methods[0]!.summary.runs).toBe(2);
  });
});

describe('what a file may look like', () => {
  const samples = simulate(120, 1.5, 7);
  const plain = () => asFile(samples);
  const value = async (inputs: readonly string[], options: JudgeOptions = {}) =>
    (await judge(inputs, { replicates: 0, ...options })).methods[0]!.summary.figures.nll!.value!;

  test('numbers for labels, columns in another order and without a prefix, semicolons', async () => {
    const nll = await value([plain()]);
    const classes = ['cat', 'dog', 'owl'];
    const numbered = table(
      HEADER,
      samples.map(({ id, label, p }) => [id, classes.indexOf(label), ...p]),
    );
    expect(await value([numbered])).toBeCloseTo(nll, 12);
    const turned = table(
      ['p_owl', 'label', 'p_cat', 'predicted', 'p_dog', 'id'],
      samples.map(({ id, label, p }) => [p[2]!, label, p[0]!, 'cat', p[1]!, id]),
    );
    expect(await value([turned])).toBeCloseTo(nll, 12);
    const bare = file(
      ['image;y_true;cat;dog;owl', ...samples.map(({ id, label, p }) => [id, label, ...p].join(';'))].join(
        '\n',
      ),
    );
    expect(await value([bare])).toBeCloseTo(nll, 12);
    const flags = { id: 'nr', label: 'what', probabilityColumns: ['prob of *'] };
    const odd = table(
      ['nr', 'what', 'age', 'prob of cat', 'prob of dog', 'prob of owl'],
      samples.map(({ id, label, p }) => [id, label, 50, ...p]),
    );
    expect(await value([odd], flags)).toBeCloseTo(nll, 12);
  });

  test('labels apart, in another order and with more samples', async () => {
    const nll = await value([plain()]);
    const bare = table(
      ['id', 'cat', 'dog', 'owl'],
      samples.map(({ id, p }) => [id, ...p]),
    );
    const truth = table(
      ['id', 'label'],
      [...samples.map(({ id, label }) => [id, label]), ['other', 'owl']].reverse(),
    );
    expect(await value([bare], { labels: truth })).toBeCloseTo(nll, 12);
    const wide = table(
      ['id', 'cat', 'dog', 'owl'],
      samples
        .map(({ id, label }) => [id, ...['cat', 'dog', 'owl'].map((name) => (name === label ? 1 : ''))])
        .reverse(),
    );
    const result = await judge([bare], { labels: wide });
    expect(result.kind).toBe('findings');
    expect(result.methods[0]!.summary.findings![0]).toMatchObject({
      name: 'cat',
      positives: samples.filter(({ label }) => label === 'cat').length,
    });
  });

  test('Parquet, and ids with leading zeros stay what they are', async () => {
    const padded = samples.map((one, i) => ({ ...one, id: i % 2 === 0 ? `00${i}` : `${i - 1}` }));
    const csv = asFile(padded);
    const parquet = join(folder, 'p.parquet');
    using duckdb = await openDuckDB();
    await duckdb.connection.run(
      `COPY (SELECT * FROM read_csv(${sqlText(csv)}, types = {'id': 'VARCHAR'}) ORDER BY random()) TO ${sqlText(parquet)} (FORMAT parquet)`,
    );
    const result = await judge([csv, parquet], { replicates: 0 });
    expect(result.differences[0]!.figures.nll!.value).toBeCloseTo(0, 12);
    expect(result.notes).toEqual([]);
  });

  test('a single column of probabilities is one finding', async () => {
    const one = table(
      ['id', 'label', 'p'],
      samples.map(({ id, label, p }) => [id, label === 'cat' ? 1 : 0, p[0]!]),
    );
    const result = await judge([one]);
    expect(result.kind).toBe('findings');
    expect(result.methods[0]!.summary.figures.auroc!.value).toBeGreaterThan(0.7);
  });

  test('logits are told by their numbers', async () => {
    const nll = await value([plain()]);
    const logits = table(
      HEADER,
      samples.map(({ id, label, p }) => [id, label, ...p.map((v) => Math.log(v) + 3)]),
    );
    const result = await judge([logits], { replicates: 0 });
    expect(result.methods[0]!.summary.figures.nll!.value).toBeCloseTo(nll, 10);
    expect(result.notes.join()).toContain('taken for logits');
  });

  test('strata: figures of each, and too few samples are said to be', async () => {
    const rows = samples.map(({ id, label, p }, i) => [
      id,
      label,
      ...p,
      i < 100 ? 'CT' : i < 115 ? 'MR' : 'US',
    ]);
    const result = await judge([table([...HEADER, 'modality'], rows)], { ...quick, stratum: 'modality' });
    expect(result.strata!.values.map(({ value: name, samples: n }) => [name, n])).toEqual([
      ['CT', 100],
      ['MR', 15],
      ['US', 5],
    ]);
    expect(result.strata!.values[1]!.methods).toEqual([]);
    expect(renderJudgement(result)).toContain('too few');
  });
});

/** Nothing of the user's rows may show. */
const SECRET = 'MRN-5550199';

describe('bad input: one clear line, without ids or rows', () => {
  const good = simulate(30, 1, 8).map((one, i) => ({ ...one, id: `${SECRET}-${i}` }));
  const rowsOf = (samples: Samples) => samples.map(({ id, label, p }) => [id, label, ...p]);
  const change = (row: number, column: number, value: string | number) =>
    table(
      HEADER,
      rowsOf(good).map((cells, i) =>
        i === row ? cells.map((cell, c) => (c === column ? value : cell)) : cells,
      ),
    );

  const cases: [string, () => string[], string, RegExp, JudgeOptions?][] = [
    ['NaN', () => [change(3, 2, 'nan')], 'judge/nan', /1 of 90 predictions are NaN/],
    ['a blank probability', () => [change(3, 2, '')], 'judge/nan', /1 of 90/],
    ['an infinite logit', () => [change(3, 2, 'inf')], 'judge/nan', /infinite/],
    ['a word for a probability', () => [change(3, 2, SECRET)], 'judge/nan', /1 of 90|no columns/],
    [
      'a row that does not sum to 1',
      () => [change(3, 2, 0.999)],
      'judge/row-sum',
      /1 of 30 rows do not sum to 1/,
    ],
    ['a probability above 1', () => [change(3, 2, 1.7)], 'judge/probabilities', /1 of 90 probabilities/],
    ['an unknown label', () => [change(3, 1, SECRET)], 'judge/classes', /1 of its 4 different labels/],
    ['no label', () => [change(3, 1, '')], 'judge/labels', /1 of 30 rows have no label/],
    ['a repeated id', () => [change(3, 0, good[4]!.id)], 'judge/ids', /1 of 30 rows repeat an id/],
    ['no id', () => [change(3, 0, '')], 'judge/ids', /1 of 30 rows have no id/],
    ['an empty file', () => [file('')], 'judge/empty', /no rows/],
    ['only a header', () => [file(`${HEADER.join(',')}\n`)], 'judge/empty', /no rows/],
    [
      'no header',
      () => [
        file(
          `${rowsOf(good)
            .map((row) => row.join(','))
            .join('\n')}\n`,
        ),
      ],
      'judge/table',
      /does not name the columns/,
    ],
    ['no file', () => [join(folder, 'nowhere.csv')], 'files/not-found', /nowhere/],
    ['a folder', () => [folder], 'files/not-regular', /folder|directory|regular/],
    ['no Parquet', () => [file('PAR1 what', 'parquet')], 'judge/table', /Parquet/],
    ['no npz', () => [file('PK\u0003\u0004 what', 'npz')], 'judge/npz', /zip/],
    [
      'a file without probabilities',
      () => [table(['id', 'label'], [['a', 'cat']])],
      'judge/columns',
      /no columns of probabilities/,
    ],
    [
      'a file without labels',
      () => [table(['id', 'p_cat', 'p_dog'], [['a', 0.5, 0.5]])],
      'judge/columns',
      /no labels/,
    ],
    [
      'a wrong flag',
      () => [table(HEADER, rowsOf(good))],
      'judge/columns',
      /there is no column patient/,
      { group: 'patient' },
    ],
    [
      'other samples',
      () => [table(HEADER, rowsOf(good)), asFile(simulate(30, 1, 8))],
      'judge/ids',
      /30 of the 30 ids/,
    ],
    [
      'a sample less',
      () => [table(HEADER, rowsOf(good)), table(HEADER, rowsOf(good.slice(1)))],
      'judge/ids',
      /1 of the 30 ids/,
    ],
    [
      'a sample more',
      () => [table(HEADER, rowsOf(good.slice(1))), table(HEADER, rowsOf(good))],
      'judge/ids',
      /1 samples that/,
    ],
    [
      'other labels',
      () => [table(HEADER, rowsOf(good)), change(3, 1, good[3]!.label === 'cat' ? 'dog' : 'cat')],
      'judge/labels',
      /1 labels are not those/,
    ],
    [
      'other classes',
      () => [
        table(HEADER, rowsOf(good)),
        table(
          ['id', 'label', 'p_cat', 'p_dog', 'p_fox'],
          rowsOf(good.map((one) => ({ ...one, label: 'cat' }))),
        ),
      ],
      'judge/classes',
      /2 of them have the same name/,
    ],
    [
      'findings against classes',
      () => [
        table(HEADER, rowsOf(good)),
        table(
          ['id', 'y_a', 'p_a'],
          good.map(({ id }) => [id, 1, 0.5]),
        ),
      ],
      'judge/classes',
      /findings/,
    ],
    [
      'CheXpert’s −1',
      () => [
        table(
          ['id', 'y_a', 'p_a'],
          [
            ['x', -1, 0.5],
            ['y', 1, 0.5],
          ],
        ),
      ],
      'judge/labels',
      /1 of 2 labels/,
    ],
    [
      'a finding without labels',
      () => [table(['id', 'y_a', 'p_a', 'p_b'], [['x', 1, 0.5, 0.5]])],
      'judge/columns',
      /predicts b/,
    ],
    [
      'nothing known',
      () => [
        table(
          ['id', 'y_a', 'p_a'],
          [
            ['x', '', 0.5],
            ['y', '', 0.6],
          ],
        ),
      ],
      'judge/labels',
      /not one label is known/,
    ],
    [
      'logits where probabilities are said',
      () => [table(HEADER, rowsOf(good.map((one) => ({ ...one, p: one.p.map((v) => v * 9 - 2) }))))],
      'judge/probabilities',
      /not in \[0, 1\]/,
      { scale: 'probabilities' },
    ],
    [
      'the judged file to fit on',
      () => [table(HEADER, rowsOf(good))],
      'judge/fit',
      /very predictions/,
      { fit: ['judged'] },
    ],
  ];

  test.each(cases)('%s', async (_, paths, code, message, options = {}) => {
    const files = paths();
    const own = options.fit === undefined ? options : { ...options, fit: files };
    const error = await judge(files, { ...quick, ...own }).then(
      () => undefined,
      (raised: unknown) => raised,
    );
    expect(error).toBeInstanceOf(PenumbraError);
    const problem = error as PenumbraError;
    expect(problem.code).toBe(code);
    expect(problem.message).toMatch(message);
    expect(JSON.stringify(problem) + problem.stack).not.toContain(SECRET);
    expect(problem.message).not.toContain('\n');
  });

  test('whatever a file holds: figures or an error with a code, never the text of a cell', async () => {
    const cell = fc.oneof(
      fc.constantFrom(
        '',
        'nan',
        '-1',
        '0',
        '1',
        '0.5',
        '1e400',
        'inf',
        '"',
        SECRET,
        `${SECRET}\t`,
        '0,5',
        '\u0000',
        '–',
      ),
      fc.double({ min: -2, max: 2, noNaN: true }).map(String),
    );
    const name = fc.constantFrom('id', 'label', 'p_a', 'p_b', 'y_a', 'y_b', 'logit_a', 'a', 'b', 'group', '');
    const text = fc
      .tuple(
        fc.array(name, { minLength: 1, maxLength: 6 }),
        fc.array(fc.array(cell, { minLength: 1, maxLength: 6 }), { maxLength: 8 }),
      )
      .map(([header, rows]) => [header, ...rows].map((row) => row.join(',')).join('\n'));
    await fc.assert(
      fc.asyncProperty(text, async (content) => {
        const path = file(content);
        try {
          const result = await judge([path], { replicates: 10 });
          for (const { value, low, high } of Object.values(result.methods[0]!.summary.figures)) {
            if (value !== null && low !== null) expect(low <= value && value <= high!).toBe(true);
          }
        } catch (error) {
          if (!(error instanceof PenumbraError)) throw error;
          expect(error.code).toMatch(/^(judge|files)\//);
          expect(error.message + error.hint).not.toContain(SECRET);
        }
      }),
      { numRuns: 60, seed: 11 },
    );
  });

  test('a damaged npz: an error with a code', async () => {
    const bytes = readFileSync(join(fixtures, 'logits.npz'));
    const random = new Random(1);
    for (let run = 0; run < 60; run++) {
      const broken = Buffer.from(bytes);
      for (let hit = 0; hit < 8; hit++)
        broken[random.below(run % 2 === 0 ? 200 : broken.length)] = random.below(256);
      const path = join(folder, 'broken.npz');
      writeFileSync(path, run % 3 === 0 ? broken.subarray(0, random.below(broken.length)) : broken);
      await readPredictions(path).catch((error: unknown) => {
        if (!(error instanceof PenumbraError)) throw error;
        expect(error.code).toMatch(/^(judge|files)\//);
      });
    }
  });
});

test('the verb: the verdict at the end, figures as asked, an input is no output, usage errors', () => {
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  const run = (...args: string[]) => {
    try {
      const out = execFileSync(process.execPath, [main, 'judge', ...args], {
        encoding: 'utf8',
        stdio: 'pipe',
      });
      return { code: 0, out, err: '' };
    } catch (error) {
      const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
      return { code: status, out: stdout, err: stderr };
    }
  };
  const one = join(fixtures, 'one-of-k.csv');
  const json = join(folder, 'figures.json');
  const { code, out } = run(
    `a=${one}`,
    join(fixtures, 'logits.npz'),
    '--group',
    'patient',
    '--replicates',
    '50',
    '--json',
    json,
  );
  expect(code).toBe(0);
  // Figures first; the verdict last, where the eye is, with its small table.
  expect(out.split('\n')[0]).toMatch(/^ +a +logits/);
  expect(out).toMatch(/\nWhy: .*\n(.*\n)*?What to do: /);
  expect(out.trimEnd().split('\n').at(-1)).toMatch(/At random|looks at no image|Verdict:/);
  const quiet = run(`a=${one}`, join(fixtures, 'logits.npz'), '--quiet');
  expect(quiet.out).not.toContain('Balanced accuracy');
  expect(quiet.out).toContain('What to do: ');
  const figures = JSON.parse(readFileSync(json, 'utf8'));
  expect(figures.verdict).toMatchObject({ kind: expect.any(String), sentence: expect.any(String) });
  expect(figures.top1.value).toBeCloseTo(expected.oneOfK.top1, 6);
  expect(figures.methods.map(({ name }: { name: string }) => name)).toEqual(['a', 'logits']);
  expect(run(one, '--json', one)).toMatchObject({ code: 1, err: expect.stringContaining('files/same') });
  expect(run(one, '--threshold', 'best').code).toBe(2);
  expect(run(one, '--logits', '--probabilities').code).toBe(2);
  expect(run('--help').out).toContain('Examples:');
  const html = join(folder, 'report.html');
  const markdown = join(folder, 'report.md');
  const val = asFile(simulate(200, 2, 31));
  const test = [asFile(simulate(200, 2, 32)), '--fit', val, '--stratum', 'label', '--replicates', '20'];
  const report = run(...test, '--html', html, '--markdown', markdown, '--json', json);
  expect(report.err).toBe('');
  expect(report.code).toBe(0);
  const page = readFileSync(html, 'utf8');
  for (const word of ['Calibrators', 'Conformal', 'Reliability', 'Risk', 'SmoothECE'])
    expect(page).toContain(word);
  expect(page).not.toMatch(/<script src|src="http|@import/);
  expect(readFileSync(markdown, 'utf8')).toMatch(/^# Predictions of/);
  const { parts } = JSON.parse(readFileSync(json, 'utf8'));
  expect(Object.keys(parts)).toEqual(
    expect.arrayContaining(['calibration', 'conformal', 'reliability', 'strata']),
  );
});
