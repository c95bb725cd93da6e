/**
 * What one operator call costs, in ns: the least of several runs of a loop over one-element tensors.
 *
 *     node bench/operators.ts
 *
 * Beside it PyTorch's own from Python, where PENUMBRA_PYTHON names a Python that has it.
 */
import { spawnSync } from 'node:child_process';
import { aten, noGrad, setThreads, tensor } from '../src/torch/index.ts';

export interface OperatorCost {
  name: string;
  /** Nanoseconds a call, result released by `using`. */
  penumbra: number;
  pytorch: number | null;
}

const CALLS = 100_000;
const RUNS = 15;

const a = tensor([1]);
const b = tensor([2]);
const square = tensor([[1]]);

/** Each loop written out: a closure called for every operator would be a part of what is measured. */
const loops: { name: string; python: string; run: (calls: number) => void }[] = [
  {
    name: 'add',
    python: 'torch.add(a, b)',
    run: (calls) => {
      for (let i = 0; i < calls; i++) {
        using _ = a.add(b);
      }
    },
  },
  {
    name: 'add (aten)',
    python: 'torch.ops.aten.add(a, b)',
    run: (calls) => {
      for (let i = 0; i < calls; i++) {
        using _ = aten.add(a, b);
      }
    },
  },
  {
    name: 'add_',
    python: 'a.add_(b)',
    run: (calls) => {
      for (let i = 0; i < calls; i++) a.add_(b);
    },
  },
  {
    name: 'add a number',
    python: 'torch.add(a, 2)',
    run: (calls) => {
      for (let i = 0; i < calls; i++) {
        using _ = a.add(2);
      }
    },
  },
  {
    name: 'add with alpha',
    python: 'torch.add(a, b, alpha=2)',
    run: (calls) => {
      for (let i = 0; i < calls; i++) {
        using _ = a.add(b, { alpha: 2 });
      }
    },
  },
  {
    name: 'relu',
    python: 'a.relu()',
    run: (calls) => {
      for (let i = 0; i < calls; i++) {
        using _ = a.relu();
      }
    },
  },
  {
    name: 'view',
    python: 'a.view((1, 1))',
    run: (calls) => {
      for (let i = 0; i < calls; i++) {
        using _ = a.view([1, 1]);
      }
    },
  },
  {
    name: 'matmul',
    python: 'square.matmul(square)',
    run: (calls) => {
      for (let i = 0; i < calls; i++) {
        using _ = square.matmul(square);
      }
    },
  },
  {
    name: 'sum',
    python: 'a.sum()',
    run: (calls) => {
      for (let i = 0; i < calls; i++) {
        using _ = a.sum();
      }
    },
  },
];

export function measureOperators(): OperatorCost[] {
  setThreads(1);
  const pytorch =
    process.env.PENUMBRA_PYTHON === undefined ? null : measurePython(process.env.PENUMBRA_PYTHON);
  return noGrad(() =>
    loops.map(({ name, run }, i) => {
      run(CALLS / 10);
      let least = Number.POSITIVE_INFINITY;
      for (let repeat = 0; repeat < RUNS; repeat++) {
        const begin = process.hrtime.bigint();
        run(CALLS);
        least = Math.min(least, Number(process.hrtime.bigint() - begin) / CALLS);
      }
      return { name, penumbra: least, pytorch: pytorch?.[i] ?? null };
    }),
  );
}

function measurePython(python: string): number[] {
  const program = `
import json, timeit, torch
torch.set_num_threads(1)
a, b, square = torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([[1.0]])
with torch.no_grad():
    print(json.dumps([min(timeit.repeat(s, number=${CALLS}, repeat=${RUNS}, globals=globals())) / ${CALLS} * 1e9
                      for s in ${JSON.stringify(loops.map((loop) => loop.python))}]))
`;
  const { stdout, stderr, status } = spawnSync(python, ['-c', program], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`PENUMBRA_PYTHON could not measure PyTorch:\n${stderr}`);
  return JSON.parse(stdout) as number[];
}

if (import.meta.main) {
  console.log(`ns a call${' '.repeat(9)}Penumbra   PyTorch`);
  for (const { name, penumbra, pytorch } of measureOperators())
    console.log(
      `${name.padEnd(18)}${penumbra.toFixed(0).padStart(8)}${(pytorch?.toFixed(0) ?? '-').padStart(10)}`,
    );
}
