/** Every case of overwriting, paths and same files, through the command line. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { runNode } from './child.ts';
import { Tally } from './tally.ts';
import { main, makeInputs } from './work.ts';

interface Case {
  readonly what: string;
  readonly args: (at: (name: string) => string) => string[];
  /** What the user's folder holds besides the inputs. */
  readonly make?: (at: (name: string) => string) => void;
  /** The code of the error; undefined for success. */
  readonly error?: RegExp;
  /** Names that may change; all else must be as it was. */
  readonly mayChange?: readonly string[];
}

const extract =
  (input: string, out: string, ...more: string[]) =>
  (at: (name: string) => string) => ['extract', at(input), '--out', at(out), ...more];
const build =
  (images: string, rows: string, out: string, ...more: string[]) =>
  (at: (name: string) => string) => [
    'dataset',
    'build',
    at(images),
    '--rows',
    at(rows),
    '--out',
    at(out),
    ...more,
  ];
const oneLine = '{"id":"a","text":"Small effusion."}';
const same = /files\/same/;
const exists = /files\/exists/;

const cases: Case[] = [
  {
    what: 'input as output',
    args: extract('one.jsonl', 'one.jsonl'),
    make: (at) => writeFileSync(at('one.jsonl'), oneLine),
    error: same,
  },
  {
    what: 'input as output, --overwrite',
    args: extract('few.jsonl', 'few.jsonl', '--overwrite'),
    error: same,
  },
  {
    what: 'hard link of the input as output',
    args: extract('few.jsonl', 'hard.jsonl', '--overwrite'),
    make: (at) => linkSync(at('few.jsonl'), at('hard.jsonl')),
    error: same,
  },
  {
    what: 'symbolic link to the input as output',
    args: extract('few.jsonl', 'soft.jsonl', '--overwrite'),
    make: (at) => symlinkSync(at('few.jsonl'), at('soft.jsonl')),
    error: same,
  },
  {
    what: 'input by another way as output',
    args: extract('few.jsonl', 'x/../few.jsonl'),
    make: (at) => mkdirSync(at('x')),
    error: same,
  },
  {
    what: 'foreign JSON lines as output',
    args: extract('few.jsonl', 'mine.jsonl'),
    make: (at) => writeFileSync(at('mine.jsonl'), `${oneLine}\n${oneLine}\n`),
    error: exists,
  },
  {
    what: 'foreign one-line file as output',
    args: extract('few.jsonl', 'mine.jsonl'),
    make: (at) => writeFileSync(at('mine.jsonl'), oneLine),
    error: exists,
  },
  {
    what: 'foreign JSON lines, --overwrite',
    args: extract('few.jsonl', 'mine.jsonl', '--overwrite'),
    make: (at) => writeFileSync(at('mine.jsonl'), oneLine),
    error: exists,
  },
  {
    what: 'foreign Parquet, --overwrite',
    args: extract('few.jsonl', 'mine.parquet', '--overwrite'),
    make: (at) => writeFileSync(at('mine.parquet'), 'PAR1'),
    error: exists,
  },
  {
    what: 'a pipe as input',
    args: extract('pipe.jsonl', 'o.jsonl'),
    make: (at) => void spawnSync('mkfifo', [at('pipe.jsonl')]),
    error: /empty-input|files\/not-regular/,
  },
  {
    what: 'a link to a device as input',
    args: extract('zero.jsonl', 'o.jsonl'),
    make: (at) => symlinkSync('/dev/zero', at('zero.jsonl')),
    error: /empty-input|files\/not-regular/,
  },
  {
    what: 'a pipe as output',
    args: extract('few.jsonl', 'pipe.jsonl'),
    make: (at) => void spawnSync('mkfifo', [at('pipe.jsonl')]),
    error: /files\//,
  },
  {
    what: 'a folder as output',
    args: extract('few.jsonl', 'o.jsonl'),
    make: (at) => mkdirSync(at('o.jsonl')),
    error: /files\//,
  },
  {
    what: 'a missing folder as output',
    args: extract('few.jsonl', 'no/o.jsonl', '--overwrite'),
    mayChange: ['no'],
  },
  {
    what: 'a name that is too long',
    args: extract('few.jsonl', `${'x'.repeat(260)}.jsonl`),
    error: /files\/name-too-long/,
  },
  {
    what: 'a missing input keeps the output',
    args: extract('missing.jsonl', 'mine.jsonl', '--overwrite'),
    make: (at) => writeFileSync(at('mine.jsonl'), oneLine),
    error: /reports\/input/,
  },
  {
    what: 'a pattern as a name of rows',
    args: build('images.csv', 'g[1].parquet', 'set'),
    make: (at) => writeFileSync(at('g1.parquet'), 'x'),
    error: /dataset\/rows|files\/not-found/,
  },
  {
    what: 'a pattern as a name of images',
    args: build('i[1].csv', 'rows.jsonl', 'set'),
    make: (at) => writeFileSync(at('i1.csv'), 'image,report,patient\nx,r1,p\n'),
    error: /dataset\/images/,
  },
  { what: 'a star as a name of images', args: build('*.csv', 'rows.jsonl', 'set'), error: /dataset\/images/ },
  {
    what: 'a data set over photographs',
    args: build('images.csv', 'rows.jsonl', 'photos', '--overwrite'),
    make: (at) => photos(at),
    error: exists,
  },
  {
    what: 'a data set over its own input',
    args: build('in/images.csv', 'rows.jsonl', 'in', '--overwrite'),
    make: (at) => inside(at),
    error: same,
  },
  {
    what: 'a data set over a folder above its input',
    args: build('in/images.csv', 'rows.jsonl', '.', '--overwrite'),
    make: (at) => inside(at),
    error: same,
  },
  {
    what: 'a data set over a link to its input',
    args: build('in/images.csv', 'rows.jsonl', 'way', '--overwrite'),
    make: (at) => {
      inside(at);
      symlinkSync(at('in'), at('way'));
    },
    error: /files\/(same|exists)/,
  },
  {
    what: 'a data set over a file',
    args: build('images.csv', 'rows.jsonl', 'file', '--overwrite'),
    make: (at) => writeFileSync(at('file'), 'mine'),
    error: exists,
  },
  {
    what: 'phantoms over photographs',
    args: (at) => ['phantom', '--out', at('photos'), '--images', '400', '--size', '32'],
    make: (at) => photos(at),
    error: exists,
  },
  {
    what: 'figures over a thesis',
    args: (at) => ['lexicon', 'check', '--json', at('thesis.txt')],
    make: (at) => writeFileSync(at('thesis.txt'), 'Chapter 1'),
    error: exists,
  },
  {
    what: 'candidates over the reports',
    args: (at) => ['lexicon', 'mine', at('few.jsonl'), '--out', at('few.jsonl')],
    error: same,
  },
  {
    what: 'candidates over a thesis',
    args: (at) => ['lexicon', 'mine', at('few.jsonl'), '--out', at('thesis.txt')],
    make: (at) => writeFileSync(at('thesis.txt'), 'Chapter 1'),
    error: exists,
  },
  {
    what: 'a run over foreign files',
    args: (at) => train(at('mine')),
    make: (at) => {
      mkdirSync(at('mine'));
      writeFileSync(at('mine/metrics.jsonl'), 'mine');
    },
    error: exists,
  },
  {
    what: 'a run beside a foreign temporary',
    args: (at) => train(at('mine')),
    make: (at) => {
      mkdirSync(at('mine'));
      writeFileSync(at('mine/thesis.tmp'), 'mine');
    },
    mayChange: ['mine'],
  },
  {
    what: 'a table that leaves its folder',
    args: (at) => ['train', at('up.csv'), '--out', at('r')],
    make: (at) => writeFileSync(at('up.csv'), 'file,label\n../a.png,x\n../b.png,y\n'),
    error: /files\/outside|data\//,
  },
];

