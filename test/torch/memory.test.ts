import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  aten,
  disposeAll,
  fromTypedArray,
  getThreads,
  keep,
  memoryStatistics,
  noGrad,
  resetPeak,
  Scope,
  setMemoryLimit,
  setThreads,
  type Tensor,
  tensor,
  tidy,
  trimMemory,
} from '../../src/torch/index.ts';
import { bytesInUse, growth } from '../growth.ts';
import { unreleased } from '../unreleased.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

describe('scopes', () => {
  test('release what was made in them, and pass on what is returned, however deep', () => {
    const before = unreleased();
    const result = tidy(() => {
      const a = tensor([1]);
      const inner = tidy(() => ({
        sum: a.add(1),
        list: [a.mul(2)],
        map: new Map([['k', a.mul(3)]]),
        dropped: a.neg().shape,
      }));
      expect(unreleased()).toBe(before + 4);
      return inner;
    });
    expect(unreleased()).toBe(before + 3);
    expect([result.sum.item(), result.list[0]!.item(), result.map.get('k')!.item()]).toEqual([2, 2, 3]);
    disposeAll(result);
    expect(unreleased()).toBe(before);
  });

  test('end on an exception, which goes on unchanged', () => {
    const before = unreleased();
    const boom = new Error('boom');
    expect(() =>
      tidy(() => {
        tidy(() => tensor([1]));
        throw boom;
      }),
    ).toThrow(boom);
    expect(unreleased()).toBe(before);
    // The scope is really gone: a tensor made now belongs to none.
    const free = tensor([1]);
    expect(free.scope).toBeNull();
    free.dispose();
  });

  test('keep takes a tensor out of every scope', () => {
    const before = unreleased();
    let kept!: Tensor;
    tidy(() => tidy(() => void (kept = keep(tensor([4])))));
    expect(kept.item()).toBe(4);
    kept.dispose();
    expect(unreleased()).toBe(before);
  });

  test('using, for a scope and for a tensor', () => {
    const before = unreleased();
    {
      using scope = new Scope();
      using early = tensor([1]);
      expect(early.scope).toBe(scope);
      tensor([2]);
    }
    expect(unreleased()).toBe(before);
  });

  test('an asynchronous body is an error, and leaks nothing', () => {
    const before = unreleased();
    expect(() => tidy(async () => tensor([1]))).toThrow(
      expect.objectContaining({ code: 'torch/async-scope' }),
    );
    expect(unreleased()).toBe(before);
  });

  test('must end in order', () => {
    const before = unreleased();
    const outer = new Scope();
    tensor([1]);
    const inner = new Scope();
    expect(() => outer[Symbol.dispose]()).toThrow(expect.objectContaining({ code: 'torch/scope-order' }));
    inner[Symbol.dispose]();
    // The outer one is over all the same, and what it held is released.
    expect(unreleased()).toBe(before);
    const free = tensor([1]);
    expect(free.scope).toBeNull();
    free.dispose();
  });

  test('a long loop in one scope does not remember what it released', () => {
    tidy(() => {
      const a = tensor([1]);
      for (let i = 0; i < 100_000; i++) a.add(1).dispose();
      expect(unreleased()).toBeLessThan(1100);
    });
  });
});

describe('use after release', () => {
  test('names the operator and the argument, wherever the tensor stands', () => {
    tidy(() => {
      const a = tensor([1]);
      const gone = tensor([1]);
      gone.dispose();
      gone.dispose();
      expect(gone.released).toBe(true);
      expect(String(gone)).toBe('Tensor(released)');
      const use = (call: () => unknown, message: RegExp) =>
        expect(call).toThrow(
          expect.objectContaining({
            code: 'torch/use-after-release',
            message: expect.stringMatching(message),
          }),
        );
      use(() => a.add(gone), /aten::add: argument 'other'/);
      use(() => gone.add(a), /aten::add: argument 'self'/);
      use(() => gone.relu(), /aten::relu: argument 'self'/);
      use(() => aten.cat([a, gone]), /aten::cat: argument 'tensors'/);
      use(() => aten.linear(a.view([1, 1]), a.view([1, 1]), { bias: gone }), /aten::linear: argument 'bias'/);
      use(() => aten.add(a, a, { out: gone }), /aten::add: argument 'out'/);
      use(() => gone.shape, /shape: argument 'tensor'/);
      use(() => gone.backward(), /backward: argument 'tensor'/);
      use(() => gone.data(), /data: argument 'tensor'/);
    });
  });

  test('does not reach the tensor that the handle now holds', () => {
    tidy(() => {
      const old = tensor([1]);
      old.dispose();
      const others = Array.from({ length: 100 }, (_, i) => tensor([i]));
      expect(() => old.item()).toThrow(/already released/);
      old.dispose();
      expect(others.map((other) => other.item())).toEqual(Array.from({ length: 100 }, (_, i) => i));
    });
  });
});

