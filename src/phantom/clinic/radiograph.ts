import { Random } from '../../random.ts';
import { Canvas } from '../canvas.ts';
import { quickNormal } from '../noise.ts';
import { add, chestOf, drawChest, drawHeart, Fields } from './anatomy.ts';
import { amountOf, DRAWING_ORDER, drawFinding, heartRatio } from './drawing.ts';
import { CLINIC_FINDINGS } from './findings.ts';
import { encodeMask } from './masks.ts';
import { type Dials, STREAM } from './options.ts';
import type { Place } from './places.ts';

/** A pixel belongs to a finding where it moves the density by this much or more: half the noise of a noisy picture. */
export const MASK_THRESHOLD = 0.03;
/** Less of a finding than this is not drawn. */
const LEAST_AMOUNT = 0.06;

/** Where a finding, or what looks like it, was drawn. */
export interface Drawn {
  /** k of the latent findings. */
  readonly finding: number;
  /** Run lengths (`decodeMask`). */
  readonly counts: readonly number[];
}

/** Draws the radiographs of one size. */
export class Radiographs {
  private readonly size: number;
  private readonly fields: Fields;
  private readonly mask: Uint8Array;
  private readonly dials: Dials;

  constructor(dials: Dials) {
    this.size = dials.size;
    this.dials = dials;
    this.fields = new Fields(dials.size);
    this.mask = new Uint8Array(dials.size * dials.size);
  }

  /**
   * Draws one study: a function of the seed, the patient, the visit, the places, and the picture's evidence alone.
   *
   * @param evidence K numbers, `Evidence.picture`.
   * @param out size² grey values.
   * @param noise false leaves the grain out. @returns the masks of what can be seen, without empty ones.
   */
  draw(
    { patient, visit }: { readonly patient: number; readonly visit: number },
    places: readonly Place[],
    evidence: Float64Array,
    out: Uint8Array,
    noise = true,
  ): Drawn[] {
    const { size, fields, mask, dials } = this;
    const { seed, conspicuity } = dials;
    const chest = chestOf(
      new Random(seed, STREAM.anatomy, patient),
      new Random(seed, STREAM.pose, patient, visit),
    );
    const canvas = new Canvas(size, chest);
    drawChest(chest, canvas, fields, new Random(chest.vesselSeed));
    drawHeart(chest, fields, canvas.pixel, heartRatio(0), 1);
    const drawn: Drawn[] = [];
    for (const finding of DRAWING_ORDER) {
      const { name, detectability } = CLINIC_FINDINGS[finding];
      const amount = amountOf(evidence[finding], conspicuity * detectability);
      // The heart has a size always.
      if (amount < LEAST_AMOUNT && name !== 'Cardiomegaly') continue;
      const place = places[finding];
      const random = new Random(seed, STREAM.place, patient, finding + 1);
      drawFinding(name, { chest, canvas, fields, place, amount, evidence: evidence[finding], random });
      add(fields.density, fields.layer, 1);
      if (amount < LEAST_AMOUNT) continue;
      let any = 0;
      const { layer } = fields;
      for (let at = 0; at < mask.length; at++) {
        const value = layer[at];
        mask[at] = value >= MASK_THRESHOLD || value <= -MASK_THRESHOLD ? 1 : 0;
        any |= mask[at];
      }
      if (any === 1) drawn.push({ finding, counts: encodeMask(mask, size) });
    }
    const grain = noise ? chest.noise : 0;
    const random = new Random(seed, STREAM.noise, patient, visit);
    const { density } = fields;
    for (let at = 0; at < density.length; at++) {
      // A detector's curve: straight in the middle, bent at both ends.
      const bright = chest.contrast * (density[at] - 0.42) + 0.45 + chest.exposure;
      const value =
        bright <= 0.08
          ? 0.08 * Math.exp((bright - 0.08) / 0.08)
          : bright >= 0.8
            ? 1 - 0.2 * Math.exp((0.8 - bright) / 0.2)
            : bright;
      const grey = Math.round(255 * (value + grain * quickNormal(random)));
      out[at] = grey < 0 ? 0 : grey > 255 ? 255 : grey;
    }
    return drawn;
  }
}
