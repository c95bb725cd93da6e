/**
 * One rank of a small group, for the tests: does what its argument names and prints a line of JSON.
 * The environment is a launcher's.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatError, PenumbraError } from '../../src/errors.ts';
import {
  aten,
  distributed,
  Generator,
  nn,
  noGrad,
  optim,
  type Tensor,
  tensor,
  tidy,
} from '../../src/torch/index.ts';

type ProcessGroup = distributed.ProcessGroup;
const { join, meetingFromEnvironment, Reducer } = distributed;
/** Undefined for a process alone. */
const meeting = meetingFromEnvironment(process.env);
const [scenario] = process.argv.slice(2);
const timeout = Number(process.env.RANK_TIMEOUT ?? 20);

/** In channels-last memory, so that gradients are not contiguous; large enough for several buckets; `spare` may be left out. */
function makeNet(width = 64) {
  const generator = new Generator(1);
  const convolution = new nn.Conv2d(3, width, 3, { generator }).to({ memoryFormat: 'channels_last' });
  const wide = new nn.Linear(width, 8192, { generator });
  const head = new nn.Linear(8192, 5, { generator });
  const spare = new nn.Linear(5, 5, { generator });
  const layers = { convolution, wide, head, spare };
  const parameters = new Map(
    Object.entries(layers).flatMap(([name, layer]) => Array.from(layer.namedParameters(`${name}.`))),
  );
  const forward = (x: Tensor, all = true) => {
    const y = head.forward(wide.forward(convolution.forward(x).relu().mean([2, 3])).relu());
    return all ? spare.forward(y) : y;
  };
  return { forward, parameters };
}

/** Steps of SGD on batches of which every rank has its share; the weights in the end, as a hash and some numbers. */
function train(
  group: ProcessGroup,
  steps: number,
  lossOf: (net: ReturnType<typeof makeNet>, step: number) => Tensor | null,
) {
  const net = makeNet();
  const sgd = new optim.SGD(net.parameters, { learningRate: 0.1, momentum: 0.9 });
  using reducer = new Reducer(group, net.parameters);
  for (let step = 0; step < steps; step++) {
    tidy(() => {
      sgd.zeroGrad();
      const loss = lossOf(net, step) ?? reducer.nothing();
      const missing = group.sum([reducer.reachesAll(loss) ? 0 : 1])[0]!;
      if (missing > 0) reducer.findUnused();
      reducer.backward(loss);
      sgd.step();
    });
  }
  return summary(net.parameters);
}

function summary(parameters: ReadonlyMap<string, Tensor>) {
  const hash = createHash('sha256');
  const some: Record<string, number[]> = {};
  for (const [name, parameter] of parameters) {
    const values = tidy(() => parameter.detach().contiguous().toTypedArray()) as Float32Array;
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    some[name] = Array.from(values.subarray(0, 5));
  }
  return { hash: hash.digest('hex'), some };
}

const BATCH = 8;

/** Images and classes of a step's whole batch. */
function batchOf(step: number): [Tensor, Tensor] {
  const generator = new Generator(100 + step);
  const x = aten.randn([BATCH, 3, 8, 8], { generator }).to({ memory_format: 'channels_last' });
  return [x, aten.randint(5, [BATCH], { generator, dtype: 'int64' })];
}

/** The loss of a rank's share, such that the mean over the ranks is the loss of the whole batch. */
function shareLoss(group: ProcessGroup, net: ReturnType<typeof makeNet>, step: number, all = true): Tensor {
  const [x, y] = batchOf(step);
  const share = BATCH / group.size;
  const part = (of: Tensor) => of.narrow(0, group.rank * share, share);
  return net.forward(part(x), all).cross_entropy_loss(part(y));
}

