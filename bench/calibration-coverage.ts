/**
 * Do the intervals and tests of calibration errors hold? Simulation with a known truth:
 *
 *     node bench/calibration-coverage.ts [--replications 400] [--only intervals,tests,figures] [--minutes 30]
 *         [--match TEXT] [--out FILE.jsonl] [--markdown docs/calibration-coverage.md]
 *
 * `--match` takes only cells whose JSON has the text: one cell again with more replications. Prints one JSON object a cell, and its progress to stderr. With `--out` cells are kept in a file: the same command goes
 * on where it stopped, for instance at `--minutes`. With `--markdown` the tables of that file are made anew from all cells
 * between its marks.
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  augrcMeasure,
  aurcMeasure,
  aurocMeasure,
  byConfidence,
  calibrationDifference,
  calibrationInterval,
  estimate,
  type Measure,
  meanMeasure,
  predictions,
  replicate,
  sampleBrier,
  sampleNll,
  topLabels,
} from '../src/metrics/index.ts';
import { Random } from '../src/random.ts';
import {
  LAWS,
  type Law,
  type Sampling,
  type Shape,
  simulate,
  type Truth,
  truthOf,
} from '../test/metrics/calibration-designs.ts';

const { values: flags } = parseArgs({
  options: {
    replications: { type: 'string', default: '400' },
    only: { type: 'string', default: 'intervals,tests,figures' },
    match: { type: 'string' },
    minutes: { type: 'string', default: 'Infinity' },
    out: { type: 'string' },
    markdown: { type: 'string' },
  },
  strict: false,
});
const replications = Number(flags.replications);
const until = performance.now() + 60_000 * Number(flags.minutes);

/** What a cell is, and what was counted in it. */
type Cell = Readonly<Record<string, string | number>>;

interface Job {
  readonly key: Cell;
  run(): Cell;
}

const ERRORS = [0, 0.01, 0.03, 0.08, 0.15];
const SIZES = [200, 800, 5000];
/** The three demanded shapes take turns in a cell; three crossings have cells of their own. */
const TURNS: readonly Shape[] = ['constant', 'crossing', 'proportional'];
/** Three seeds have different errors, whose mean is the cell's. */
const SPREAD = [0.5, 1, 1.5];

/** Designs are worked out once. */
const known = new Map<string, Truth | null>();

function truth(law: Law, shape: Shape, error: number): Truth | null {
  const name = `${law}/${shape}/${error}`;
  const found = known.has(name) ? known.get(name)! : truthOf(law, shape, error);
  known.set(name, found);
  return found;
}

function truthsOf(law: Law, shape: Shape, error: number, seeds: number): Truth[] | null {
  const truths = Array.from({ length: seeds }, (_, s) =>
    truth(law, shape, seeds === 1 ? error : error * SPREAD[s]!),
  );
  return truths.every((t) => t !== null) ? truths : null;
}

function intervalJob(
  law: Law,
  shapes: readonly Shape[],
  error: number,
  sampling: Sampling,
  seeds: number,
): Job | null {
  const designs = shapes.flatMap((shape) => {
    const truths = truthsOf(law, shape, error, seeds);
    return truths === null ? [] : [truths];
  });
  if (designs.length === 0) return null;
  const { n, patients } = sampling;
  return {
    key: {
      part: 'intervals',
      law,
      shape: shapes.length === 1 ? shapes[0]! : 'in turn',
      error,
      n,
      patients: Number(patients),
      seeds,
      replications,
    },
    run() {
      let above = 0;
      let below = 0;
      let length = 0;
      let value = 0;
      let plugIn = 0;
      let plugInAbove = 0;
      for (let r = 0; r < replications; r++) {
        const random = new Random(8, n, seeds, Number(patients), Math.round(error * 1000), r);
        const { runs, groups } = simulate(designs[r % designs.length]!, sampling, random);
        const e = calibrationInterval(runs, groups === undefined ? {} : { groups });
        if (e.low > error) above++;
        if (e.high < error) below++;
        if (e.plugIn > e.high) plugInAbove++;
        length += (e.high - e.low) / replications;
        value += e.value / replications;
        plugIn += e.plugIn / replications;
      }
      return {
        coverage: 1 - (above + below) / replications,
        lowAbove: above / replications,
        highBelow: below / replications,
        length,
        value,
        plugIn,
        plugInAbove: plugInAbove / replications,
      };
    },
  };
}

