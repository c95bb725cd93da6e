import { z } from 'zod';
import { needLabels } from '../tasks/index.ts';
import { aten, keep, type Tensor } from '../torch/index.ts';
import { defineObjective, type Objective } from './objective.ts';
import { RunningMeans } from './running-means.ts';

const options = z.strictObject({
  epsilon: z.number().min(0).max(1).default(0.1).describe('the share ε that the other classes get'),
  temperature: z
    .number()
    .positive()
    .optional()
    .describe('small gives the share to the nearest class, large to all alike; 0.2, or 1 where ordinal'),
  similarity: z
    .enum(['learnt', 'ordinal'])
    .default('learnt')
    .describe(
      'learnt from the logits of the epoch before, or ordinal, for classes that are grades of one scale',
    ),
});

/**
 * The smoothed mass follows the similarity of classes instead of being uniform,
 *
 *     L = CE((1 − ε)·onehot(y) + ε·w_y, p),   w_y[k] = exp(s(y, k)/T) / Σ_{j≠y} exp(s(y, j)/T) for k ≠ y, and w_y[y] = 0.
 *
 * The forms of s, and T, are our choice:
 * - `learnt`: the cosine between the classes' mean logits over the epoch before, each centred over its K values (a
 *   constant added to all logits means nothing), so that classes which the network confuses are similar. The first
 *   epoch is uniform.
 * - `ordinal`: −|i − j|.
 *
 * A finding has one other outcome, which would get the whole share whatever its similarity: that is label smoothing.
 */
export const classSimilaritySmoothing = defineObjective({
  name: 'css',
  label: 'Class-similarity smoothing',
  summary: 'The smoothed share follows the similarity of classes (after Liu & JaJa, arXiv 2006.14028).',
  tasks: ['one-of-k'],
  options,
  make({ similarity, epsilon, ...given }, { classes, device }): Objective {
    const learns = similarity === 'learnt';
    const temperature = given.temperature ?? (learns ? 0.2 : 1);
    /** Row y is the target of class y, [K, K]. */
    const targets = keep(aten.empty([classes, classes], { device }));
    /** Of the epoch's logits by label, [K, K]. */
    const running = new RunningMeans([classes, classes], [classes, 1], device);
    const grades = aten.arange(classes, { device, dtype: 'float32' });
    follow(
      learns ? aten.zeros([classes, classes], { device }) : grades.unsqueeze(1).sub(grades).abs_().neg_(),
    );

    return {
      target: (seen) => targets.index_select(0, needLabels(seen.targets).labels),
      observe({ logits, targets: batch }) {
        if (!learns) return;
        const { labels } = needLabels(batch);
        running.sums.index_add_(0, labels, logits);
        running.counts.index_add_(0, labels, aten.ones([labels.shape[0]!, 1], { device: logits.device }));
      },
      endEpoch(reduce) {
        if (!learns) return;
        const { means } = running.take(reduce);
        const centred = means.sub(means.mean([1], true));
        const directions = centred.div(centred.norm(2, [1], true).clamp_min(1e-12));
        follow(directions.matmul(directions.t()));
      },
      stateDict: () => new Map([['targets', targets], ...running.state()]),
    };

    /** Sets the targets by a similarity [K, K]. A class that was not seen has similarity 0 to all: a uniform target. */
    function follow(like: Tensor): void {
      const self = aten.eye(classes, { device: like.device });
      const others = like.div(temperature).masked_fill(self.to({ dtype: 'bool' }), Number.NEGATIVE_INFINITY);
      targets.copy_(
        others
          .softmax(1)
          .mul_(epsilon)
          .add_(self, { alpha: 1 - epsilon }),
      );
    }
  },
});
