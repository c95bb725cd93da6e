import { z } from 'zod';
import { findings, needFindings } from '../tasks/index.ts';
import { aten, keep, type Tensor, tidy } from '../torch/index.ts';
import { defineObjective, type Objective } from './objective.ts';
import { SampleMemory } from './sample-memory.ts';
import { warmUpEpochs } from './warm-up.ts';

/** Distances that are worked out at a time. */
const AT_ONCE = 1 << 24;

/**
 * Labels are mixed with what the most similar images have, which is BoMD's relabelling,
 *
 *     ȳ = [(1 − λ)·y + λ·(γ + (1 − γ)·ȳ_kNN)]·1[y + ȳ_kNN > 0],
 *
 * ȳ_kNN the mean of the k nearest neighbours' known labels. BoMD looks for them among descriptors that it learns against
 * words; here they are nearest in the logits that the network itself gave in the epoch before, which is our choice. After
 * a warm-up with the labels alone. One search a sample and epoch: N²·K operations.
 */
export const neighbourRelabelling = defineObjective({
  name: 'knn-relabel',
  label: 'Neighbour relabelling',
  summary:
    'Labels are mixed with those of the most similar images (the relabelling of BoMD, Chen et al., ICCV 2023, arXiv ' +
    '2203.01937, with the network’s own logits in place of its descriptors).',
  tasks: ['findings'],
  alone: true,
  options: z.strictObject({
    neighbours: z.int().min(1).default(10).describe('k'),
    lambda: z.number().min(0).max(1).default(0.6).describe('λ, what the neighbours count'),
    gamma: z
      .number()
      .min(0)
      .max(1)
      .default(0.25)
      .describe('γ, the least that a positive neighbourhood gives'),
    warmup: z
      .number()
      .min(0)
      .lt(1)
      .default(0.25)
      .describe('share of the epochs that are trained with the labels alone first; at least one'),
  }),
  make({ neighbours, lambda, gamma, warmup }, context): Objective {
    const { samples, classes, device, epochs, targets } = context;
    const warmEpochs = Math.max(1, warmUpEpochs(epochs, warmup));
    const memory = new SampleMemory(samples, classes, device);
    /** ȳ_kNN by sample; below 0 where no neighbour's label is known. */
    const found = new SampleMemory(samples, classes, device);
    const all = needFindings(findings.gather(targets, undefined, device));
    const known = keep(all.mask ?? aten.ones_like(all.values));
    const labels = keep(all.values.mul(known));

    return {
      target({ targets: batch, indices, epoch }) {
        const { values } = needFindings(batch);
        if (epoch < warmEpochs) return values;
        const near = found.of(indices);
        const mixed = near
          .mul(1 - gamma)
          .add(gamma)
          .mul(lambda)
          .add(values, { alpha: 1 - lambda })
          .mul(values.add(near).gt(0));
        return aten.where(near.lt(0), values, mixed);
      },
      observe: ({ logits, indices }) => memory.set(indices, logits),
      endEpoch() {
        const chunk = Math.max(1, Math.floor(AT_ONCE / samples));
        for (let from = 0; from < samples; from += chunk) {
          tidy(() => {
            const to = Math.min(samples, from + chunk);
            found.rows.slice(0, from, to).copy_(meanLabels(from, to));
          });
        }
      },
      stateDict: () =>
        new Map([
          ['memory', memory.rows],
          ['found', found.rows],
          ['known', known],
          ['labels', labels],
        ]),
    };

    /** Of the samples from … to: [to − from, K]. */
    function meanLabels(from: number, to: number): Tensor {
      const near = nearest(memory.rows, from, to, Math.min(neighbours, samples - 1));
      const sum = (rows: Tensor) =>
        rows
          .index_select(0, near.flatten())
          .view([to - from, -1, classes])
          .sum([1]);
      const count = sum(known);
      return aten.where(count.gt(0), sum(labels).div(count.clamp_min(1)), -1);
    }
  },
});

/** The numbers of the k nearest other rows of each of rows from … to, by Euclidean distance: [to − from, k], int64. */
function nearest(rows: Tensor, from: number, to: number, k: number): Tensor {
  const own = rows.slice(0, from, to);
  const squares = rows.square().sum([1]);
  // The own square is the same for all neighbours of a row, and is left out.
  const distances = own.matmul(rows.t()).mul(-2).add(squares);
  const self = aten.arange(from, to, { dtype: 'int64', device: rows.device }).unsqueeze(1);
  return distances.scatter(1, self, Number.POSITIVE_INFINITY).topk(k, 1, false)[1];
}
