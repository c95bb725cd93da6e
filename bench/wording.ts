/**
 * What objectives make of hedged and wrong labels where the truth is known, in a minute a seed:
 * `npm run bench -- wording [--false-positive 0.15] [--miss 0.15] [--seeds 3] [--objectives hard,soft,forward]`.
 *
 * 4,000 training and 8,000 test cases of one finding (10 %); ten features, mixed and bent, one of which shows it; a reader
 * whose view goes with the image's by 0.6 says one of nine certainties, and the label is then flipped. A network of two
 * hidden layers of 64. Prints AUROC against the truth, and the mean distance to P(finding | features). It finds hypotheses: the
 * chest clinic is the benchmark.
 */
import { parseArgs } from 'node:util';
import type { Findings } from '../src/data/index.ts';
import { binaryAuroc } from '../src/metrics/index.ts';
import { createObjective, parseObjective } from '../src/objectives/index.ts';
import { Random } from '../src/random.ts';
import { findings } from '../src/tasks/index.ts';
import { Generator, noGrad, setThreads, type Tensor, tensor, tidy } from '../src/torch/index.ts';
import { Linear, Module } from '../src/torch/nn/index.ts';
import { Adam } from '../src/torch/optim/index.ts';

const { values } = parseArgs({
  options: {
    'false-positive': { type: 'string', default: '0.15' },
    miss: { type: 'string', default: '0.15' },
    seeds: { type: 'string', default: '3' },
    objectives: {
      type: 'string',
      default:
        'hard,soft,soft-shuffled,forward,forward:wording=false,gls:rates=data,gls:rates=data,bound=floor,gls:rates=data,warmup=0.5,scale=0.1',
    },
  },
  strict: false,
});
const falsePositive = Number(values['false-positive']);
const miss = Number(values.miss);
const seeds = Number(values.seeds);
/** A comma that is not before an option's name. */
const objectives = String(values.objectives).split(/,(?!\w+=)/);

const [TRAIN, TEST, WIDTH] = [4000, 8000, 10];
const [EPOCHS, BATCH, RATE] = [40, 128, 2e-3];
const PREVALENCE = 0.1;
/** What the nine certainties are taken for, and where one ends and the next begins. */
const CERTAINTIES = [0, 0.05, 0.15, 0.3, 0.5, 0.68, 0.83, 0.93, 1];
const BOUNDS = [0.03, 0.1, 0.25, 0.42, 0.58, 0.75, 0.9, 0.975];

class Network extends Module {
  private readonly layers: readonly Linear[];

  constructor(generator: Generator) {
    super();
    const sizes = [WIDTH, 64, 64, 1];
    this.layers = [0, 1, 2].map((i) =>
      this.child(`layer${i}`, new Linear(sizes[i]!, sizes[i + 1]!, { generator })),
    );
  }

  override forward(features: Tensor): Tensor {
    return this.layers.reduce(
      (x, layer, i) => (i < 2 ? layer.forward(x).relu() : layer.forward(x)),
      features,
    );
  }
}

const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));

/** Features [n, 10], truth, P(finding | features), and what a reader believes. */
function draw(n: number, random: Random, mixing: readonly (readonly number[])[]) {
  const features = new Float32Array(n * WIDTH);
  const truth = new Uint8Array(n);
  const posterior = new Float64Array(n);
  const belief = new Float64Array(n);
  const prior = Math.log(PREVALENCE / (1 - PREVALENCE));
  for (let i = 0; i < n; i++) {
    truth[i] = Number(random.uniform() < PREVALENCE);
    const [shown, own] = [random.normal(), random.normal()];
    posterior[i] = sigmoid(2 * (2 * truth[i]! + shown) - 2 + prior);
    belief[i] = sigmoid(2 * (2 * truth[i]! + 0.6 * shown + 0.8 * own) - 2 + prior);
    const hidden = [2 * truth[i]! + shown, ...Array.from({ length: WIDTH - 1 }, () => random.normal())];
    for (let c = 0; c < WIDTH; c++) {
      const sum = hidden.reduce((total, x, d) => total + x * mixing[d]![c]!, 0);
      features[i * WIDTH + c] = Math.tanh(sum) + 0.1 * sum;
    }
  }
  return { features, truth, posterior, belief };
}

