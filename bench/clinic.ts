/**
 * `npm run bench -- clinic`: the clinic benchmark as docs/clinic-plan.md has it. It takes hours, so it does nothing unasked:
 *
 *     --prepare    draws runs/clinic, has 400 training reports marked, and builds its data set
 *     --sweep      draws and trains every point of the sweep in runs/clinic-sweep; with --jobs 2, --only habit-0.5
 *
 * Between the two, `penumbra study studies/clinic.json --jobs 2` is the main table. Everything goes on where it was stopped.
 * The sweep prints a row of Markdown a point.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseCsv } from '../src/data/index.ts';
import { CLINIC_FINDINGS } from '../src/phantom/index.ts';
import { Random } from '../src/random.ts';

/** Training reports that are marked, as a hospital would: what is true, and what people read. */
const MARKED = 400;
const SWEEP = 'runs/clinic-sweep';

interface Point {
  readonly name: string;
  /** Flags of the clinic. */
  readonly dials: readonly string[];
  /** Share of the labels that are flipped after extraction, and the error that objectives are told. */
  readonly flips?: { readonly share: number; readonly assumed: number };
}

const dial = (name: string, value: number): Point => ({
  name: `${name}-${value}`,
  dials: [`--phantom-${name}`, String(value)],
});
const flips = (share: number, assumed: number): Point => ({
  name: share === assumed ? `flips-${share}` : `flips-${share}-told-${assumed}`,
  dials: [],
  flips: { share, assumed },
});

const points: readonly Point[] = [
  { name: 'default', dials: [] },
  ...[0, 1].map((x) => dial('correlation', x)),
  ...[0, 0.5].map((x) => dial('habit', x)),
  ...[0, 0.5].map((x) => dial('silence', x)),
  ...[0.5, 2].map((x) => dial('skill', x)),
  dial('artefacts', 0.2),
  dial('prevalence', 0.5),
  ...[1000, 8000].map((x) => dial('images', x)),
  ...[0.05, 0.15, 0.3].map((e) => flips(e, e)),
  flips(0.15, 0.075),
  flips(0.15, 0.3),
];

const { values } = parseArgs({
  options: {
    prepare: { type: 'boolean' },
    sweep: { type: 'boolean' },
    jobs: { type: 'string', default: '2' },
    only: { type: 'string' },
  },
  strict: false,
});
const { only } = values;
if (values.prepare) await prepare('runs/clinic', ['--phantom-images', '8000']);
if (values.sweep) await sweep(points.filter(({ name }) => only === undefined || name === only));
if (!values.prepare && !values.sweep)
  process.stdout.write('hours of work: npm run bench -- clinic --prepare, or --sweep\n');

async function sweep(chosen: readonly Point[]): Promise<void> {
  const sets: Record<string, object> = {};
  for (const point of chosen) {
    const folder = join(SWEEP, point.name);
    const dials = point.dials.includes('--phantom-images')
      ? point.dials
      : ['--phantom-images', '4000', ...point.dials];
    if (point.flips === undefined) await prepare(folder, dials);
    else await prepareFlipped(folder, dials, point.flips);
    sets[point.name] = {
      path: `${point.name}/data`,
      judgeBy: `${point.name}/clinic`,
      findings: { blank: 'zeros' },
    };
  }
  const { settings } = JSON.parse(readFileSync('studies/clinic.json', 'utf8')) as { settings: object };
  const study = join(SWEEP, 'sweep.json');
  writeFileSync(
    study,
    JSON.stringify(
      {
        name: 'clinic-sweep',
        title: 'When does the wording pay?',
        sets,
        networks: ['resnet10_half'],
        methods: ['hard', 'soft', 'gls:rates=data', 'forward'],
        seeds: [0, 1],
        // Half of the epochs: a point has half of the images, and there are many points.
        settings: { ...settings, epochs: 8 },
        calibration: false,
        embeddings: false,
        certificates: false,
        images: false,
      },
      null,
      1,
    ),
  );
  await penumbra('study', study, '--out', join(SWEEP, 'study'), '--jobs', String(values.jobs), '--quiet');
  for (const row of rowsOf(join(SWEEP, 'study', 'result.json'))) process.stdout.write(`${row}\n`);
}

/** Draws a clinic, measures the extractor's errors on marked reports, and builds the data set with these. */
async function prepare(folder: string, dials: readonly string[]): Promise<void> {
  if (existsSync(join(folder, 'data', 'dataset.json'))) return;
  await penumbra('rep-gls', 'phantom', '--out', folder, ...dials, '--until', 'rows');
  const { gold, read } = mark(folder);
  const rows = join(folder, 'rows.jsonl');
  const audit = join(folder, 'marked.json');
  await penumbra('reports', 'audit', rows, '--gold', gold, '--read', read, '--json', audit);
  await penumbra('rep-gls', 'phantom', '--out', folder, ...dials, '--errors', audit, '--until', 'data');
}