describe('the garbage collector', () => {
  test('bounds a synchronous loop that forgets its tensors', () => {
    const before = memoryStatistics();
    let most = 0;
    for (let i = 0; i < 3000; i++) {
      aten.empty([256, 1024]);
      if (i % 10 === 0) most = Math.max(most, memoryStatistics().bytes - before.bytes);
    }
    const after = memoryStatistics();
    expect(after.created - before.created).toBe(3000);
    expect(after.collected).toBeGreaterThan(before.collected);
    expect(most).toBeLessThan(1000 * 2 ** 20);
    collect();
    expect(memoryStatistics().bytes - before.bytes).toBeLessThan(8 * 2 ** 20);
  });

  test('and explicit release together never free a tensor twice or early', () => {
    const one = tensor([1]);
    let held: Tensor[] = [];
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 500; i++) {
        const made = one.add(i);
        if (i % 3 === 0) held.push(made);
        else if (i % 3 === 1) made.dispose();
      }
      for (let i = 0; i < held.length; i++) {
        expect(held[i]!.item()).toBe(1 + 3 * i);
        if (i % 2 === 0) held[i]!.dispose();
      }
      held = [];
      if (round % 4 === 0) collect();
    }
  });
});

test('statistics count tensors and bytes; a view counts with its own size', () => {
  collect(); // What earlier tests forgot must not go in between.
  const before = memoryStatistics();
  const a = aten.zeros([10, 4]);
  const row = a.select(0, 0);
  const after = memoryStatistics();
  expect(after.tensors - before.tensors).toBe(2);
  expect(after.bytes - before.bytes).toBe(160 + 16);
  expect(after.created - before.created).toBe(2);
  disposeAll([a, row]);
  expect(memoryStatistics().bytes).toBe(before.bytes);
});