/** What is heard of the beliefs: labels, flipped at times, with the rates of the wording. */
function hear(belief: Float64Array, random: Random): Findings {
  const said = Array.from(belief, (p) => CERTAINTIES[BOUNDS.filter((bound) => p > bound).length]!);
  return {
    kind: 'findings',
    names: ['finding'],
    values: Float32Array.from(said, (p) => {
      const y = Number(p >= 0.5);
      return random.uniform() < (y === 1 ? miss : falsePositive) ? 1 - y : y;
    }),
    rates: Float32Array.from(said, (p) => Math.min(2 * Math.min(p, 1 - p), 0.999)),
    errors: [{ falsePositive, miss, hedged: (falsePositive + miss) / 2 }],
  };
}

/** AUROC and mean distance to the posterior, of one network trained with an objective. */
function train(text: string, seed: number): [number, number] {
  const random = new Random(seed, 5);
  const mixing = Array.from({ length: WIDTH }, () =>
    Array.from({ length: WIDTH }, () => 0.25 * random.normal()),
  );
  const [own, test] = [draw(TRAIN, random, mixing), draw(TEST, random, mixing)];
  const targets = hear(own.belief, random);
  const model = tidy(() => new Network(new Generator(seed)));
  const optimizer = new Adam(model.namedParameters(), { learningRate: RATE });
  const objective = tidy(() =>
    createObjective(parseObjective(text), {
      task: findings,
      classes: 1,
      epochs: EPOCHS,
      samples: TRAIN,
      targets,
      device: 'cpu',
      generator: new Generator(seed),
    }),
  );
  const order = Int32Array.from({ length: TRAIN }, (_, i) => i);
  const steps = EPOCHS * Math.ceil(TRAIN / BATCH);
  let step = 0;
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    for (let i = TRAIN - 1; i > 0; i--) {
      const j = random.below(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    for (let from = 0; from < TRAIN; from += BATCH) {
      const indices = order.slice(from, from + BATCH);
      const cosine = 0.5 + 0.5 * Math.cos((Math.PI * step++) / steps);
      optimizer.learningRate = RATE * cosine * objective.learningRateScale(epoch);
      tidy(() => {
        const batch = new Float32Array(indices.length * WIDTH);
        indices.forEach((n, i) => {
          batch.set(own.features.subarray(n * WIDTH, (n + 1) * WIDTH), i * WIDTH);
        });
        optimizer.zeroGrad();
        const logits = model.forward(tensor(batch).view([-1, WIDTH]));
        const seen = {
          logits,
          targets: findings.gather(targets, indices, 'cpu'),
          indices,
          inputs: {},
          epoch,
        };
        objective.loss(seen).backward();
        optimizer.step();
        noGrad(() => objective.observe({ ...seen, logits: logits.detach() }));
      });
    }
    tidy(() => objective.endEpoch());
  }
  const logits = tidy(
    () =>
      noGrad(() => model.forward(tensor(test.features).view([TEST, WIDTH]))).toTypedArray() as Float32Array,
  );
  for (const one of [objective, optimizer, model]) one.dispose();
  const p = Float64Array.from(logits, sigmoid);
  const distance = p.reduce((sum, value, i) => sum + Math.abs(value - test.posterior[i]!), 0) / TEST;
  return [binaryAuroc(p, test.truth)!, distance];
}

setThreads(1);
for (const objective of objectives) {
  const runs = Array.from({ length: seeds }, (_, seed) => train(objective, seed));
  const mean = (of: 0 | 1) => Number((runs.reduce((sum, run) => sum + run[of], 0) / seeds).toFixed(4));
  console.log(JSON.stringify({ objective, falsePositive, miss, seeds, auroc: mean(0), distance: mean(1) }));
}