type Side = readonly [Shape, number];
/** Equal errors: a rejection is a false alarm. */
const EQUAL: readonly (readonly [Side, Side])[] = [
  [
    ['constant', 0],
    ['constant', 0],
  ],
  [
    ['constant', 0.03],
    ['constant', 0.03],
  ],
  [
    ['constant', 0.03],
    ['crossing', 0.03],
  ],
  [
    ['constant', 0.08],
    ['crossing', 0.08],
  ],
  [
    ['constant', 0.15],
    ['proportional', 0.15],
  ],
  [
    ['crossing', 0.08],
    ['three crossings', 0.08],
  ],
];
/** Different errors: a rejection is what the test is for. */
const DIFFERENT: readonly (readonly [Side, Side])[] = [
  [
    ['constant', 0],
    ['constant', 0.03],
  ],
  [
    ['constant', 0.03],
    ['constant', 0.08],
  ],
  [
    ['crossing', 0.03],
    ['constant', 0.08],
  ],
  [
    ['constant', 0.03],
    ['constant', 0.15],
  ],
];

const EVERY: readonly (readonly [Side, Side])[] = [...EQUAL, ...DIFFERENT];

function testJob(law: Law, [a, b]: readonly [Side, Side], sampling: Sampling, seeds: number): Job | null {
  const first = truthsOf(law, a[0], a[1], seeds);
  const second = truthsOf(law, b[0], b[1], seeds);
  if (first === null || second === null) return null;
  const { n, patients } = sampling;
  return {
    key: {
      part: 'tests',
      law,
      first: `${a[0]} ${a[1]}`,
      second: `${b[0]} ${b[1]}`,
      truth: a[1] - b[1],
      n,
      patients: Number(patients),
      seeds,
      replications,
    },
    run() {
      let rejected = 0;
      let covered = 0;
      let length = 0;
      for (let r = 0; r < replications; r++) {
        const random = new Random(9, n, seeds, Number(patients), r);
        const { runs, groups } = simulate([...first, ...second], sampling, random);
        const d = calibrationDifference(runs.slice(0, seeds), runs.slice(seeds), {
          draws: 500,
          ...(groups === undefined ? {} : { groups }),
        });
        if (d.p < 0.05) rejected++;
        if (d.low <= a[1] - b[1] && a[1] - b[1] <= d.high) covered++;
        length += (d.high - d.low) / replications;
      }
      return { rejected: rejected / replications, coverage: covered / replications, length };
    },
  };
}

/** The resampled figures of two classes, K = 2. */
function measuresOf(confidence: Float64Array, outcome: ArrayLike<number>): Record<string, Measure> {
  const rows = new Float64Array(2 * confidence.length);
  confidence.forEach((c, i) => {
    rows[2 * i] = 1 - c;
    rows[2 * i + 1] = c;
  });
  const p = predictions(rows, Int32Array.from(outcome));
  const top = topLabels(p);
  const order = byConfidence(top.confidence, top.correct);
  return {
    accuracy: meanMeasure(top.correct),
    nll: meanMeasure(sampleNll(p)),
    brier: meanMeasure(sampleBrier(p)),
    auroc: aurocMeasure(p),
    aurc: aurcMeasure(order),
    augrc: augrcMeasure(order),
    gap: meanMeasure(top.confidence.map((c, i) => c - top.correct[i]!)),
  };
}

function figureJob(law: Law, shape: Shape, error: number, sampling: Sampling): Job | null {
  const design = truth(law, shape, error);
  if (design === null) return null;
  const { n, patients } = sampling;
  return {
    key: { part: 'figures', law, shape, error, n, patients: Number(patients), replications },
    run() {
      const many = 400_000;
      const { runs } = simulate([design], { n: many, patients: false }, new Random(10));
      const all = measuresOf(runs[0]!.confidence as Float64Array, runs[0]!.outcome);
      const ones = new Int32Array(many).fill(1);
      const truths = Object.entries(all).map(([name, measure]) => [name, measure(ones)] as const);
      const covered: Record<string, number> = Object.fromEntries(truths.map(([name]) => [name, 0]));
      for (let r = 0; r < replications; r++) {
        const { runs, groups } = simulate([design], sampling, new Random(11, n, r));
        const measures = measuresOf(runs[0]!.confidence as Float64Array, runs[0]!.outcome);
        const options = { replicates: 500, seed: r, ...(groups === undefined ? {} : { groups }) };
        const drawn = replicate([[Object.values(measures)]], n, options)[0]!;
        truths.forEach(([name, value], k) => {
          const { low, high } = estimate(value, drawn[k]!, options);
          if (low! <= value && value <= high!) covered[name]!++;
        });
      }
      return Object.fromEntries(Object.entries(covered).map(([name, count]) => [name, count / replications]));
    },
  };
}

