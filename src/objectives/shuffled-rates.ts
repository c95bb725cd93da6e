import { z } from 'zod';
import type { Findings, Targets } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { Random } from '../random.ts';
import { needFindings } from '../tasks/index.ts';
import { defineObjective, type Objective } from './objective.ts';
import { SampleMemory } from './sample-memory.ts';
import { expressed, needRates } from './wording.ts';

/**
 * The control of `soft`: each finding keeps its labels and, within either label, the same rates, but other images have
 * them. What `soft` gains over it comes from which image was hedged, and not from soft targets as such.
 */
export const shuffledRates = defineObjective({
  name: 'soft-shuffled',
  label: 'Expressed probability, shuffled',
  summary:
    'As soft, with the rates shuffled once among the images of equal label: shows whether the wording matters.',
  tasks: ['findings'],
  options: z.strictObject({
    seed: z.int().min(0).default(0).describe('of the shuffle, which is the same in every epoch'),
  }),
  make({ seed }, { targets, samples, classes, device }): Objective {
    const memory = new SampleMemory(samples, classes, device, shuffled(targets, seed));
    return {
      target({ targets: batch, indices }) {
        needRates(batch, 'soft-shuffled');
        return expressed({ values: needFindings(batch).values, rates: memory.of(indices) });
      },
      stateDict: () => new Map([['rates', memory.rows]]),
    };
  },
});

/** The rates of known values, each finding's shuffled within y > 1/2 and within the others. */
export function shuffled(targets: Targets, seed: number): Float32Array {
  const { values, mask, rates, names } = withRates(targets);
  const k = names.length;
  const moved = Float32Array.from(rates);
  for (let c = 0; c < k; c++) {
    for (const label of [0, 1]) {
      const places: number[] = [];
      for (let at = c; at < values.length; at += k) {
        if ((mask === undefined || mask[at] === 1) && Number(values[at]! > 0.5) === label) places.push(at);
      }
      const random = new Random(seed, 0x5aff1e, c, label);
      for (let i = places.length - 1; i > 0; i--) {
        const [a, b] = [places[i]!, places[random.below(i + 1)]!];
        [moved[a], moved[b]] = [moved[b]!, moved[a]!];
      }
    }
  }
  return moved;
}

function withRates(targets: Targets): Findings & { readonly rates: Float32Array } {
  if (targets.kind === 'findings' && targets.rates !== undefined) return { ...targets, rates: targets.rates };
  throw new PenumbraError('objectives/rates', 'soft-shuffled shuffles rates, and the data have none', {
    hint: 'rates come from reports (penumbra dataset build); in a table with −1 for uncertain, --uncertain rate=0.5 keeps them',
  });
}
