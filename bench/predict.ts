/**
 * Speed and memory of `predict` on new images against `evaluate` on the same: `node bench/predict.ts [--images 10000]
 * [--rounds 3] [--size 64] [--model resnet18]`. The two run in turns, each in a process of its own on one thread with two
 * decoding threads; compared are the processor seconds of all threads, start-up included, which other work on the machine
 * changes less than the clock. Prints one JSON object a line, the last with the ratio; memory is that of a fifth of the
 * images and of all.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writePhantom } from '../src/data/index.ts';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '3' },
    size: { type: 'string', default: '64' },
    model: { type: 'string', default: 'resnet18' },
  },
  strict: false,
});
const images = Number(values.images);
const rounds = Number(values.rounds);

const root = mkdtempSync(join(tmpdir(), 'penumbra-bench-predict-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));
const at = (...names: string[]) => join(root, ...names);
const program = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
// What a process used in all is known at its end alone.
const tells = `data:text/javascript,process.on('exit',()=>process.stderr.write('\\n@'+JSON.stringify(process.resourceUsage())))`;

interface Used {
  readonly cpu: number;
  readonly seconds: number;
  readonly megabytes: number;
}

function penumbra(...args: string[]): Used {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, ['--import', tells, program, ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  const seconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${args[0]} ended with ${status}: ${stderr}`);
  const used = JSON.parse(stderr.slice(stderr.lastIndexOf('\n@') + 2)) as NodeJS.ResourceUsage;
  return {
    cpu: (used.userCPUTime + used.systemCPUTime) / 1e6,
    seconds,
    megabytes: Math.round(used.maxRSS / 1024),
  };
}

// Small splits to train on, and a test split of as many images as are asked for.
await writePhantom(at('data'), {
  images: Math.ceil(images / 0.96),
  size: Number(values.size),
  format: 'png',
  fractions: { val: 0.02, test: 0.96 },
});
const test = readdirSync(at('data', 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.png'))
  .sort();
const few = test.slice(0, Math.floor(test.length / 5));
for (const name of few) {
  mkdirSync(at('few', name, '..'), { recursive: true });
  copyFileSync(at('data', 'test', name), at('few', name));
}
const settings = [
  '--model',
  String(values.model),
  '--size',
  String(values.size),
  '--epochs',
  '1',
  '--workers',
  '2',
  '--threads',
  '1',
];
penumbra('train', at('data'), '--out', at('run'), '--check', 'none', ...settings);

const ratios: number[] = [];
for (let round = 0; round < rounds; round++) {
  const run = (verb: string, ...args: string[]) => {
    const used = penumbra(verb, ...args);
    console.log(JSON.stringify({ bench: 'predict', verb, round, images: test.length, ...used }));
    return used;
  };
  const evaluated = run(
    'evaluate',
    at('run'),
    at('data'),
    '--split',
    'test',
    '--replicates',
    '0',
    '--predictions',
    at('evaluate.csv'),
  );
  const predicted = run('predict', at('run'), at('data', 'test'), '--out', at('predict.csv'));
  ratios.push(evaluated.cpu / predicted.cpu);
}
const small = penumbra('predict', at('run'), at('few'), '--out', at('few.csv'));
const large = penumbra('predict', at('run'), at('data', 'test'), '--out', at('predict.csv'));
ratios.sort((a, b) => a - b);
console.log(
  JSON.stringify({
    bench: 'predict',
    model: values.model,
    size: Number(values.size),
    images: test.length,
    speed_of_evaluate: Number(ratios[Math.floor(ratios.length / 2)]!.toFixed(3)),
    least: Number(ratios[0]!.toFixed(3)),
    greatest: Number(ratios.at(-1)!.toFixed(3)),
    megabytes: { [few.length]: small.megabytes, [test.length]: large.megabytes },
    equal_rows: equalRows(),
  }),
);

/** Of how many images both wrote the same probabilities, to the last digit. */
function equalRows(): number {
  const rows = (file: string) => {
    const [head, ...lines] = readFileSync(at(file), 'utf8').trim().split('\n');
    const columns = head!.split(',');
    const wanted = columns.flatMap((name, c) => (name.startsWith('p_') ? [c] : []));
    return lines.map((line) => {
      const cells = line.split(',');
      return [cells[0]!.replace(/^test\//, ''), wanted.map((c) => cells[c]).join()] as const;
    });
  };
  const known = new Map(rows('evaluate.csv'));
  return rows('predict.csv').filter(([name, own]) => known.get(name) === own).length;
}
