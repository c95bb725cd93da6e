import { Random } from '../../random.ts';
import { CLINIC_FINDINGS, LATENT } from './findings.ts';
import { type Dials, STREAM } from './options.ts';

/** A virtual radiologist. Number 0 to R − 1; everything else is drawn from the seed once. */
export interface Reader {
  readonly number: number;
  /** g: the reader's evidence is g times as far apart. Log-normal around the dial, spread 0.15. */
  readonly skill: number;
  /** Multiplies the logit of what is believed before words are chosen: bold above 1, timid below. */
  readonly boldness: number;
  /** Share of the statements hedged out of habit. */
  readonly habit: number;
  /** Share of what could be said that is not. */
  readonly silence: number;
  /** Shares in [0, 1]: how terse, and which of several ways to say the same comes first. */
  readonly terse: number;
  readonly taste: number;
}

/** The R radiologists of the clinic. One more does not change the others. */
export function staffOf(dials: Dials): Reader[] {
  return Array.from({ length: dials.readers }, (_, number) => {
    const random = new Random(dials.seed, STREAM.staff, number);
    return {
      number,
      skill: dials.skill * Math.exp(0.15 * random.normal()),
      boldness: Math.exp(0.2 * random.normal()),
      habit: Math.min(1, dials.habit * 2 * random.uniform()),
      silence: Math.min(1, dials.silence * (0.5 + random.uniform())),
      terse: random.uniform(),
      taste: random.below(1 << 30),
    };
  });
}

/**
 * What is said of a finding: a certainty from 0 (surely absent) over 4 (as likely as not) to 8 (surely present), or
 * `SILENT`.
 */
export type Certainty = number;
export const SILENT = -1;
export const SURELY_PRESENT = 8;

/** Upper bounds of the probabilities that readers put into certainties 0 to 7, on average over readers. */
export const CERTAINTY_BOUNDS: readonly number[] = [0.03, 0.1, 0.25, 0.42, 0.58, 0.75, 0.9, 0.975];

/**
 * What a reader says of each finding, given the posterior: K certainties. Boldness stretches the logit, taste blurs it
 * a little (deviation 0.25), habit puts words of doubt in place of sure ones, silence leaves out.
 *
 * @param posterior K + 1 probabilities, No Finding first.
 */
export function sayingsOf(posterior: Float32Array, reader: Reader, random: Random): Int8Array {
  const said = new Int8Array(LATENT);
  for (let k = 0; k < LATENT; k++) {
    // All numbers are drawn whatever comes of them, so that one finding's words do not move another's.
    const [blur, habit, which, silence] = [
      random.normal(),
      random.uniform(),
      random.uniform(),
      random.uniform(),
    ];
    const p = Math.min(1 - 1e-6, Math.max(1e-6, posterior[k + 1]));
    const logit = reader.boldness * Math.log(p / (1 - p)) + 0.25 * blur;
    const belief = 1 / (1 + Math.exp(-logit));
    let level = CERTAINTY_BOUNDS.findIndex((bound) => belief < bound);
    if (level < 0) level = SURELY_PRESENT;
    if (habit < reader.habit) {
      if (level > 4) level = 4 + Math.floor(3 * which);
      else if (level < 2 && which < 0.5) level = 1 + Math.floor(6 * which);
    }
    const { routine } = CLINIC_FINDINGS[k];
    const spoken =
      level === 0
        ? routine * (1 - reader.silence)
        : level < 3
          ? 1 - reader.silence - (1 - routine) * 0.6 * (3 - level) * 0.5
          : 1 - 0.25 * reader.silence;
    said[k] = silence < spoken ? level : SILENT;
  }
  return said;
}
