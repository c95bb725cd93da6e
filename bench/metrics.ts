/**
 * Time and memory of the metrics: `node bench/metrics.ts [--samples 1000000] [--classes 165]`. Prints one JSON object a
 * line. With PENUMBRA_PYTHON naming a Python that has torch and torchmetrics, it measures the same array of
 * predictions with these too (the array then goes through a temporary file).
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureFigures, outputsOf } from '../src/figures/index.ts';
import {
  auroc,
  calibrationError,
  classwiseEce,
  type Predictions,
  predictions,
  reliabilityBins,
  top1,
  topK,
} from '../src/metrics/index.ts';
import { Random } from '../src/random.ts';

const { values } = parseArgs({
  options: { samples: { type: 'string', default: '1000000' }, classes: { type: 'string', default: '165' } },
  strict: false,
});
const samples = Number(values.samples);
const classes = Number(values.classes);

/** Over-confident softmax outputs; half of the samples have their label as the likeliest class. */
function draw(n: number, k: number): { probabilities: Float32Array; labels: Int32Array } {
  const random = new Random(1, n, k);
  const probabilities = new Float32Array(n * k);
  const labels = new Int32Array(n);
  const row = new Float64Array(k);
  for (let i = 0; i < n; i++) {
    const y = random.below(k);
    const peak = random.uniform() < 0.5 ? y : random.below(k);
    let sum = 0;
    for (let c = 0; c < k; c++)
      sum += row[c] = Math.exp(3 * random.uniform() + (c === peak ? 6 * random.uniform() : 0));
    for (let c = 0; c < k; c++) probabilities[i * k + c] = row[c]! / sum;
    labels[i] = y;
  }
  return { probabilities, labels };
}

interface Line {
  readonly what: string;
  readonly seconds: number;
  readonly value: number | null;
}

function time(what: string, run: () => number | null): Line {
  const start = performance.now();
  const value = run();
  return { what, seconds: (performance.now() - start) / 1000, value };
}

function print(by: string, lines: readonly Line[]): void {
  for (const { what, seconds, value } of lines) {
    console.log(
      JSON.stringify({
        bench: 'metrics',
        by,
        samples,
        classes,
        what,
        seconds: Number(seconds.toFixed(3)),
        value,
      }),
    );
  }
  const seconds = Number(lines.reduce((sum, line) => sum + line.seconds, 0).toFixed(3));
  console.log(JSON.stringify({ bench: 'metrics', by, samples, classes, what: 'all of these', seconds }));
}

const PYTHON = `
import json, sys, time, warnings
import numpy as np, torch
from torchmetrics.functional.classification import (
    binary_calibration_error, multiclass_accuracy, multiclass_auroc, multiclass_calibration_error)
warnings.simplefilter("ignore")
folder, n, k = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
p = torch.from_numpy(np.fromfile(folder + "/probabilities", np.float32).reshape(n, k))
y = torch.from_numpy(np.fromfile(folder + "/labels", np.int32)).long()
off = dict(validate_args=False)
figures = {
    "top1": lambda: multiclass_accuracy(p, y, k, average="micro", **off),
    "top5": lambda: multiclass_accuracy(p, y, k, average="micro", top_k=5, **off),
    "ece": lambda: multiclass_calibration_error(p, y, k, n_bins=15, **off),
    "classwiseEce": lambda: sum(
        binary_calibration_error(p[:, c].contiguous(), (y == c).int(), n_bins=15, **off) for c in range(k)) / k,
    "auroc": lambda: multiclass_auroc(p, y, k, **off),
}
lines = []
for what, run in figures.items():
    start = time.perf_counter()
    value = float(run())
    lines.append(dict(what=what, seconds=time.perf_counter() - start, value=value))
print(json.dumps(lines))
`;

function torchmetrics(python: string, p: Predictions): Line[] {
  const folder = mkdtempSync(join(tmpdir(), 'penumbra-bench-'));
  try {
    for (const [name, array] of [
      ['probabilities', p.probabilities],
      ['labels', p.labels],
    ] as const) {
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      const file = openSync(join(folder, name), 'w');
      for (let at = 0; at < bytes.length; )
        at += writeSync(file, bytes, at, Math.min(2 ** 28, bytes.length - at));
      closeSync(file);
    }
    const args = ['-c', PYTHON, folder, `${p.labels.length}`, `${p.classes}`];
    const { status, stdout, stderr, error } = spawnSync(python, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${python} failed: ${error?.message ?? stderr.slice(-2000)}`);
    return JSON.parse(stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const drawn = draw(samples, classes);
const before = process.memoryUsage.rss();
let peak = before;
const watch = (line: Line): Line => {
  peak = Math.max(peak, process.memoryUsage.rss());
  return line;
};
const start = performance.now();
const p = predictions(drawn.probabilities, drawn.labels);
const checked = { what: 'check', seconds: (performance.now() - start) / 1000, value: null };
print('penumbra', [
  checked,
  ...[
    () => time('top1', () => top1(p)),
    () => time('top5', () => topK(p, 5)),
    () => time('ece', () => calibrationError(reliabilityBins(p))),
    () => time('classwiseEce', () => classwiseEce(p).ece),
    () => time('auroc', () => auroc(p).macro),
  ].map((run) => watch(run())),
]);
const array = Math.round(p.probabilities.byteLength / 2 ** 20);
console.log(
  JSON.stringify({
    bench: 'metrics',
    what: 'memory',
    array_mib: array,
    extra_mib: Math.round((peak - before) / 2 ** 20),
  }),
);
const python = process.env.PENUMBRA_PYTHON;
if (python) print('torchmetrics', torchmetrics(python, p));
else
  console.log(
    JSON.stringify({ bench: 'metrics', by: 'torchmetrics', skipped: 'PENUMBRA_PYTHON is not set' }),
  );

for (const [n, k] of [
  [10_000, 5],
  [10_000, 165],
] as const) {
  const small = draw(n, k);
  const q = predictions(small.probabilities, small.labels);
  const five = ['top1', 'balancedAccuracy', 'nll', 'brier', 'ece'] as const;
  for (const [what, names] of [
    ['5 figures', five],
    ['all figures', undefined],
  ] as const) {
    const { seconds } = time(
      what,
      () => measureFigures(outputsOf(q), names === undefined ? {} : { figures: names }).ece!.value,
    );
    console.log(
      JSON.stringify({
        bench: 'metrics',
        what: `summary, 1,000 replicates of ${what}`,
        samples: n,
        classes: k,
        seconds: Number(seconds.toFixed(3)),
      }),
    );
  }
}