const scenarios: Record<string, (group: ProcessGroup) => Promise<unknown>> = {
  async collectives(group) {
    return tidy(() => {
      const rank = group.rank;
      const sum = group.allReduce(tensor([rank + 1, 2, 3]));
      const most = group.allReduce(tensor([rank, -rank]), 'max');
      const sent = aten.full([2, 3, 2, 2], rank).to({ memory_format: 'channels_last' });
      group.broadcast([sent], 1);
      return {
        sum: Array.from(sum.toTypedArray() as Float32Array),
        most: Array.from(most.toTypedArray() as Float32Array),
        sent: Array.from(sent.toTypedArray() as Float32Array),
        gathered: group.allGather(tensor([rank])).map((one) => one.item()),
        numbers: group.sum([0.1, rank]),
        texts: group.gatherTexts('é'.repeat(rank)),
        text: group.broadcastText(`of rank ${rank}: ü`, group.size - 1),
        empty: group.broadcastText(''),
      };
    });
  },

  train: async (group) => train(group, 4, (net, step) => shareLoss(group, net, step)),

  /** What one process does with the whole batch. */
  async whole() {
    const net = makeNet();
    const sgd = new optim.SGD(net.parameters, { learningRate: 0.1, momentum: 0.9 });
    for (let step = 0; step < 4; step++)
      tidy(() => {
        sgd.zeroGrad();
        const [x, y] = batchOf(step);
        net.forward(x).cross_entropy_loss(y).backward();
        sgd.step();
      });
    return summary(net.parameters);
  },

  /** The last layer has no part in the loss of any rank. */
  unused: async (group) => train(group, 3, (net, step) => shareLoss(group, net, step, false)),

  /** The last rank has nothing to say in step 1. */
  idle: async (group) =>
    train(group, 3, (net, step) =>
      step === 1 && group.rank === group.size - 1 ? null : shareLoss(group, net, step),
    ),

  /** Batch norm by all ranks' images, of which the last rank has none, against LibTorch's of the whole batch. */
  norm: async (group) =>
    tidy(() => {
      const generator = new Generator(7);
      const shares = [7, 5, 0].slice(0, group.size);
      const from = shares.slice(0, group.rank).reduce((sum, share) => sum + share, 0);
      const part = (of: Tensor) => of.narrow(0, from, shares[group.rank]!);
      const found: Record<string, number> = {};
      for (const dtype of ['float64', 'float32', 'bfloat16'] as const) {
        // Far from 0: a sum of squares alone would lose the variance.
        const x = aten.randn([12, 6, 5, 4], { generator, dtype: 'float64' }).add(30).to({ dtype });
        const dy = aten.randn([12, 6, 5, 4], { generator, dtype: 'float64' }).to({ dtype });
        const make = (of: 'float64' | 'float32') => {
          const norm = new nn.BatchNorm2d(6).to({ dtype: of });
          for (const parameter of norm.parameters())
            noGrad(() => parameter.copy_(aten.arange(6, { dtype: of }).mul(0.3).add(0.5)));
          return norm;
        };
        const norm = make(dtype === 'float64' ? 'float64' : 'float32');
        const whole = make('float64');
        nn.synchronizeBatchNorm(norm, group);
        const input = part(x).clone().requires_grad_();
        const output = norm.forward(input);
        output.backward({ gradient: part(dy) });
        const reference = x.to({ dtype: 'float64' }).detach().requires_grad_();
        const expected = whole.forward(reference);
        expected.backward({ gradient: dy.to({ dtype: 'float64' }) });
        const far = (a: Tensor, b: Tensor) =>
          a.size === 0 ? 0 : a.detach().to({ dtype: 'float64' }).sub(b.detach()).abs().max().item();
        found[`${dtype} output`] = far(output, part(expected));
        found[`${dtype} input`] = far(input.grad!, part(reference.grad!));
        for (const name of ['weight', 'bias'] as const)
          found[`${dtype} ${name}`] = far(group.allReduce(norm[name].grad!.clone()), whole[name].grad!);
        found[`${dtype} running mean`] = far(norm.runningMean, whole.runningMean);
        found[`${dtype} running variance`] = far(norm.runningVar, whole.runningVar);
        const alone = norm.eval().forward(x.to({ dtype: norm.weight.dtype }));
        found[`${dtype} evaluation`] = far(alone, whole.eval().forward(x.to({ dtype: 'float64' })));
        norm.dispose();
        whole.dispose();
      }
      return found;
    }),

  async different(group) {
    const net = makeNet(group.rank === 0 ? 64 : 32);
    using _reducer = new Reducer(group, net.parameters);
  },

  /** Never ends by itself. */
  async forever(group) {
    process.stdout.write('ready\n');
    for (;;) {
      tidy(() => group.allReduce(aten.ones([100_000])));
      await sleep(5);
    }
  },

  async fails(group) {
    if (group.rank === group.size - 1) throw new PenumbraError('test/broken', 'the disk is full');
    tidy(() => group.allReduce(aten.ones([10])));
  },
};

try {
  if (meeting === undefined) {
    process.stdout.write(`${JSON.stringify(await scenarios[scenario!]!(undefined as never))}\n`);
    process.exit();
  }
  const group = await join(meeting, { timeout, joinTimeout: Number(process.env.JOIN_TIMEOUT ?? 60) });
  try {
    const result = await scenarios[scenario!]!(group);
    group.leave();
    process.stdout.write(`${JSON.stringify(result)}\n`);
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code !== 'distributed/peer') {
      await group.abandon((error as Error).message);
      throw error;
    }
    process.stderr.write(`${await group.explain()}\n`);
    await group.abandon(undefined);
    distributed.exitNow(1);
  }
} catch (error) {
  process.stderr.write(`${formatError(error)}\n`);
  distributed.exitNow(1);
}
