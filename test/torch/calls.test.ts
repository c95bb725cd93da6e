import { describe, expect, test } from 'vitest';
import { PenumbraError } from '../../src/errors.ts';
import {
  aten,
  type DType,
  Generator,
  getThreads,
  setThreads,
  Tensor,
  tensor,
  tidy,
} from '../../src/torch/index.ts';

const loose = aten as unknown as Record<string, (...args: unknown[]) => unknown>;

describe('arguments', () => {
  test('by position, by name, and both', () => {
    tidy(() => {
      const x = tensor([
        [1, 2],
        [3, 4],
      ]);
      expect(aten.sum(x, [1], true).toArray()).toEqual([[3], [7]]);
      expect(aten.sum(x, { dim: [1], keepdim: true }).toArray()).toEqual([[3], [7]]);
      expect(aten.sum(x, { dim: [1], keepdim: true, dtype: 'float64' }).dtype).toBe('float64');
      expect(x.sum([0]).toArray()).toEqual([4, 6]);
      expect(aten.add(x, x, { alpha: 2 }).toArray()).toEqual([
        [3, 6],
        [9, 12],
      ]);
      // A single value stands for n equal ones; a list may be a typed array.
      const image = aten.arange(16).to({ dtype: 'float32' }).view([1, 1, 4, 4]);
      expect(aten.max_pool2d(image, 2).toArray()).toEqual(aten.max_pool2d(image, [2, 2]).toArray());
      expect(image.view(Int32Array.of(2, 8) as unknown as number[]).shape).toEqual([2, 8]);
      // `undefined` is an argument left out.
      expect(loose.sum!(x, undefined) as Tensor).toHaveProperty('shape', []);
      expect(loose.add!(x, 1, { alpha: undefined })).toBeInstanceOf(Tensor);
    });
  });

  test('whole numbers keep integer tensors, and fill as floats', () => {
    tidy(() => {
      expect(tensor([1], { dtype: 'int64' }).add(2).dtype).toBe('int64');
      expect(tensor([1], { dtype: 'int64' }).add(2.5).dtype).toBe('float32');
      expect(aten.full([2], 3).dtype).toBe('float32');
      expect(aten.full([2], 3n).dtype).toBe('int64');
      expect(
        tensor([1], { dtype: 'int64' })
          .add(2n ** 62n)
          .data()[0],
      ).toBe(2n ** 62n + 1n);
    });
  });

  test('optional tensors in lists, null and missing', () => {
    tidy(() => {
      const x = aten.arange(12).view([3, 4]);
      const rows = tensor([0, 2], { dtype: 'int64' });
      expect(aten.index(x, [rows]).toArray()).toEqual([
        [0, 1, 2, 3],
        [8, 9, 10, 11],
      ]);
      expect(aten.index(x, [null, rows]).toArray()).toEqual([
        [0, 2],
        [4, 6],
        [8, 10],
      ]);
      const w = aten.ones([1, 4]);
      expect(aten.linear(x.to({ dtype: 'float32' }), w, null).toArray()).toEqual([[6], [22], [38]]);
    });
  });
});

