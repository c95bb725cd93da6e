import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { distance, type Summary, summary, uniform } from '../../test/oracle/fill.ts';
import { temporaryFolder } from '../../test/setup/temporary.ts';
import { unreleased } from '../../test/unreleased.ts';
import {
  aten,
  fromTypedArray,
  Generator,
  noGrad,
  Scope,
  setThreads,
  type Tensor,
  tidy,
  writeSafetensors,
} from '../torch/index.ts';
import { type Classifier, createModel, loadPretrained, type ModelOptions, modelNames } from './index.ts';
import { recognise } from './weights.ts';

beforeAll(() => setThreads(1));

const SMALL = { classes: 3, channels: 1, stem: 'small', size: 32 } as const;

function network(name: string, options: Partial<ModelOptions> = {}, seed = 1): Classifier {
  return createModel(name, { ...SMALL, generator: new Generator(seed), ...options }) as Classifier;
}

/** The weights of a network as a file, after `change`. */
function written(
  name: string,
  options: Partial<ModelOptions> = {},
  change: (weights: Map<string, Tensor>) => void = () => {},
): string {
  const path = join(temporaryFolder(), `${name}.safetensors`);
  tidy(() => {
    const weights = new Map(network(name, options, 2).stateDict());
    noGrad(() => change(weights));
    writeSafetensors(path, weights);
  });
  return path;
}

/** Loads and returns what was told. */
function load(model: Classifier, path: string, strict = false): string[] {
  const told: string[] = [];
  loadPretrained(model, path, { strict, notice: (message) => told.push(message) });
  return told;
}

function shapes(name: string): Map<string, number[]> {
  const path = new URL(`../../test/fixtures/models/${name}-state.json`, import.meta.url);
  const state = JSON.parse(readFileSync(path, 'utf8')) as Record<string, { shape: number[] }>;
  return new Map(Object.entries(state).map(([key, { shape }]) => [key, shape]));
}

test.each(modelNames())(
  'the names and shapes of torchvision tell that they are of %s, and of no other',
  (name) => {
    // An LU-ViT is a vision transformer with more tokens, and starts from the weights of one.
    expect(recognise(shapes(name))).toBe(name.replace('lu_', ''));
  },
);

test('all weights of the same network load, with nothing to tell, and nothing leaks', () => {
  const path = written('resnet10');
  const model = network('resnet10');
  const before = unreleased();
  for (const strict of [false, true]) expect(load(model, path, strict)).toEqual([]);
  expect(unreleased()).toBe(before);
  const expected = network('resnet10', {}, 2);
  for (const [name, tensor] of model.stateDict())
    expect(tensor.equal(expected.stateDict().get(name)!), name).toBe(true);
});

describe('a last layer', () => {
  test.each([
    ['of other classes', { classes: 5 }, () => {}, 'fc.weight is 5×512, expected 3×512'],
    ['that is missing', {}, (w: Map<string, Tensor>) => void w.delete('fc.bias'), 'the file has no fc.bias'],
  ] as const)('%s leaves the whole fresh one, and is told', (_, options, change, why) => {
    const path = written('resnet10', options, change);
    const model = network('resnet10');
    const fresh = network('resnet10');
    expect(load(model, path)).toEqual([`initial weights: the last layer, fc, starts fresh: ${why}`]);
    for (const part of ['fc.weight', 'fc.bias'])
      expect(model.stateDict().get(part)!.equal(fresh.stateDict().get(part)!)).toBe(true);
    expect(model.stateDict().get('conv1.weight')!.equal(fresh.stateDict().get('conv1.weight')!)).toBe(false);
    expect(() => load(fresh, path, true)).toThrow(/does not fit the network: fc\.(weight|bias) is/);
  });
});

test('a first convolution of colours is summed for grey images, which gives the same logits', () => {
  const path = written('mobilenet_v2', { channels: 3 });
  const grey = network('mobilenet_v2').eval();
  expect(load(grey, path)).toEqual([
    'initial weights: features.0.0.weight is summed over its three channels, for grey images',
  ]);
  const colour = network('mobilenet_v2', { channels: 3 }, 2).eval();
  using _scope = new Scope();
  const images = aten.randn([2, 1, 32, 32], { generator: new Generator(3) });
  const logits = noGrad(() => [grey.forward(images), colour.forward(images.expand([-1, 3, -1, -1]))]);
  expect(aten.allclose(logits[0]!, logits[1]!, 1e-4, 1e-5)).toBe(true);
  expect(() => load(network('mobilenet_v2'), path, true)).toThrow(
    /features\.0\.0\.weight is 32×3×3×3, expected 32×1×3×3$/,
  );
  expect(() => load(network('mobilenet_v2', { channels: 3 }), written('mobilenet_v2'))).toThrow(
    /features\.0\.0\.weight is 32×1×3×3, expected 32×3×3×3$/,
  );
});

