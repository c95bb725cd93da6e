import { Random } from '../../random.ts';
import { LATENT } from './findings.ts';
import { type Dials, STREAM } from './options.ts';

/** The patient's side: the right one is on the picture's left, as the patient faces the reader. */
export type Side = 'left' | 'right' | 'both';

/**
 * Where and in which form a patient has a finding, whether it shows or not: the same in all their studies, so that what
 * lasts stays in its place. Picture and report both go by it.
 */
export interface Place {
  readonly side: Side;
  /** Height in the lung: 0 upper, 1 middle, 2 lower. */
  readonly zone: 0 | 1 | 2;
  /** Which of several forms (devices, nodules, bands); below 2^30. */
  readonly form: number;
  /** Shares in [0, 1] for position and size within the zone. */
  readonly across: number;
  readonly along: number;
  readonly size: number;
}

/** Chances of right, left and both, and of upper, middle and lower zone, by finding. */
const HABITS: Readonly<Record<number, readonly [number, number, number, number, number, number]>> = {
  2: [0.55, 0.45, 0, 0.4, 0.35, 0.25], // Lung Lesion
  3: [0.4, 0.35, 0.25, 0.25, 0.3, 0.45], // Lung Opacity
  4: [0.1, 0.1, 0.8, 0, 1, 0], // Edema
  5: [0.5, 0.5, 0, 0.25, 0.2, 0.55], // Consolidation
  6: [0.5, 0.4, 0.1, 0.1, 0.25, 0.65], // Pneumonia
  7: [0.3, 0.35, 0.35, 0, 0, 1], // Atelectasis
  8: [0.55, 0.45, 0, 1, 0, 0], // Pneumothorax
  9: [0.35, 0.3, 0.35, 0, 0, 1], // Pleural Effusion
  10: [0.4, 0.4, 0.2, 0.45, 0.35, 0.2], // Pleural Other
  11: [0.5, 0.5, 0, 0.2, 0.5, 0.3], // Fracture
};
const CENTRAL = [0, 0, 1, 0, 1, 0] as const;

export function placesOf(patient: number, { seed }: Dials): Place[] {
  const random = new Random(seed, STREAM.place, patient);
  return Array.from({ length: LATENT }, (_, k): Place => {
    const [right, left, , upper, middle] = HABITS[k] ?? CENTRAL;
    const s = random.uniform();
    const z = random.uniform();
    return {
      side: s < right ? 'right' : s < right + left ? 'left' : 'both',
      zone: z < upper ? 0 : z < upper + middle ? 1 : 2,
      form: random.below(1 << 30),
      across: random.uniform(),
      along: random.uniform(),
      size: random.uniform(),
    };
  });
}
