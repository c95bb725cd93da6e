/** The verbs as attacks see them: how each is called, what it leaves, and what it leaves undisturbed. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withDuckDB } from '../../src/reports/io/tables.ts';
import type { Ended } from './child.ts';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
/** The compiled program, as the launcher starts it. */
export const main = path('../../dist/cli/main.js');
const launcher = path('./launcher.ts');

export interface Verb {
  readonly name: string;
  /** What stands behind `penumbra`; the output is `out`. */
  readonly args: (folder: string, out: string) => string[];
  /** The name of the output in the folder. */
  readonly output: string;
  /** Identifies a complete output; throws or gives undefined for one that is not. */
  readonly digest: (out: string) => Promise<string | undefined>;
  /** Commands whose outputs the verb works on, before anything is attacked. */
  readonly before?: (folder: string) => readonly string[][];
  /** Whether an output that is there must be complete at any moment, also after a kill. */
  readonly appearsWhole: boolean;
}

const hash = (...content: (string | Buffer)[]) => {
  const sum = createHash('sha256');
  for (const part of content) sum.update(part);
  return sum.digest('hex').slice(0, 16);
};

export const verbs: readonly Verb[] = [
  {
    name: 'extract to JSON lines',
    args: (folder, out) => ['extract', join(folder, 'reports.jsonl'), '--out', out],
    output: 'rows-out.jsonl',
    digest: async (out) => hash(readFileSync(out)),
    appearsWhole: false,
  },
  {
    name: 'extract to Parquet',
    args: (folder, out) => ['extract', join(folder, 'few.jsonl'), '--out', out],
    output: 'rows-out.parquet',
    digest: async (out) =>
      withDuckDB(async ({ run, source }) => {
        const [row] = await run(
          `SELECT count(*), md5(string_agg(t::VARCHAR, '|' ORDER BY id, finding)) FROM (SELECT * FROM read_parquet(${source(out)})) t`,
        );
        return row!.map(String).join(' ');
      }),
    appearsWhole: true,
  },
  {
    name: 'dataset build --overwrite',
    args: (folder, out) => [
      ...['dataset', 'build', join(folder, 'images.csv'), '--rows', join(folder, 'rows.jsonl')],
      ...['--out', out, '--overwrite'],
    ],
    output: 'data-set',
    digest: async (out) =>
      hash(...['labels.csv', 'dataset.json', 'README.md'].map((name) => readFileSync(join(out, name)))),
    appearsWhole: true,
  },
  {
    name: 'phantom',
    args: (_, out) => ['phantom', '--out', out, '--images', '60', '--size', '32'],
    output: 'phantoms',
    digest: async (out) =>
      hash(
        ...readdirSync(out).flatMap((name) =>
          name === 'manifest.json' ? [] : readFileSync(join(out, name)),
        ),
      ),
    appearsWhole: true,
  },
  {
    name: 'train',
    args: (_, out) => [
      ...['train', 'phantom', '--phantom-images', '48', '--phantom-size', '32', '--model', 'resnet10'],
      ...['--objective', 'ols', '--epochs', '2', '--batch-size', '8', '--threads', '1', '--workers', '0'],
      ...['--precision', 'float32', '--checkpoint-steps', '1', '--out', out],
    ],
    output: 'run',
    digest: async (out) =>
      existsSync(join(out, 'done.json'))
        ? hash(...['model.safetensors', 'objective.safetensors'].map((name) => readFileSync(join(out, name))))
        : undefined,
    appearsWhole: false,
  },
  {
    name: 'compare',
    args: (_, out) => [
      ...['compare', 'phantom', '--phantom-images', '60', '--phantom-size', '32', '--model', 'resnet10'],
      ...['--objectives', 'hard,ls', '--seeds', '1', '--epochs', '1', '--batch-size', '8', '--threads', '1'],
      ...['--workers', '0', '--precision', 'float32', '--checkpoint-steps', '1', '--replicates', '100'],
      ...['--out', out],
    ],
    output: 'comparison',
    digest: async (out) => {
      if (!['result.json', 'report.html'].every((name) => existsSync(join(out, name)))) return undefined;
      const names = readdirSync(out, { recursive: true, encoding: 'utf8' }).sort();
      const weights = names.filter((name) => name.endsWith('model.safetensors'));
      return `${weights.length} ${hash(...weights.map((name) => readFileSync(join(out, name))))}`;
    },
    appearsWhole: false,
  },
  {
    name: 'rates train',
    args: (folder, out) => [
      ...['rates', 'train', join(folder, 'few.jsonl'), '--rows', join(folder, 'rows.jsonl'), '--epochs', '2'],
      ...['--width', '16', '--depth', '1', '--threads', '1', '--precision', 'float32', '--out', out],
    ],
    output: 'rgn',
    digest: async (out) =>
      existsSync(join(out, 'done.json')) ? hash(readFileSync(join(out, 'model.safetensors'))) : undefined,
    appearsWhole: false,
  },
  {
    name: 'rep-gls, to the data set',
    args: (folder, out) => [
      ...['rep-gls', join(folder, 'images.csv'), '--reports', join(folder, 'few.jsonl'), '--until', 'data'],
      ...['--out', out],
    ],
    output: 'rep-gls',
    digest: async (out) =>
      hash(
        ...['rows.jsonl', 'data/labels.csv', 'data/README.md'].map((name) => readFileSync(join(out, name))),
      ),
    appearsWhole: false,
  },
  {
    name: 'predict',
    before: trained,
    args: (folder, out) => [
      ...['predict', join(folder, 'trained'), join(folder, 'pictures'), '--out', out],
      ...['--threads', '1'],
    ],
    output: 'predictions.csv',
    digest: async (out) => hash(readFileSync(out)),
    appearsWhole: true,
  },
  {
    name: 'evaluate',
    before: trained,
    args: (folder, out) => [
      ...['evaluate', join(folder, 'trained'), join(folder, 'pictures'), '--split', 'test', '--threads', '1'],
      ...['--predictions', out],
    ],
    output: 'evaluated.csv',
    digest: async (out) => hash(readFileSync(out)),
    appearsWhole: true,
  },
  {
    name: 'embed',
    before: trained,
    args: (folder, out) => [
      ...['embed', join(folder, 'trained'), join(folder, 'pictures'), '--split', 'test', '--threads', '1'],
      ...['--neighbours', '3', '--out', out],
    ],
    output: 'features.safetensors',
    digest: async (out) => hash(readFileSync(out)),
    appearsWhole: true,
  },
  {
    name: 'explain',
    before: trained,
    args: (folder, out) => [
      ...['explain', join(folder, 'trained'), join(folder, 'pictures'), '--limit', '4', '--threads', '1'],
      ...['--out', out],
    ],
    output: 'why',
    digest: async (out) => {
      const names = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter((name) =>
        name.endsWith('.png'),
      );
      return `${names.length} ${hash(...names.sort().map((name) => readFileSync(join(out, name))))}`;
    },
    appearsWhole: true,
  },
  {
    name: 'dataset release --overwrite',
    before: (folder) => [
      ['extract', join(folder, 'few.jsonl'), '--out', join(folder, 'read.jsonl')],
      [
        ...['dataset', 'build', join(folder, 'images.csv'), '--rows', join(folder, 'read.jsonl')],
        ...['--out', join(folder, 'built')],
      ],
    ],
    args: (folder, out) => ['dataset', 'release', join(folder, 'built'), '--out', out, '--overwrite'],
    output: 'released',
    digest: async (out) => {
      const names = readdirSync(out).filter((name) => !name.startsWith('.') && !name.endsWith('.parquet'));
      return `${names.length} ${hash(...names.sort().map((name) => readFileSync(join(out, name))))}`;
    },
    appearsWhole: true,
  },
  {
    name: 'judge',
    args: (folder, out) => [
      ...['judge', `a=${join(folder, 'a.csv')}`, `b=${join(folder, 'b.csv')}`, '--replicates', '200'],
      ...['--json', out],
    ],
    output: 'judged.json',
    digest: async (out) => {
      const { differences } = JSON.parse(readFileSync(out, 'utf8'));
      return hash(JSON.stringify(differences));
    },
    appearsWhole: true,
  },
];