/** In the order in which they matter, as a run may end early. */
function jobs(): Job[] {
  const laws = (Object.keys(LAWS) as Law[]).filter((law) => law !== 'p, narrow'); // The same numbers as of `top`.
  const found: (Job | null)[] = [];
  const only = String(flags.only).split(',');
  const intervals = (seeds: number, n: number, some: readonly Law[]): void => {
    if (!only.includes('intervals')) return;
    for (const patients of [false, true])
      for (const law of some)
        for (const error of ERRORS)
          found.push(intervalJob(law, error === 0 ? ['constant'] : TURNS, error, { n, patients }, seeds));
  };
  const tests = (seeds: number, n: number, some: readonly Law[], patients: boolean, pairs = EVERY): void => {
    if (!only.includes('tests')) return;
    for (const law of some) for (const pair of pairs) found.push(testJob(law, pair, { n, patients }, seeds));
  };
  intervals(1, 200, laws);
  tests(1, 800, ['top, narrow'], false);
  intervals(3, 200, ['top, narrow', 'p, rare']);
  if (only.includes('figures')) {
    for (const [law, shape, error] of [
      ['p, wide', 'constant', 0.03],
      ['p, rare', 'constant', 0.01],
      ['top, narrow', 'constant', 0.03],
    ] as const)
      for (const n of [200, 800])
        for (const patients of [false, true]) found.push(figureJob(law, shape, error, { n, patients }));
  }
  tests(1, 800, ['top, wide', 'p, rare', 'top, sure'], false);
  intervals(1, 800, laws);
  intervals(1, 5000, laws);
  intervals(3, 200, laws);
  tests(1, 200, ['top, narrow', 'top, wide', 'p, rare', 'top, sure'], false);
  tests(1, 800, ['top, narrow', 'top, wide'], true, EQUAL);
  tests(1, 200, ['top, narrow', 'top, wide'], true, EQUAL);
  intervals(3, 800, laws);
  if (only.includes('intervals')) {
    for (const n of SIZES)
      for (const law of laws)
        for (const error of [0.03, 0.08, 0.15])
          found.push(intervalJob(law, ['three crossings'], error, { n, patients: false }, 1));
  }
  tests(3, 800, ['top, wide'], false);
  tests(1, 5000, ['top, narrow', 'top, wide'], false);
  intervals(3, 5000, laws);
  // Some are named twice, early and with their like.
  const once = new Map(
    found.flatMap((job) => (job === null ? [] : [[JSON.stringify(job.key), job] as const])),
  );
  return [...once.values()];
}

const nameOf = (cell: Cell, names: readonly string[]): string =>
  JSON.stringify(names.map((name) => cell[name]));

const done: Cell[] =
  flags.out !== undefined && existsSync(String(flags.out))
    ? readFileSync(String(flags.out), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line))
    : [];
const all = jobs().filter(({ key }) => JSON.stringify(key).includes(String(flags.match ?? '')));
const open = all.filter(({ key }) => {
  const names = Object.keys(key);
  return !done.some((cell) => nameOf(cell, names) === nameOf(key, names));
});
process.stderr.write(`${all.length} cells, ${all.length - open.length} of them done\n`);
let told = performance.now();
for (const [i, { key, run }] of open.entries()) {
  if (performance.now() > until) break;
  const cell = { ...key, ...run() };
  done.push(cell);
  const line = JSON.stringify(cell, (_, v) => (typeof v === 'number' ? Number(v.toFixed(5)) : v));
  console.log(line);
  if (flags.out !== undefined) appendFileSync(String(flags.out), `${line}\n`);
  if (performance.now() - told > 10_000) {
    told = performance.now();
    process.stderr.write(`${i + 1} of ${open.length} cells\n`);
  }
}
if (flags.markdown !== undefined) {
  const file = String(flags.markdown);
  const [before, , after] = readFileSync(file, 'utf8').split(/<!-- tables: .*? -->/);
  if (after === undefined)
    throw new Error(`${file} has no marks <!-- tables: begin --> and <!-- tables: end -->`);
  writeFileSync(file, `${before}<!-- tables: begin -->\n${markdown(done)}\n<!-- tables: end -->${after}`);
}

