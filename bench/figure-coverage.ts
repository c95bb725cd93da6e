/**
 * Do the intervals and tests of the figures that are no calibration errors hold where few samples decide? Simulation with
 * a known law, beside the percentile bootstrap:
 *
 *     node bench/figure-coverage.ts [--replications 1000] [--events 5,10,20,50] [--bootstrap 500] [--minutes 30]
 *         [--out cells.jsonl] [--markdown docs/figure-coverage.md]
 *
 * `--bootstrap 0` leaves the bootstrap out. Prints one JSON object a cell. With `--out` cells are kept in a file, and the
 * same command goes on where it stopped; with `--markdown` the tables of that file are made anew between its marks.
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  compareFigures,
  type Figure,
  figureNamed,
  measureFigures,
  type Outputs,
  SeenOutputs as Seen,
} from '../src/figures/index.ts';
import { difference, estimate, replicate } from '../src/metrics/index.ts';
import { Random } from '../src/random.ts';
import { type Design, draw } from '../test/figures/few-events.ts';

const { values: flags } = parseArgs({
  options: {
    replications: { type: 'string', default: '1000' },
    events: { type: 'string', default: '5,10,20,50' },
    bootstrap: { type: 'string', default: '500' },
    minutes: { type: 'string', default: 'Infinity' },
    out: { type: 'string' },
    markdown: { type: 'string' },
  },
  strict: false,
});
const replications = Number(flags.replications);
const replicates = Number(flags.bootstrap);
const until = performance.now() + 60_000 * Number(flags.minutes);

const FIGURES = {
  findings: ['auroc', 'auprc', 'sensitivity', 'specificity', 'f1', 'nll', 'brier', 'confidenceGap'],
  'one-of-k': ['top1', 'balancedAccuracy', 'auroc', 'aurc', 'augrc', 'nll', 'brier', 'confidenceGap'],
} as const;

interface Count {
  /** Data sets in which the figure is defined. */
  defined: number;
  covered: number;
  length: number;
  bootCovered: number;
  bootLength: number;
  alarms: number;
  bootAlarms: number;
  found: number;
}

interface Cell extends Count {
  readonly figure: string;
  readonly kind: string;
  readonly events: number;
  readonly patients: string;
  readonly apart: number;
  readonly seeds: number;
  readonly spread?: number;
  /** Whether the bootstrap was made beside. */
  readonly beside: boolean;
}

function statisticOf(figure: Figure, outputs: Outputs) {
  return figure.sort === 'statistic'
    ? figure.of(new Seen(outputs), outputs.targets.kind === 'findings' ? 0 : undefined)
    : undefined;
}

function cellsOf(design: Design, seeds: number): Cell[] {
  const { kind } = design;
  const names: readonly string[] = FIGURES[kind];
  const figures = names.map((name) => figureNamed(kind, name));
  const all = draw({ ...design, methods: 1, spread: 0 }, new Random(1), 400_000).methods[0]!;
  const truths = figures.map((figure) => statisticOf(figure, all)!.value());
  const counts = names.map(
    (): Count => ({
      defined: 0,
      covered: 0,
      length: 0,
      bootCovered: 0,
      bootLength: 0,
      alarms: 0,
      bootAlarms: 0,
      found: 0,
    }),
  );
  for (let r = 0; r < replications; r++) {
    const { methods, groups } = draw({ ...design, methods: 2 * seeds, better: true }, new Random(2, r));
    const [first, second] = [methods.slice(0, seeds), methods.slice(seeds, 2 * seeds)];
    const options = { figures: names, ...(groups && { groups }) };
    const measured = measureFigures(first, options);
    const tested = compareFigures(first, second, options);
    names.forEach((name, f) => {
      const { value, low, high } = measured[name]!;
      if (value === null || low === null || high === null) return;
      const count = counts[f]!;
      count.defined++;
      if (low <= truths[f]! && truths[f]! <= high) count.covered++;
      if (value < low || value > high) throw new Error(`${name} lies outside its interval`);
      count.length += high - low;
      if (tested[name]!.p! < 0.05) count.alarms++;
      if (replicates === 0) return;
      const sides = [first, second].map((runs) => runs.map((o) => statisticOf(figures[f]!, o)!));
      const drawn = replicate(
        sides.map((runs) => runs.map((one) => [one.measure()])),
        design.n,
        { replicates, seed: r, ...(groups && { groups }) },
      );
      const averageOf = (runs: (typeof sides)[number]) => runs.reduce((a, b) => a + b.value(), 0) / seeds;
      const boot = estimate(averageOf(sides[0]!), drawn[0]![0]!);
      if (boot.low! <= truths[f]! && truths[f]! <= boot.high!) count.bootCovered++;
      count.bootLength += boot.high! - boot.low!;
      const p = difference(averageOf(sides[0]!), averageOf(sides[1]!), drawn[0]![0]!, drawn[1]![0]!).p;
      if (p! < 0.05) count.bootAlarms++;
    });
    if (seeds > 1) continue;
    const power = compareFigures(methods.slice(2), second, options);
    names.forEach((name, f) => {
      if ((power[name]!.p ?? 1) < 0.05) counts[f]!.found++;
    });
  }
  return names.map((figure, f) => ({
    figure,
    kind,
    events: design.events,
    patients: design.patients ? 'yes' : 'no',
    apart: design.apart,
    seeds,
    beside: replicates > 0,
    ...counts[f]!,
  }));
}

