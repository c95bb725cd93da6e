import { expect, test } from 'vitest';
import { nll, predictions } from '../metrics/index.ts';
import { Random } from '../random.ts';
import { ensembleProbabilities, softmax } from './index.ts';

test('the mean over members, of one label and of findings alike', () => {
  const mean = ensembleProbabilities([Float32Array.of(0.5, 0.5, 1, 0), Float64Array.of(0.25, 0.75, 0, 1)]);
  expect([...mean]).toEqual([0.375, 0.625, 0.5, 0.5]);
  expect([...ensembleProbabilities([Float32Array.of(0.875, 0.25)])]).toEqual([0.875, 0.25]);
});

test('its likelihood is never worse than its members’ on average (Jensen)', () => {
  const random = new Random(4);
  const labels = Int32Array.from({ length: 500 }, () => random.below(3));
  const members = [0, 1, 2, 3].map(() =>
    softmax(
      Float32Array.from(
        { length: 1500 },
        (_, i) => random.normal() + (i % 3 === labels[Math.floor(i / 3)] ? 1 : 0),
      ),
      3,
    ),
  );
  const own = members.map((member) => nll(predictions(member, labels)));
  const joint = predictions(ensembleProbabilities(members), labels); // Throws for what is no distribution.
  expect(nll(joint)).toBeLessThan(own.reduce((sum, loss) => sum + loss, 0) / own.length - 0.05);
});

test('wrong input', () => {
  expect(() => ensembleProbabilities([])).toThrow('needs a member');
  expect(() => ensembleProbabilities([Float32Array.of(1), Float32Array.of(1, 0)])).toThrow('Member 1 has 2');
  expect(() => ensembleProbabilities([Float32Array.of(0.5), Float32Array.of(1.5)])).toThrow(
    'Member 1, number 0: 1.5',
  );
  expect(() => ensembleProbabilities([Float32Array.of(Number.NaN)])).toThrow('NaN is not in [0, 1]');
});