/** A network that was hardly trained, and pictures, for verbs that ask one about the other. */
function trained(folder: string): string[][] {
  return [
    [
      ...['train', 'phantom', '--phantom-images', '48', '--phantom-size', '32', '--model', 'resnet10'],
      ...['--objective', 'hard', '--epochs', '1', '--batch-size', '16', '--threads', '1', '--workers', '0'],
      ...['--precision', 'float32', '--out', join(folder, 'trained')],
    ],
    [
      ...['phantom', '--out', join(folder, 'pictures'), '--images', '60', '--size', '32'],
      ...['--format', 'png'],
    ],
  ];
}

/** Makes what a verb works on. */
export async function prepare(verb: Verb, folder: string): Promise<void> {
  makeInputs(folder);
  for (const args of verb.before?.(folder) ?? []) {
    const { code, err } = await start(args, folder).ended;
    if (code !== 0) throw new Error(`${args[0]} does not run: ${err}`);
  }
}

/** Reports, rows, images and predictions that the verbs work on: made up. */
export function makeInputs(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const sentences = [
    'No effusion.',
    'Probable pneumonia.',
    'Heart size is normal.',
    'Pneumothorax cannot be excluded.',
  ];
  const report = (i: number) =>
    `${JSON.stringify({ id: `r${i}`, text: `${sentences[i % 4]} ${sentences[(i >> 2) % 4]}` })}\n`;
  const reports = (n: number) => Array.from({ length: n }, (_, i) => report(i)).join('');
  writeFileSync(join(folder, 'reports.jsonl'), reports(6000));
  writeFileSync(join(folder, 'few.jsonl'), reports(300));
  const row = (id: string, finding: string) =>
    `${JSON.stringify({ id, finding, status: 'present', probability: 1, label: 1, rate: 0, evidence: [], extractor: 'rules', version: 'ab' })}\n`;
  const images = Array.from({ length: 300 }, (_, i) => `i${i}.png,r${i},p${i % 50}\n`);
  writeFileSync(join(folder, 'images.csv'), `image,report,patient\n${images.join('')}`);
  writeFileSync(
    join(folder, 'rows.jsonl'),
    images.flatMap((_, i) => ['Edema', 'Pneumonia'].map((finding) => row(`r${i}`, finding))).join(''),
  );
  for (const [name, sure] of [
    ['a', 0.8],
    ['b', 0.6],
  ] as const) {
    const lines = Array.from({ length: 400 }, (_, i) => {
      const p = (i * 7) % 10 < 5 ? sure : 1 - sure;
      return `s${i},${(i * 3) % 4 < 2 ? 'x' : 'y'},${p},${1 - p}\n`;
    });
    writeFileSync(join(folder, `${name}.csv`), `id,label,p_x,p_y\n${lines.join('')}`);
  }
}

export interface Started {
  readonly launcher: number;
  readonly ended: Promise<Ended>;
}

/** Starts a verb below a launcher, as `npx penumbra` on an older Node does: two processes. */
export function start(args: readonly string[], cwd: string): Started {
  const child = spawn(process.execPath, [launcher, main, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data) => (out += data));
  child.stderr.on('data', (data) => (err += data));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    // Both have ended when both have closed what they print to.
    child.on('close', (code, signal) => resolve({ code, signal, out, err }));
  });
  return { launcher: child.pid!, ended };
}

/** The process that the launcher started, where it has by now. */
export function childOf(pid: number): number | undefined {
  try {
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    return first === undefined || first === '' ? undefined : Number(first);
  } catch {
    return undefined;
  }
}

/** What lies in a folder beside the inputs and the output: nothing, when all went well. */
export function leftovers(folder: string, output: string): string[] {
  const inputs = ['reports.jsonl', 'few.jsonl', 'images.csv', 'rows.jsonl', 'a.csv', 'b.csv', output];
  inputs.push('trained', 'pictures', 'read.jsonl', 'built');
  return readdirSync(folder).filter((name) => !inputs.includes(name));
}