const file = flags.out === undefined ? undefined : String(flags.out);
const cells: Cell[] =
  file !== undefined && existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line))
    : [];
const events = String(flags.events).split(',').map(Number);
const jobs: [Design, number][] = [];
for (const many of events)
  for (const patients of [false, true])
    for (const apart of [1, 2])
      for (const kind of ['findings', 'one-of-k'] as const)
        jobs.push([{ kind, events: many, n: 400, patients, apart }, 1]);
for (const kind of ['findings', 'one-of-k'] as const)
  for (const many of [10, 50])
    for (const spread of [0, 0.3])
      jobs.push([{ kind, events: many, n: 400, patients: false, apart: 1, spread }, 3]);
for (const [design, seeds] of jobs) {
  if (performance.now() > until) break;
  const done = cells.some(
    (cell) =>
      cell.kind === design.kind &&
      cell.events === design.events &&
      cell.patients === (design.patients ? 'yes' : 'no') &&
      cell.apart === design.apart &&
      cell.seeds === seeds &&
      (cell.spread ?? 0) === (design.spread ?? 0),
  );
  if (done) continue;
  for (const cell of cellsOf(design, seeds)) {
    const shown = { ...cell, ...(design.spread && { spread: design.spread }) };
    cells.push(shown);
    const line = JSON.stringify(shown);
    console.log(line);
    if (file !== undefined) appendFileSync(file, `${line}\n`);
  }
  process.stderr.write(`${cells.length} of ${8 * jobs.length} cells\n`);
}

function share(count: number, of: number): string {
  return of === 0 ? '–' : ((100 * count) / of).toFixed(1);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function markdown(): string {
  const one = cells.filter(({ seeds }) => seeds === 1);
  const three = cells.filter(({ seeds }) => seeds === 3);
  const rowOf = (cell: Cell) => [
    share(cell.covered, cell.defined),
    !cell.beside ? '–' : share(cell.bootCovered, cell.defined),
    (cell.length / cell.defined).toFixed(3),
    !cell.beside ? '–' : (cell.bootLength / cell.defined).toFixed(3),
    share(cell.alarms, cell.defined),
    !cell.beside ? '–' : share(cell.bootAlarms, cell.defined),
    share(cell.found, cell.defined),
  ];
  const head = ['covers', 'bootstrap', 'length', 'bootstrap', 'false alarms', 'bootstrap', 'power'];
  const of = (kind: string) =>
    table(
      ['figure', 'events', 'patients', 'apart', ...head],
      FIGURES[kind as keyof typeof FIGURES].flatMap((figure) =>
        one
          .filter((cell) => cell.kind === kind && cell.figure === figure)
          .map((cell) => [figure, String(cell.events), cell.patients, String(cell.apart), ...rowOf(cell)]),
      ),
    );
  const least = (some: readonly Cell[]) =>
    Math.min(...some.map((c) => (100 * c.covered) / c.defined)).toFixed(1);
  const most = (some: readonly Cell[]) =>
    Math.max(...some.map((c) => (100 * c.alarms) / c.defined)).toFixed(1);
  return [
    `${cells.length} cells of ${replications} data sets. One run: coverage least ${least(one)} %, false alarms most ${most(one)} %. Three runs: ${least(three.filter((c) => !('spread' in c)))} %, ${most(three)} %.\n`,
    `### One of K\n\n${of('one-of-k')}`,
    `\n### One finding\n\n${of('findings')}`,
    '\n### Three runs (seeds) each; "spread": trainings differ\n',
    table(
      ['kind', 'figure', 'events', 'spread', 'covers', 'false alarms', 'bootstrap'],
      three.map((cell) => [
        cell.kind,
        cell.figure,
        String(cell.events),
        String(cell.spread ?? 0),
        'spread' in cell ? '–' : share(cell.covered, cell.defined),
        share(cell.alarms, cell.defined),
        !cell.beside ? '–' : share(cell.bootAlarms, cell.defined),
      ]),
    ),
  ].join('\n');
}

if (flags.markdown !== undefined) {
  const page = String(flags.markdown);
  const [before, , after] = readFileSync(page, 'utf8').split(/<!-- tables: .*? -->/);
  if (after === undefined)
    throw new Error(`${page} has no marks <!-- tables: begin --> and <!-- tables: end -->`);
  writeFileSync(page, `${before}<!-- tables: begin -->\n${markdown()}\n<!-- tables: end -->${after}`);
}