describe('results', () => {
  test('tuples, lists, numbers, booleans and nothing', () => {
    tidy(() => {
      const x = tensor([3, 1, 2]);
      const [values, indices] = aten.sort(x);
      expect([values.toArray(), indices.toArray()]).toEqual([
        [1, 2, 3],
        [1, 2, 0],
      ]);
      const parts = aten.split(x, 2);
      expect(parts.map((part) => part.toArray())).toEqual([[3, 1], [2]]);
      expect(aten.equal(x, x)).toBe(true);
      expect(aten._foreach_add_([x], 1)).toBeUndefined();
      expect(aten._local_scalar_dense(tensor(2 ** 40, { dtype: 'int64' }))).toBe(2 ** 40);
      expect(aten._local_scalar_dense(aten.complex(tensor(1), tensor(2)))).toEqual({ re: 1, im: 2 });
    });
  });

  test('an in-place operator returns its own tensor, out= the given one, a view a new one over the same memory', () => {
    tidy(() => {
      const x = tensor([1, 2]);
      expect(x.mul_(2)).toBe(x);
      const out = aten.empty([2]);
      expect(aten.mul(x, x, { out })).toBe(out);
      expect(out.toArray()).toEqual([4, 16]);
      const view = x.view([2, 1]);
      expect(view).not.toBe(x);
      view.zero_();
      expect(x.toArray()).toEqual([0, 0]);
    });
  });

  test('channels_last changes the strides and not the values', () => {
    tidy(() => {
      const x = aten.arange(24).view([1, 2, 3, 4]);
      const last = x.contiguous({ memory_format: 'channels_last' });
      expect(x.strides).toEqual([24, 12, 4, 1]);
      expect(last.strides).toEqual([24, 1, 8, 2]);
      expect([last.isContiguous(), last.isContiguous('channels_last')]).toEqual([false, true]);
      expect(last.toArray()).toEqual(x.toArray());
    });
  });

  test('every dtype has its name, and numbers survive it', () => {
    const dtypes: DType[] = [
      'float32',
      'float64',
      'bfloat16',
      'float16',
      'int64',
      'int32',
      'int16',
      'int8',
      'uint8',
      'bool',
      'uint16',
      'uint32',
      'uint64',
      'float8_e4m3fn',
      'float8_e5m2',
    ];
    tidy(() => {
      for (const dtype of dtypes) {
        const x = tensor([0, 1]).to({ dtype });
        expect(x.dtype).toBe(dtype);
        expect(x.to({ dtype: 'float64' }).toArray()).toEqual([0, 1]);
      }
    });
  });
});

