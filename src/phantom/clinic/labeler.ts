import { Random } from '../../random.ts';
import { CLINIC_FINDINGS, LATENT } from './findings.ts';
import { type Dials, STREAM } from './options.ts';
import { SILENT } from './readers.ts';

/** No label: the report does not speak of the finding. */
export const NO_LABEL = -2;

/**
 * The label of a plain labeler (CheXpert's: 1, 0, −1 for uncertain, none), from what was said and not from its text, so
 * that its errors are known exactly: statements of presence (certainty 7 and 8) become absence with probability
 * `misses`; denials (0 and 1) become presence with probability `falseAlarms`; hedges (2 to 6) are −1, but with
 * probability `deafness` they are taken for plain presence (3 and above) or absence (2). No Finding is 1 where no pathology
 * is 1 or −1, and has no label otherwise, as CheXpert's.
 *
 * `systematic` is the share of these errors that fall on the same finding, certainty and reader, and so on the same favourite
 * phrases, again and again, as a real labeler's do; the others fall by chance. It leaves their number as it is.
 *
 * @param reader the reader's number.
 * @param out K + 1 labels, No Finding first.
 */
export function plainLabels(
  said: Int8Array,
  reader: number,
  dials: Dials,
  random: Random,
  out: Int8Array,
): void {
  out[0] = 1;
  for (let k = 0; k < LATENT; k++) {
    const level = said[k];
    const own = random.uniform();
    const chance =
      dials.systematic > 0 && level !== SILENT && random.uniform() < dials.systematic
        ? new Random(dials.seed, STREAM.habits, k, level, reader).uniform()
        : own;
    let label: number;
    if (level === SILENT) label = NO_LABEL;
    else if (level < 2) label = chance < dials.falseAlarms ? 1 : 0;
    else if (level > 6) label = chance < dials.misses ? 0 : 1;
    else label = chance < dials.deafness ? (level > 2 ? 1 : 0) : -1;
    out[k + 1] = label;
    if (CLINIC_FINDINGS[k].pathology && (label === 1 || label === -1)) out[0] = NO_LABEL;
  }
}
