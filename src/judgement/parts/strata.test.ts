import { expect, test } from 'vitest';
import type { Outputs } from '../../figures/index.ts';
import { rowsOf } from './strata.ts';

test('some rows keep all that is known of them: rates, doubt, and the true posterior', () => {
  const outputs: Outputs = {
    targets: {
      kind: 'findings',
      names: ['a', 'b'],
      values: Float32Array.of(1, 0, 0, 1, 1, 1),
      rates: Float32Array.of(0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    },
    probabilities: Float64Array.of(0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    doubt: Float64Array.of(0, 1, 0, 1, 0.5, 0.5),
    posterior: Float64Array.of(0.9, 0.8, 0.7, 0.6, 0.5, 0.4),
    indices: Int32Array.of(7, 8, 9),
  };
  expect(rowsOf(outputs, Int32Array.of(2, 0))).toEqual({
    targets: {
      kind: 'findings',
      names: ['a', 'b'],
      values: Float32Array.of(1, 1, 1, 0),
      rates: Float32Array.of(0.5, 0.6, 0.1, 0.2),
    },
    probabilities: Float64Array.of(0.5, 0.6, 0.1, 0.2),
    doubt: Float64Array.of(0.5, 0.5, 0, 1),
    posterior: Float64Array.of(0.5, 0.4, 0.9, 0.8),
    indices: Int32Array.of(9, 7),
  });
});