/** The same with labels flipped by chance after extraction, and objectives that are told how many. */
async function prepareFlipped(
  folder: string,
  dials: readonly string[],
  { share, assumed }: NonNullable<Point['flips']>,
): Promise<void> {
  if (existsSync(join(folder, 'data', 'dataset.json'))) return;
  await penumbra('rep-gls', 'phantom', '--out', folder, ...dials, '--until', 'rows');
  const random = new Random(1, 77);
  const lines = readFileSync(join(folder, 'rows.jsonl'), 'utf8').trimEnd().split('\n');
  const flipped = lines.map((line) => {
    const row = JSON.parse(line) as { probability: number | null; label: number | null; status: string };
    // One draw a row, so that more flips hold those of fewer.
    if (random.uniform() >= share || row.probability === null) return line;
    row.probability = Number((1 - row.probability).toFixed(6));
    row.label = row.probability >= 0.5 ? 1 : 0;
    row.status = row.status === 'present' ? 'absent' : row.status === 'absent' ? 'present' : row.status;
    return JSON.stringify(row);
  });
  const file = join(folder, 'flipped.jsonl');
  writeFileSync(file, `${flipped.join('\n')}\n`);
  const errors = `falsePositive=${assumed},miss=${assumed},hedged=${assumed}`;
  const given = ['--rows', file, '--errors', errors, '--until', 'data'];
  await penumbra('rep-gls', join(folder, 'clinic'), '--out', folder, ...given);
}

/**
 * Of the first training reports: the truth, and what a person reads in them, which is what the reader meant by the words. A hedge
 * is read as nothing, since what it means is not for others to say.
 */
function mark(folder: string): { gold: string; read: string } {
  const [header, ...rows] = parsed(join(folder, 'clinic', 'truth.csv'));
  const [labelHead, ...labels] = parsed(join(folder, 'clinic', 'labels.csv'));
  const at = (name: string) => header!.indexOf(name);
  const train = rows.flatMap((row, i) => (row[at('split')] === 'train' ? [i] : [])).slice(0, MARKED);
  const names = CLINIC_FINDINGS.map(({ name }) => name);
  const write = (name: string, of: (row: string[], label: string[], finding: string) => string) => {
    const file = join(folder, name);
    const lines = train.map((i) =>
      [rows[i]![at('report')], ...names.map((finding) => of(rows[i]!, labels[i]!, finding))].join(','),
    );
    writeFileSync(file, `report,${names.join(',')}\n${lines.join('\n')}\n`);
    return file;
  };
  return {
    gold: write('marked-truth.csv', (_, label, finding) => label[labelHead!.indexOf(finding)]!),
    read: write('marked-read.csv', (row, _, finding) => {
      const said = row[at(`${finding} said`)]!;
      return said === '' ? '' : Number(said) < 2 ? '0' : Number(said) > 6 ? '1' : '';
    }),
  };
}

function parsed(path: string): string[][] {
  const rows: string[][] = [];
  parseCsv(readFileSync(path, 'utf8'), path, (fields) => rows.push([...fields]));
  return rows;
}

interface Cell {
  readonly set: string;
  readonly judgement: {
    readonly parts: {
      readonly figures: {
        readonly methods: readonly {
          readonly method: string;
          readonly figures: Record<string, Estimate>;
          readonly versus: Record<string, Estimate> | null;
        }[];
      };
    };
  };
}
interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** A row a point: BCE, and what the others gain on it in AUROC and in distance from the posterior, × 1,000. */
function rowsOf(path: string): string[] {
  const { cells } = JSON.parse(readFileSync(path, 'utf8')) as { cells: readonly Cell[] };
  const gain = (one: Estimate | undefined) =>
    one === undefined ? '–' : `${thousand(one.value)} [${thousand(one.low)}, ${thousand(one.high)}]`;
  const head = ['', 'BCE: AUROC', 'soft', 'GLS', 'forward', 'BCE: distance', 'soft', 'GLS', 'forward'];
  return [
    `| ${head.join(' | ')} |`,
    `|${head.map(() => '---').join('|')}|`,
    ...cells.map(({ set, judgement }) => {
      const [hard, ...others] = judgement.parts.figures.methods;
      const both = ['auroc', 'truth.absolute'].flatMap((figure) => [
        hard!.figures[figure]!.value.toFixed(3),
        ...others.map(({ versus }) => gain(versus?.[figure])),
      ]);
      return `| ${[set, ...both].join(' | ')} |`;
    }),
  ];
}

function thousand(x: number): string {
  return (1000 * x).toFixed(0).replace('-', '−');
}

/** Runs a verb in this process's place; its progress is shown. */
async function penumbra(...args: string[]): Promise<void> {
  mkdirSync('runs', { recursive: true });
  const { status } = spawnSync(process.execPath, ['dist/cli/main.js', ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) process.exit(status ?? 1);
}