describe('typed arrays', () => {
  test('share their memory with the tensor, both ways, and live as long as it', () => {
    let array: Float32Array | null = Float32Array.of(1, 2, 3, 4);
    const made = fromTypedArray(array, { shape: [2, 2] });
    array[0] = 9;
    expect(made.toArray()).toEqual([
      [9, 2],
      [3, 4],
    ]);
    made.mul_(2);
    expect([...array]).toEqual([18, 4, 6, 8]);
    array = null;
    for (let i = 0; i < 5; i++) {
      collect();
      new Float32Array(1 << 20).fill(7);
    }
    expect(made.toArray()).toEqual([
      [18, 4],
      [6, 8],
    ]);
    made.dispose();
  });

  test('a view of the buffer begins where it begins', () => {
    tidy(() => {
      const whole = Float32Array.of(0, 1, 2, 3, 4);
      expect(fromTypedArray(whole.subarray(2, 4)).toArray()).toEqual([2, 3]);
      expect(fromTypedArray(new Uint16Array([0x3f80, 0xc000]), { dtype: 'bfloat16' }).toArray()).toEqual([
        1, -2,
      ]);
      expect(fromTypedArray(new Float32Array(0), { shape: [0, 3] }).shape).toEqual([0, 3]);
    });
  });

  test('data() ends with its tensor, and a copy does not', () => {
    const made = aten.full([1000], 3);
    const data = made.data() as Float32Array;
    const other = made.data() as Float32Array;
    const copy = made.toTypedArray() as Float32Array;
    data[0] = 5;
    expect(other[0]).toBe(5);
    made.dispose();
    for (let i = 0; i < 50; i++) aten.full([1000], 8).dispose();
    collect();
    expect([data.length, other.length, data[0]]).toEqual([0, 0, undefined]);
    expect(copy.length).toBe(1000);
    expect(copy.every((value) => value === 3)).toBe(true);
    const inScope = tidy(() => aten.full([10], 1).data());
    expect(inScope.length).toBe(0);
    const kept = tidy(() => {
      const tensor = aten.full([10], 1);
      return { tensor, data: tensor.data() };
    });
    expect(kept.data.length).toBe(10);
    kept.tensor.dispose();
    expect(kept.data.length).toBe(0);
  });

  test('data() of a tensor that nobody holds stays valid', () => {
    const data = (() => aten.full([1000], 3).data())() as Float32Array;
    for (let i = 0; i < 5; i++) collect();
    for (let i = 0; i < 50; i++) aten.full([1000], 8).dispose();
    expect(data.every((value) => value === 3)).toBe(true);
  });

  test.each([
    ['toTypedArray', 1 << 16, (x: Tensor) => x.toTypedArray()],
    ['data', 1 << 20, (x: Tensor) => x.data()],
  ])('%s: synchronous calls hold no memory when their scope has ended', (_, size, look) => {
    // 256 kB and 4 MB each: what stays until the event loop turns would be 2.6 and 42 GB.
    const before = process.memoryUsage().rss;
    let most = 0;
    for (let i = 0; i < 10_000; i++) {
      tidy(() => look(aten.empty([size])));
      if (i % 500 === 0) most = Math.max(most, process.memoryUsage().rss - before);
    }
    expect(most).toBeLessThan(600e6);
  });

  test('what cannot be shared is refused', () => {
    tidy(() => {
      expect(() => fromTypedArray(new Float32Array(3), { shape: [2, 2] })).toThrow(/4 elements of float32/);
      expect(() => fromTypedArray(new Float32Array(3), { shape: [-3] })).toThrow(/negative/);
      expect(() => fromTypedArray(new Float32Array(3), { shape: [2 ** 40, 2 ** 40] })).toThrow(/too many/);
      expect(() => fromTypedArray([1, 2] as unknown as Float32Array)).toThrow(
        /expected a typed array|dtype|array/,
      );
      expect(() => aten.zeros([2, 2]).t().add(0).t().data()).not.toThrow();
      expect(() => aten.zeros([2, 3]).t().data()).toThrow(/contiguous/);
    });
  });
});

describe('the allocator', () => {
  test('gives every tensor memory of its own, through any order of making and releasing', () => {
    const size = fc.oneof(
      fc.integer({ min: 1, max: 600 }),
      fc.integer({ min: 600, max: 10_000 }),
      fc.integer({ min: 10_000, max: 700_000 }),
    );
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ make: size }) },
      { weight: 4, arbitrary: fc.record({ release: fc.nat(1000) }) },
      { weight: 1, arbitrary: fc.constant({ trim: true as const }) },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 120 }), (steps) => {
        const made: { data: Float32Array; tensor: Tensor; mark: number }[] = [];
        let marks = 0;
        const check = ({ data, mark }: { data: Float32Array; mark: number }) => {
          for (const at of [0, 1, data.length >> 1, data.length - 2, data.length - 1])
            if (at >= 0 && at < data.length && data[at] !== mark)
              throw new Error(`element ${at} of ${data.length}: ${data[at]} is not ${mark}`);
        };
        for (const each of steps) {
          if ('make' in each) {
            const mark = ++marks;
            const fresh = aten.full([each.make], mark);
            made.push({ data: fresh.data() as Float32Array, tensor: fresh, mark });
          } else if ('trim' in each) {
            trimMemory();
          } else if (made.length > 0) {
            const [gone] = made.splice(each.release % made.length, 1);
            check(gone!);
            gone!.tensor.dispose();
          }
          for (const one of made) check(one);
        }
        for (const one of made) one.tensor.dispose();
      }),
      { numRuns: 60, seed: 5 },
    );
  });

  test('accounts for large blocks, keeps them, and gives them back', () => {
    collect();
    trimMemory();
    const before = memoryStatistics();
    resetPeak();
    const big = aten.empty([8 * 2 ** 20]);
    expect(memoryStatistics().allocated - before.allocated).toBe(32 * 2 ** 20);
    big.dispose();
    const after = memoryStatistics();
    expect(after.allocated).toBe(before.allocated);
    expect(after.peak - before.allocated).toBe(32 * 2 ** 20);
    expect(after.reserved).toBeGreaterThanOrEqual(32 * 2 ** 20);
    trimMemory();
    expect(memoryStatistics().reserved).toBeLessThan(after.reserved);
  });

  test('a limit makes larger requests fail, and is lifted', () => {
    collect();
    const { allocated } = memoryStatistics();
    setMemoryLimit(allocated + 16 * 2 ** 20);
    try {
      expect(() => aten.empty([8 * 2 ** 20])).toThrow(
        expect.objectContaining({ code: 'torch/out-of-memory' }),
      );
      aten.empty([2 ** 20]).dispose();
    } finally {
      setMemoryLimit(0);
    }
    aten.empty([8 * 2 ** 20]).dispose();
    expect(() => aten.empty([2 ** 50])).toThrow(expect.objectContaining({ code: 'torch/out-of-memory' }));
  });
});