test('positions of another image size are interpolated as by torchvision', () => {
  const name = 'encoder.pos_embedding';
  const options = { stem: 'standard', size: 64 } as const;
  const path = written('vit_ti_16', options, (weights) => {
    weights.set(name, fromTypedArray(uniform(name, 17 * 192), { shape: [1, 17, 192] }));
  });
  const model = network('vit_ti_16', { stem: 'standard', size: 112 });
  expect(load(model, path)).toEqual(['initial weights: positions of 4×4 patches are interpolated to 7×7']);
  const fixture = new URL('../../test/fixtures/models/positions.json', import.meta.url);
  const expected = JSON.parse(readFileSync(fixture, 'utf8')) as Summary;
  const found = model.stateDict().get(name)!.toTypedArray() as Float32Array;
  expect(distance(summary(name, found), expected)).toBeLessThan(1e-6);
  expect(() => load(model, path, true)).toThrow(/pos_embedding is 1×17×192, expected 1×50×192$/);
  const noSquare = written('vit_ti_16', options, (weights) => {
    weights.set(name, aten.zeros([1, 16, 192]));
  });
  expect(() => load(model, noSquare)).toThrow(/pos_embedding is 1×16×192, expected 1×50×192$/);
});

test('the names of older files are understood', () => {
  const old = (weights: Map<string, Tensor>) => {
    for (const [name, tensor] of [...weights]) {
      weights.delete(name);
      weights.set(
        name
          .replace(/(denselayer\d+\.(?:norm|conv))([12])/, '$1.$2')
          .replace('.mlp.0.', '.mlp.linear_1.')
          .replace('.mlp.3.', '.mlp.linear_2.'),
        tensor,
      );
    }
  };
  for (const name of ['densenet121', 'vit_ti_16']) {
    const path = written(name, {}, old);
    expect(load(network(name), path, true), name).toEqual([]);
  }
});

test('counts of batches may be missing, and half-precision weights become single', () => {
  const path = written('resnet10', {}, (weights) => {
    for (const [name, tensor] of weights)
      if (name.endsWith('num_batches_tracked')) weights.delete(name);
      else weights.set(name, tensor.to({ dtype: 'float16' }));
  });
  const model = network('resnet10');
  expect(load(model, path)).toEqual([]);
  const weight = model.stateDict().get('fc.weight')!;
  expect(weight.dtype).toBe('float32');
  expect(aten.allclose(weight, network('resnet10', {}, 2).stateDict().get('fc.weight')!, 1e-3, 1e-5)).toBe(
    true,
  );
  expect(() => load(model, path, true)).toThrow(
    /bn1\.num_batches_tracked is missing, expected one number \(and 11 more\)$/,
  );
});

test('tensors that no layer asks for are told of, and refused in the strict mode', () => {
  const path = written('resnet10', {}, (weights) => {
    weights.set('aux.weight', aten.ones([2]));
    weights.set('aux.bias', aten.ones([2]));
  });
  const model = network('resnet10');
  expect(load(model, path)).toEqual([
    expect.stringMatching(/^initial weights: 2 tensors .* left out, the first is aux\.(weight|bias)$/),
  ]);
  expect(() => load(model, path, true)).toThrow(/aux\.\w+ is not in the network \(and 1 more\)$/);
});

describe('weights of another network are refused, change nothing and tell what they look like', () => {
  test.each([
    ['densenet121', 'resnet10', {}, /conv1\.weight is missing, expected 64×1×3×3 \(and \d+ more\)$/],
    [
      'resnet50',
      'resnet18',
      {},
      /layer1\.0\.conv1\.weight is 64×64×1×1, expected 64×64×3×3 \(and \d+ more\)$/,
    ],
    // Every layer of the smaller network is in the file.
    ['resnet18', 'resnet10', {}, /layer1\.1\.\S+ is not in the network \(and \d+ more\)$/],
    ['vit_s_16', 'vit_ti_16', {}, /class_token is 1×1×384, expected 1×1×192 \(and \d+ more\)$/],
    ['resnet10', 'resnet10', { stem: 'standard' }, /conv1\.weight is 64×1×7×7, expected 64×1×3×3$/],
  ] as const)('%s into %s', (from, into, options, message) => {
    const path = written(from, options);
    const model = network(into);
    const looks = from === into ? /like the weights of a resnet10 with another stem/ : `weights of ${from}:`;
    expect(() => load(model, path)).toThrowError(
      expect.objectContaining({
        code: 'models/weights',
        message: expect.stringMatching(message),
        hint: expect.stringMatching(looks),
        where: { file: path },
      }),
    );
    const fresh = network(into).stateDict();
    for (const [name, tensor] of model.stateDict()) expect(tensor.equal(fresh.get(name)!), name).toBe(true);
  });

  test('nothing that is known', () => {
    const path = join(temporaryFolder(), 'x.safetensors');
    tidy(() => writeSafetensors(path, new Map([['x', aten.ones([2])]])));
    expect(() => load(network('resnet10'), path)).toThrowError(
      expect.objectContaining({ hint: expect.stringMatching(/of no network known here/) }),
    );
  });
});

