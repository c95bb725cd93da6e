import { expect, test } from 'vitest';
import { createModel } from '../models/index.ts';
import { aten, Generator, noGrad, tidy } from '../torch/index.ts';
import type { Mode } from './mode.ts';
import { logitsIn } from './predict.ts';

test('under bfloat16 the two largest of 165 logits are not tied', () => {
  const generator = new Generator(1);
  const model = tidy(() =>
    createModel('resnet10', { classes: 165, channels: 1, size: 32, stem: 'small', generator }),
  );
  model.eval();
  const mode: Mode = { device: 'cpu', precision: 'bfloat16', threads: 1, fused: true, reason: 'of the test' };
  const ties = tidy(() =>
    noGrad(() => {
      const images = aten.randn([512, 1, 32, 32], { generator });
      const top = logitsIn(mode, model, { images }).topk(2, 1)[0];
      return top.select(1, 0).eq(top.select(1, 1)).sum().item();
    }),
  );
  // A head in bfloat16 ties some five of them; float32 has no two equal values here.
  expect(ties).toBe(0);
  model.dispose();
});