describe('10,000 training steps', () => {
  /** A lost tensor of one element is some 300. */
  const BYTES = 200;
  // Threads that wait for each other take most of the time of steps this small, above all on a busy machine.
  const threads = getThreads();
  beforeAll(() => setThreads(1));
  afterAll(() => setThreads(threads));
  afterEach(() => collect());

  /** Linear, relu, mean squared error, and the update that `update` makes. */
  async function train(
    update: (parameters: Tensor[], gradients: Tensor[]) => void,
  ): Promise<{ perStep: number; counts: Set<number> }> {
    const w1 = aten.full([16, 8], 0.05).requires_grad_();
    const w2 = aten.full([1, 16], 0.1).requires_grad_();
    const x = aten.linspace(-1, 1, 64).view([8, 8]);
    const y = aten.ones([8, 1]);
    const counts = new Set<number>();
    let done = 0;
    const advance = (steps: number) => {
      for (; done < steps; done++) {
        tidy(() => {
          const loss = aten.mse_loss(aten.linear(aten.linear(x, w1).relu(), w2), y);
          loss.backward();
          noGrad(() => update([w1, w2], [w1.grad!, w2.grad!]));
          w1.grad = null;
          w2.grad = null;
        });
        counts.add(unreleased());
      }
      collect();
    };
    const perStep = await growth(advance, bytesInUse, BYTES);
    disposeAll([w1, w2, x, y]);
    return { perStep, counts };
  }

  test.each<[string, (parameters: Tensor[], gradients: Tensor[]) => void]>([
    [
      'in place',
      (parameters, gradients) =>
        parameters.forEach((parameter, i) => void parameter.add_(gradients[i]!, { alpha: -0.01 })),
    ],
    ['foreach', (parameters, gradients) => aten._foreach_add_(parameters, gradients, { alpha: -0.01 })],
    [
      'fused',
      (parameters, gradients) =>
        aten._fused_sgd_(parameters, gradients, [], {
          weight_decay: 0,
          momentum: 0,
          lr: 0.01,
          dampening: 0,
          nesterov: false,
          maximize: false,
          is_first_step: false,
        }),
    ],
  ])('%s: as many tensors after every step, and no memory that goes on growing', async (_, update) => {
    const { perStep, counts } = await train(update);
    expect(counts.size).toBe(1);
    expect(perStep, 'bytes a step').toBeLessThan(BYTES);
  });
});

test('native handles are not shared by two tensors', () => {
  tidy(() => {
    const before = unreleased();
    const a = tensor([1]);
    const b = tensor([2]);
    expect(aten.add(a, b, { out: b })).toBe(b);
    expect(a.add_(b)).toBe(a);
    const values = aten.empty([0]);
    const indices = aten.empty([0], { dtype: 'int64' });
    const [max, at] = aten.max(tensor([3, 5, 4]), 0, { max: values, max_values: indices });
    expect(max).toBe(values);
    expect(at).toBe(indices);
    expect([values.item(), indices.item()]).toEqual([5, 1]);
    // a, b, values, indices, and the tensor whose maximum was asked for.
    expect(unreleased()).toBe(before + 5);
  });
});