function percent(x: unknown): string {
  return typeof x === 'number' ? (100 * x).toFixed(1) : '–';
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function spreadOf(cells: readonly Cell[], name: string): { least: number; mean: number; most: number } {
  const xs = cells.map((cell) => Number(cell[name]));
  return { least: Math.min(...xs), most: Math.max(...xs), mean: xs.reduce((a, b) => a + b, 0) / xs.length };
}

/** Cells that share `names` in one row, one column for each value of `across`. */
function pivot(
  cells: readonly Cell[],
  names: readonly string[],
  across: string,
  show: (cell: Cell) => string,
): string {
  const columns = [...new Set(cells.map((cell) => cell[across]!))];
  const rows = new Map<string, Map<string | number, string>>();
  for (const cell of cells) {
    const row = nameOf(cell, names);
    if (!rows.has(row)) rows.set(row, new Map());
    rows.get(row)!.set(cell[across]!, show(cell));
  }
  return table(
    [...names, ...columns.map(String)],
    [...rows].map(([row, shown]) => [
      ...(JSON.parse(row) as unknown[]).map(String),
      ...columns.map((column) => shown.get(column) ?? '–'),
    ]),
  );
}

function markdown(unsorted: readonly Cell[]): string {
  const order = ['seeds', 'n', 'patients', 'law'];
  const keyOf = (cell: Cell) => order.map((name) => String(cell[name] ?? '').padStart(12)).join();
  const cells = unsorted.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0));
  const intervals = cells.filter((c) => c.part === 'intervals');
  const grid = intervals.filter((c) => c.shape === 'in turn' || c.error === 0);
  const crossings = intervals.filter((c) => c.shape === 'three crossings');
  const tests = cells.filter((c) => c.part === 'tests');
  const equal = tests.filter((c) => c.truth === 0);
  const different = tests.filter((c) => c.truth !== 0);
  const figures = cells.filter((c) => c.part === 'figures');
  const parts: string[] = [];
  const count = (some: readonly Cell[]) => `${some.length} cells`;
  if (grid.length > 0) {
    const { least, mean } = spreadOf(grid, 'coverage');
    parts.push(
      `### Coverage of the 95 % interval, in %\n${count(grid)}: least ${percent(least)}, mean ${percent(mean)}. Columns: true error.\n`,
      pivot(grid, ['seeds', 'n', 'patients', 'law'], 'error', (c) => percent(c.coverage)),
      '\n### Mean length of the interval\nAt one seed, one patient an image.\n',
      pivot(
        grid.filter((c) => c.seeds === 1 && c.patients === 0),
        ['n', 'law'],
        'error',
        (c) => Number(c.length).toFixed(3),
      ),
      '\n### Mean of the debiased value / of the published plug-in ECE, and how often the plug-in lies above the interval\nAt one seed, one patient an image.\n',
      pivot(
        grid.filter((c) => c.seeds === 1 && c.patients === 0),
        ['n', 'law'],
        'error',
        (c) => `${Number(c.value).toFixed(3)} / ${Number(c.plugIn).toFixed(3)}, ${percent(c.plugInAbove)} %`,
      ),
    );
  }
  if (crossings.length > 0) {
    parts.push(
      `\n### Curves that cross the diagonal three times: coverage, in %\n${count(crossings)}: least ${percent(spreadOf(crossings, 'coverage').least)}.\n`,
      pivot(crossings, ['n', 'law'], 'error', (c) => percent(c.coverage)),
    );
  }
  if (equal.length > 0) {
    const { most, mean } = spreadOf(equal, 'rejected');
    parts.push(
      `\n### Equal errors: p < 0.05, in % (false alarms)\n${count(equal)}: most ${percent(most)}, mean ${percent(mean)}.\n`,
      pivot(
        equal.map((c): Cell => ({ ...c, cell: `${c.law}, n ${c.n}` })),
        ['seeds', 'patients', 'first', 'second'],
        'cell',
        (c) => percent(c.rejected),
      ),
    );
  }
  if (different.length > 0) {
    parts.push(
      `\n### Different errors: p < 0.05, in % (power)\nIts interval covers the true difference in ${percent(spreadOf(different, 'coverage').least)} % at least, ${percent(spreadOf(different, 'coverage').mean)} % on average.\n`,
      pivot(
        different.map((c): Cell => ({ ...c, cell: `${c.law}, n ${c.n}` })),
        ['seeds', 'patients', 'first', 'second'],
        'cell',
        (c) => percent(c.rejected),
      ),
    );
  }
  if (figures.length > 0) {
    const names = ['accuracy', 'nll', 'brier', 'auroc', 'aurc', 'augrc', 'gap'];
    parts.push(
      '\n### Percentile bootstrap of the other figures: coverage of 95 %, in %\n',
      table(
        ['law', 'error', 'n', 'patients', ...names],
        figures.map((c) => [
          ...['law', 'error', 'n', 'patients'].map((name) => String(c[name])),
          ...names.map((name) => percent(c[name])),
        ]),
      ),
    );
  }
  return parts.join('\n');
}