function train(out: string): string[] {
  return [
    ...[
      'train',
      'phantom',
      '--phantom-images',
      '40',
      '--phantom-size',
      '32',
      '--model',
      'resnet10',
      '--epochs',
      '1',
    ],
    ...['--batch-size', '16', '--threads', '1', '--workers', '0', '--precision', 'float32', '--out', out],
  ].flat();
}

function photos(at: (name: string) => string): void {
  mkdirSync(at('photos'));
  writeFileSync(at('photos/a.jpg'), 'a photograph');
}

function inside(at: (name: string) => string): void {
  mkdirSync(at('in'));
  writeFileSync(at('in/images.csv'), 'image,report,patient\ni.png,r1,p1\n');
}

/** Runs every case in a folder of its own: the answer must be the expected one, and what the user has stays. */
export async function tryCases(folder: string): Promise<Tally> {
  const tally = new Tally('cases of overwriting, paths and same files');
  for (const { what, args, make, error, mayChange = [] } of cases) {
    tally.tries++;
    rmSync(folder, { recursive: true, force: true });
    makeInputs(folder);
    const at = (name: string) => join(folder, name);
    make?.(at);
    const before = stateOf(folder);
    const { code, err } = await runNode([main, ...args(at)], { cwd: folder });
    tally.check(
      error === undefined ? code === 0 : code !== 0 && error.test(err),
      () => `${what}: exit ${code}: ${err.slice(0, 300)}`,
    );
    tally.check(!/\n\s+at /.test(err), () => `${what}: a stack: ${err.slice(0, 300)}`);
    const after = stateOf(folder);
    for (const [name, state] of before) {
      if (mayChange.some((top) => name === top)) continue;
      tally.check(after.get(name) === state, () => `${what}: ${name} was changed`);
    }
    if (error !== undefined) {
      const more = [...after.keys()].filter((name) => !before.has(name));
      tally.check(more.length === 0, () => `${what}: left ${more}`);
    }
  }
  rmSync(folder, { recursive: true, force: true });
  return tally;
}

function stateOf(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return new Map(
    names.map((name) => {
      const path = join(folder, name);
      const stat = lstatSync(path);
      const content = stat.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : '';
      return [name, `${stat.ino} ${stat.isFile()} ${content}`];
    }),
  );
}