describe('an LU-ViT', () => {
  const standard = { stem: 'standard', size: 64 } as const;

  test('starts from the weights of a vision transformer, of another image size too, with its tokens fresh', () => {
    const path = written('vit_ti_16', standard, (weights) => {
      for (const part of ['weight', 'bias']) weights.delete(`heads.head.${part}`);
    });
    for (const size of [64, 112]) {
      const model = network('lu_vit_ti_16', { stem: 'standard', size, doubt: true });
      const fresh = network('lu_vit_ti_16', { stem: 'standard', size, doubt: true }).stateDict();
      expect(load(model, path)).toEqual([
        'initial weights: the last layer, heads.head, starts fresh: the file has no heads.head.weight',
        'initial weights: the file has no finding_tokens, doubt.weight, doubt.bias of this network: fresh',
        ...(size === 64 ? [] : ['initial weights: positions of 4×4 patches are interpolated to 7×7']),
      ]);
      const body = 'encoder.layers.encoder_layer_11.mlp.0.weight';
      const expected = network('vit_ti_16', { ...standard }, 2).stateDict();
      expect(model.stateDict().get(body)!.equal(expected.get(body)!)).toBe(true);
      expect(model.stateDict().get('finding_tokens')!.equal(fresh.get('finding_tokens')!)).toBe(true);
    }
    expect(() => load(network('lu_vit_ti_16', standard), path, true)).toThrow(/is missing, expected/);
  });

  test('of other findings starts from another with its tokens fresh, and a plain transformer leaves them out', () => {
    const path = written('lu_vit_ti_16', { ...standard, classes: 5, doubt: true });
    const told = load(network('lu_vit_ti_16', { ...standard, doubt: true }), path);
    expect(told[1]).toBe(
      'initial weights: the file has no finding_tokens, doubt.weight, doubt.bias of this network: fresh',
    );
    expect(load(network('vit_ti_16', { ...standard, classes: 5 }), path)).toEqual([
      expect.stringMatching(
        /3 tensors that no layer asks for are left out, the first is (doubt|finding_tokens)/,
      ),
    ]);
  });
});

describe("torchxrayvision's DenseNet", () => {
  /** Names and shapes of its `densenet121-res224-all` (one channel, 18 findings) as a safetensors file. */
  const xrv = () =>
    written('densenet121', { stem: 'standard', size: 64, classes: 18 }, (weights) => {
      weights.set('op_threshs', aten.zeros([18]));
    });

  test('loads by name; what is left out and what is changed is told', () => {
    const model = network('densenet121', { stem: 'standard', size: 64, classes: 14 });
    const told = load(model, xrv());
    expect(told).toEqual([
      'initial weights: the last layer, classifier, starts fresh: classifier.weight is 18×1024, expected 14×1024',
      expect.stringMatching(
        /torchxrayvision's: features\.conv0\.weight is multiplied by 1024.*op_threshs.*left out/,
      ),
    ]);
  });

  test('gives for pixels in [−1, 1] what it gave for them in [−1024, 1024]', () => {
    const model = network('densenet121', { stem: 'standard', size: 64, classes: 18 }).eval();
    expect(load(model, xrv())).toHaveLength(1);
    const theirs = network('densenet121', { stem: 'standard', size: 64, classes: 18 }, 2).eval();
    using _scope = new Scope();
    const images = aten
      .rand([2, 1, 64, 64], { generator: new Generator(3) })
      .mul(2)
      .sub(1);
    const logits = noGrad(() => [model.forward(images), theirs.forward(images.mul(1024))]);
    expect(aten.allclose(logits[0]!, logits[1]!, 1e-3, 1e-3)).toBe(true);
  });
});
