import { expect, test } from 'vitest';
import { findings } from '../tasks/index.ts';
import { Generator, noGrad, tensor, tidy } from '../torch/index.ts';
import { createObjective, objectiveDefinitions, parseObjective } from './index.ts';

const Z = [-1e30, -1e4, -100, -20, 0, 20, 100, 1e4, 1e30];
const serve = objectiveDefinitions().filter(({ tasks }) => tasks.includes('findings'));
/** What has to be given, and the settings in which losses and logarithms are nearest to their edges. */
const settings: Readonly<Record<string, readonly string[]>> = {
  forward: ['forward', 'forward:error=0', 'forward:error=0.4', 'forward:falsePositive=0.3,miss=0'],
  gls: [
    'gls',
    'gls:warmup=0',
    'gls:rates=data,warmup=0',
    'gls:rates=data,warmup=0,bound=floor',
    'gls:rate=1',
  ],
  asl: ['asl', 'asl:margin=0', 'asl:gammaNegative=0.5,gammaPositive=0.5,margin=0'],
  aucm: ['aucm:warmup=0'],
};
const cases = serve.flatMap(({ name }) => settings[name] ?? [name]);

test.each(cases)('%s: finite losses and gradients at any finite logits, labels and rates', (text) => {
  const rows = Z.length;
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const [y, r] = [
    [0, 1, 0, 1, 0, 1],
    [0, 0, 0.999, 0.999, -0.999, -0.999],
  ];
  const targets = {
    kind: 'findings' as const,
    names,
    values: Float32Array.from({ length: rows * 6 }, (_, at) => y[at % 6]!),
    rates: Float32Array.from({ length: rows * 6 }, (_, at) => r[at % 6]!),
    errors: names.map(() => ({ falsePositive: 0.1, miss: 0.3, hedged: 0.05 })),
  };
  const objective = createObjective(parseObjective(text), {
    task: findings,
    classes: 6,
    epochs: 2,
    samples: rows,
    targets,
    device: 'cpu',
    generator: new Generator(0),
  });
  tidy(() => {
    for (let epoch = 0; epoch < 2; epoch++) {
      const z = tensor(Float32Array.from({ length: rows * 6 }, (_, at) => Z[Math.floor(at / 6)]!))
        .view([rows, 6])
        .requires_grad_();
      const seen = {
        logits: z,
        targets: findings.gather(targets, undefined, 'cpu'),
        indices: Int32Array.from({ length: rows }, (_, i) => i),
        inputs: {},
        teacherLogits: z.detach(),
        doubtLogits: z.detach().neg(),
        epoch,
      };
      const loss = objective.loss(seen);
      loss.backward();
      noGrad(() => objective.observe({ ...seen, logits: z.detach() }));
      expect(Number.isFinite(loss.item()), `loss ${loss.item()}`).toBe(true);
      const slopes = z.grad!.toTypedArray() as Float32Array;
      expect([...slopes].every(Number.isFinite), [...slopes].join()).toBe(true);
      objective.endEpoch();
    }
  });
  objective.dispose();
});
