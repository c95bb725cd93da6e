import { expect, test } from 'vitest';
import { aten, keep, tensor, tidy } from '../index.ts';
import { LossScale, SGD } from './index.ts';

/** One weight of 1 whose loss is factor·w. */
function weight() {
  const w = keep(tensor([1]).requires_grad_());
  return { w, sgd: new SGD([['w', w]], { learningRate: 0.5 }) };
}

function step(scale: LossScale, { w, sgd }: ReturnType<typeof weight>, factor: number): boolean {
  return tidy(() => {
    sgd.zeroGrad();
    scale.scaled(w.mul(factor).sum()).backward();
    return scale.step(sgd);
  });
}

const numbers = (scale: LossScale) =>
  Object.fromEntries(Array.from(scale.stateDict(), ([name, value]) => [name, Number(value.item())]));

test('a step is that of the loss itself; gradients that are not finite leave the weights and halve the factor', () => {
  const scale = new LossScale();
  const model = weight();
  expect(step(scale, model, 0.25)).toBe(true);
  expect(model.w.item()).toBe(1 - 0.5 * 0.25);
  expect(numbers(scale)).toEqual({ factor: 65536, growth: 1 });
  for (const bad of [Number.POSITIVE_INFINITY, Number.NaN, 3e38]) {
    const before = numbers(scale).factor!;
    expect(step(scale, model, bad), String(bad)).toBe(false);
    expect(model.w.item()).toBe(0.875);
    expect(numbers(scale)).toEqual({ factor: before / 2, growth: 0 });
  }
});

test('the factor doubles after 2,000 good steps, and its state goes on where it was', () => {
  const scale = new LossScale('cpu', 8);
  const model = weight();
  const state = new Map([
    ['factor', tensor([8]).squeeze()],
    ['growth', aten.full([], 1998, { dtype: 'int32' })],
  ]);
  scale.loadStateDict(state);
  step(scale, model, 0);
  expect(numbers(scale)).toEqual({ factor: 8, growth: 1999 });
  step(scale, model, 0);
  expect(numbers(scale)).toEqual({ factor: 16, growth: 0 });
  expect(() => scale.loadStateDict(new Map())).toThrow(/has no factor/);
});

test('where no factor helps, it is an error that says so', () => {
  const scale = new LossScale('cpu', 2 ** -12);
  const model = weight();
  expect(step(scale, model, Number.NaN)).toBe(false);
  expect(step(scale, model, Number.NaN)).toBe(false);
  expect(() => step(scale, model, Number.NaN)).toThrow(/not finite however little the loss is scaled/);
});
