import { beforeAll, describe, expect, test } from 'vitest';
import { aten, Generator, grad, noGrad, Scope, setThreads, tensor, tidy } from '../torch/index.ts';
import { createModel, type ModelOptions, modelDefaults, modelNames } from './index.ts';

beforeAll(() => setThreads(1));

const make = (name: string, options: Partial<ModelOptions> = {}, seed = 1) =>
  createModel(name, {
    classes: 3,
    channels: 1,
    stem: 'small',
    size: 16,
    generator: new Generator(seed),
    ...options,
  });
const images = () => aten.randn([2, 1, 16, 16], { generator: new Generator(9) });

test('with both of its parts off it is the vision transformer, number for number', () => {
  using _scope = new Scope();
  const [lu, plain] = [make('lu_vit_ti_16', { findingTokens: false, doubt: false }), make('vit_ti_16')];
  expect([...lu.stateDict().keys()]).toEqual([...plain.stateDict().keys()]);
  for (const [name, own] of lu.stateDict()) expect(own.equal(plain.stateDict().get(name)!), name).toBe(true);
  const features = [lu, plain].map((model) => model.features!(images()));
  expect(features[0]!.equal(features[1]!)).toBe(true);
  const gradients = [lu, plain].map((model, i) =>
    grad([features[i]!.square().sum()], [model.stateDict().get('class_token')!]),
  );
  expect(gradients[0]![0]!.equal(gradients[1]![0]!)).toBe(true);
});

test('what both have starts alike, and the head of doubt starts at one half', () => {
  using _scope = new Scope();
  const [lu, plain] = [make('lu_vit_ti_16', { doubt: true }), make('vit_ti_16')];
  for (const [name, own] of plain.stateDict()) expect(lu.stateDict().get(name)!.equal(own), name).toBe(true);
  expect(lu.stateDict().get('finding_tokens')!.shape).toEqual([1, 3, 192]);
  const doubt = lu.submodule(lu.doubt!).forward(lu.features!(images()));
  expect(doubt.shape).toEqual([2, 3]);
  expect(doubt.abs().max().item()).toBe(0);
});

test('the logit of a finding depends on its own token, and on no other after the last attention', () => {
  using _scope = new Scope();
  const model = make('lu_vit_ti_16');
  const tokens = model.features!(images());
  expect(tokens.shape).toEqual([2, 3, 192]);
  const head = model.submodule(model.head!);
  noGrad(() => head.parameters()[0]!.normal_(0, 1, { generator: new Generator(4) }));
  const leaf = tokens.detach().requires_grad_();
  const logits = head.forward(leaf);
  const [slope] = grad([logits.select(1, 1).sum()], [leaf], { retainGraph: true });
  expect(slope!.select(1, 0).abs().max().item()).toBe(0);
  expect(slope!.select(1, 2).abs().max().item()).toBe(0);
  // As the row of a linear layer would have it.
  const expected = aten.linear(leaf.select(1, 1), head.parameters()[0]!, head.parameters()[1]!).select(1, 1);
  expect(aten.allclose(logits.select(1, 1), expected, 1e-4, 1e-5)).toBe(true);
});

describe('a head of doubt', () => {
  test.each(modelNames())('goes on %s, and leaves its logits as they are', (name) => {
    const options = { stem: 'small', size: 32 } as const;
    const [plain, doubting] = [make(name, options).eval(), make(name, { ...options, doubt: true }).eval()];
    tidy(() =>
      noGrad(() => {
        const pictures = aten.randn([2, 1, 32, 32], { generator: new Generator(9) });
        expect(doubting.forward(pictures).equal(plain.forward(pictures))).toBe(true);
        expect(doubting.submodule('doubt').forward(doubting.features!(pictures)).shape).toEqual([2, 3]);
      }),
    );
    expect(doubting.parameterCount - plain.parameterCount).toBe(3 * plain.featureSize! + 3);
    for (const model of [plain, doubting]) model.dispose();
  });
});

test('tokens are for transformers, and only lu_vit has them by default', () => {
  expect(modelDefaults('lu_vit_b_16')).toEqual({ findingTokens: true, doubtWeight: expect.any(Number) });
  expect(modelDefaults('resnet18')).toEqual({});
  expect(() => make('resnet10', { findingTokens: true })).toThrow(
    expect.objectContaining({ code: 'models/finding-tokens', hint: expect.stringContaining('lu_vit_ti_16') }),
  );
  expect(make('vit_ti_16', { findingTokens: true }).stateDict().has('finding_tokens')).toBe(true);
  expect(make('lu_vit_ti_16', { findingTokens: false }).stateDict().has('finding_tokens')).toBe(false);
});

test('two findings are told apart: equal tokens give equal logits, and others do not', () => {
  using _scope = new Scope();
  const model = make('lu_vit_ti_16', { classes: 2 });
  const [weight] = model.submodule(model.head!).parameters();
  noGrad(() =>
    weight!.copy_(tensor(Array.from({ length: 2 * 192 }, (_, i) => Math.sin(i % 192))).view([2, 192])),
  );
  const logits = () => noGrad(() => model.forward(images())).toArray() as number[][];
  for (const [first, second] of logits()) expect(first).not.toBeCloseTo(second!, 6);
  const tokens = model.stateDict().get('finding_tokens')!;
  noGrad(() => tokens.select(1, 1).copy_(tokens.select(1, 0)));
  for (const [first, second] of logits()) expect(first).toBeCloseTo(second!, 5);
});