describe('errors', () => {
  const error = (call: () => unknown): PenumbraError => {
    try {
      tidy(() => void call());
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(PenumbraError);
      expect((thrown as Error).message).not.toMatch(
        /Exception raised from|frame #\d|\.cpp:\d+ \(most recent/,
      );
      return thrown as PenumbraError;
    }
    throw new Error('no error');
  };

  test.each<[string, () => unknown, string, RegExp]>([
    [
      'too few',
      () => loose.relu!(),
      'torch/missing-argument',
      /aten::relu: argument 'self' \(Tensor\) is missing/,
    ],
    [
      'too few for every overload',
      () => loose.add!(tensor([1])),
      'torch/missing-argument',
      /aten::add: argument 'other' \(\w+\) is missing/,
    ],
    [
      'too many',
      () => loose.relu!(tensor([1]), 2),
      'torch/argument-type',
      /aten::relu: takes at most 1 positional arguments, got 2/,
    ],
    [
      'far too many',
      () => loose.relu!(...Array.from({ length: 200 }, () => 1)),
      'torch/argument-type',
      /aten::relu: takes at most 1/,
    ],
    [
      'a number for a tensor',
      () => loose.relu!(3),
      'torch/argument-type',
      /aten::relu: argument 'self': expected Tensor, got number 3/,
    ],
    [
      'a generator for a tensor',
      () => loose.relu!(new Generator(1)),
      'torch/argument-type',
      /aten::relu: argument 'self': expected Tensor/,
    ],
    [
      'a fraction for an integer',
      () => loose.softmax!(tensor([1]), 0.5),
      'torch/argument-type',
      /aten::softmax: argument 'dim': expected an integer, got number 0.5/,
    ],
    [
      'too large an integer',
      () => loose.softmax!(tensor([1]), 2n ** 64n),
      'torch/argument-type',
      /aten::softmax: argument 'dim': expected an integer/,
    ],
    [
      'a string in a list',
      () => loose.view!(tensor([1]), [1, 'two']),
      'torch/argument-type',
      /aten::view: argument 'size': expected .*got string "two"/,
    ],
    [
      'a hole in a list of tensors',
      () => loose.cat!([tensor([1]), null]),
      'torch/argument-type',
      /aten::cat: argument 'tensors': expected .*Tensor.*got null/,
    ],
    [
      'an unknown option',
      () => loose.sum!(tensor([1]), { keepdims: true }),
      'torch/argument-type',
      /aten::sum: has no argument 'keepdims' \(it has self/,
    ],
    [
      'an argument twice',
      () => loose.softmax!(tensor([1]), 0, { dim: 0 }),
      'torch/argument-type',
      /aten::softmax: argument 'dim' is given twice/,
    ],
    [
      'an unknown dtype',
      () => loose.zeros!([1], { dtype: 'float' }),
      'torch/argument-value',
      /aten::zeros: argument 'dtype': expected a dtype \(float32, .*got "float"/,
    ],
    [
      'an unknown device',
      () => loose.zeros!([1], { device: 'tpu9' }),
      'torch/argument-value',
      /aten::zeros: argument 'device': expected a device/,
    ],
    [
      'shapes that do not fit',
      () => aten.matmul(aten.ones([2, 3]), aten.ones([2, 3])),
      'torch/operator',
      /aten::matmul: mat1 and mat2 shapes cannot be multiplied/,
    ],
    [
      'dtypes that do not fit',
      () => aten.mm(aten.ones([1, 1]), aten.ones([1, 1], { dtype: 'float64' })),
      'torch/operator',
      /aten::mm: /,
    ],
    [
      'an index out of range',
      () => aten.select(tensor([1]), 0, 5),
      'torch/operator',
      /aten::select: .*out of range/,
    ],
    ['no such operator', () => (aten as unknown as { nothing(): void }).nothing(), 'none', /./],
  ])('%s', (name, call, code, message) => {
    if (name === 'no such operator') {
      expect(call).toThrow(TypeError);
      return;
    }
    const thrown = error(call);
    expect(thrown.code).toBe(code);
    expect(thrown.message).toMatch(message);
  });

  test('when no overload fits, the signatures are shown', () => {
    expect(error(() => loose.add!(tensor([1]), 'x')).hint).toMatch(
      /aten::add\.Tensor\(Tensor self, Tensor other/,
    );
  });
});

describe('generators', () => {
  test('equal seeds give equal numbers, others do not', () => {
    tidy(() => {
      const draw = (seed: number | bigint) => aten.randn([5], { generator: new Generator(seed) }).toArray();
      expect(draw(7)).toEqual(draw(7));
      expect(draw(7)).toEqual(draw(7n));
      expect(draw(7)).not.toEqual(draw(8));
    });
  });

  test('a state that was saved goes on where it was', () => {
    tidy(() => {
      const generator = new Generator(3);
      const draw = () => [
        aten.randn([33], { generator }).toArray(),
        aten.randperm(9, { generator }).toArray(),
        aten.bernoulli(aten.full([9], 0.5), { generator }).toArray(),
      ];
      draw();
      const { state } = generator;
      const first = draw();
      generator.state = state;
      expect(draw()).toEqual(first);
      const other = new Generator(99);
      other.state = state;
      expect(draw()).not.toEqual(first);
      generator.state = other.state;
      expect(draw()).toEqual(first);
      expect(() => (other.state = tensor([1]))).toThrow(PenumbraError);
    });
  });

  test('a random operator without one is an error, and not when nothing is drawn', () => {
    tidy(() => {
      const needs = expect.objectContaining({ code: 'torch/needs-generator' });
      expect(() => aten.randn([2])).toThrow(needs);
      expect(() => aten.bernoulli(aten.ones([2]))).toThrow(needs);
      expect(() => aten.dropout(aten.ones([2]), 0.5, true)).toThrow(needs);
      expect(aten.dropout(aten.ones([2]), 0.5, false).toArray()).toEqual([1, 1]);
      expect(aten.dropout(aten.ones([2]), 0, true).toArray()).toEqual([1, 1]);
    });
  });
});

test('thread counts are set and checked', () => {
  const before = getThreads();
  setThreads(1);
  expect(getThreads()).toBe(1);
  setThreads(before);
  expect(getThreads()).toBe(before);
  expect(() => setThreads(0)).toThrow(/expected 1 to 1024/);
  expect(() => setThreads(1.5)).toThrow(/integer/);
});

test('a second thread is refused, and harms nobody', async () => {
  const { Worker } = await import('node:worker_threads');
  const worker = new Worker(
    `import(${JSON.stringify(new URL('../../src/torch/index.ts', import.meta.url).href)}).then(
       () => require('node:worker_threads').parentPort.postMessage('loaded'),
       (error) => require('node:worker_threads').parentPort.postMessage(error.message))`,
    { eval: true },
  );
  const message = await new Promise((resolve, reject) =>
    worker.once('message', resolve).once('error', reject),
  );
  await worker.terminate();
  expect(message).toMatch(/could not be loaded: the engine is already in use by another thread/);
  tidy(() => expect(tensor([1]).add(1).item()).toBe(2));
});
