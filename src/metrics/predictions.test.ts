import { describe, expect, test } from 'vitest';
import { PenumbraError } from '../errors.ts';
import { checkShape, predictions, topLabels } from './predictions.ts';

describe('predictions', () => {
  test('typed arrays are used as they are', () => {
    const probabilities = Float32Array.of(0.25, 0.75, 1, 0);
    const labels = Int32Array.of(1, 0);
    const p = predictions(probabilities, labels);
    expect(p.probabilities).toBe(probabilities);
    expect(p.labels).toBe(labels);
    expect(p.classes).toBe(2);
  });

  test.each([
    ['no samples', 'metrics/empty', [], [], {}],
    [
      'a row too many',
      'metrics/shape',
      [
        [1, 0],
        [1, 0],
      ],
      [0],
      {},
    ],
    ['a ragged row', 'metrics/shape', [[1, 0], [1]], [0, 0], { row: 1 }],
    ['one class', 'metrics/shape', [[1]], [0], {}],
    [
      'a logit',
      'metrics/probability',
      [
        [1, 0],
        [3, -2],
      ],
      [0, 0],
      { row: 1, class: 0 },
    ],
    ['a negative', 'metrics/probability', [[1.0005, -0.0005]], [0], { row: 0, class: 1 }],
    [
      'NaN',
      'metrics/probability',
      [
        [0.5, 0.5],
        [0.5, Number.NaN],
      ],
      [0, 0],
      { row: 1, class: 1 },
    ],
    ['a short row sum', 'metrics/row-sum', [[0.5, 0.4]], [0], { row: 0 }],
    [
      'a label too high',
      'metrics/label',
      [
        [1, 0],
        [1, 0],
      ],
      [0, 2],
      { row: 1 },
    ],
    ['a negative label', 'metrics/label', [[1, 0]], [-1], { row: 0 }],
    ['a fractional label', 'metrics/label', [[1, 0]], [0.5], { row: 0 }],
  ])('%s is %s', (_, code, rows, labels, where) => {
    expect(thrown(() => predictions(rows, labels))).toMatchObject({ code, where });
  });

  test('a flat array whose length does not fit', () => {
    expect(thrown(() => predictions(new Float32Array(7), [0, 1])).code).toBe('metrics/shape');
    expect(thrown(() => predictions(new Float32Array(6), [0, 1], { classes: 4 })).code).toBe('metrics/shape');
  });

  test('a wider tolerance can be asked for, up to 0.01', () => {
    expect(thrown(() => predictions([[0.5, 0.495]], [0])).code).toBe('metrics/row-sum');
    expect(predictions([[0.5, 0.495]], [0], { tolerance: 0.01 }).classes).toBe(2);
    expect(thrown(() => predictions([[0.5, 0.3]], [0], { tolerance: 0.5 })).code).toBe('metrics/option');
  });

  test('metrics check shapes of unchecked input', () => {
    const p = { probabilities: new Float32Array(5), labels: new Int32Array(2), classes: 2 };
    expect(thrown(() => checkShape(p)).code).toBe('metrics/shape');
  });

  test('the lowest class wins a tie', () => {
    const { predicted, confidence, correct } = topLabels(
      predictions(
        [
          [0.2, 0.4, 0.4],
          [0.5, 0.5, 0],
        ],
        [2, 0],
      ),
    );
    expect([...predicted]).toEqual([1, 0]);
    expect([...confidence]).toEqual([0.4, 0.5]);
    expect([...correct]).toEqual([0, 1]);
  });
});

function thrown(run: () => unknown): PenumbraError {
  try {
    run();
  } catch (error) {
    if (error instanceof PenumbraError) return error;
    throw error;
  }
  throw new Error('Nothing was thrown.');
}
