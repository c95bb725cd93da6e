import { normalCdf } from '../../normal.ts';
import { Random } from '../../random.ts';
import { type Drawing, type DrawingOptions, drawingOptions } from '../drawing.ts';
import { ATLAS_CLASSES, classOf, SUBJECTS, type Subject } from './classes.ts';
import { AtlasPictures } from './picture.ts';

/** By default 20,000 images; τ is on the scale [0, 1] of what tells a pair's pathologies apart, by default 0.15. */
export type AtlasOptions = DrawingOptions;

/** K = 165, `ATLAS_CLASSES`; a patient's two pictures are of one region and pathology. */
export interface Atlas extends Drawing {
  /** N numbers t in [0, 1] that tell a pair's pathologies apart; 0 where the picture is normal. */
  readonly betweens: Float32Array;
}

export const DEFAULT_ATLAS_NOISE = 0.15;

// Names of the random streams under a seed.
const PATIENT_STREAM = 51;
const PICTURE_STREAM = 52;
const READER_STREAM = 53;

/** How far t of a patient's two pictures may lie from the patient's. */
const WITHIN_PATIENT = 0.08;

/**
 * Draws pictures of eleven regions in three modalities with 165 classes (`ATLAS_CLASSES`), long-tailed: the rarest class
 * has a hundredth of the most frequent one's images.
 *
 * Label. A patient has a region and a pair of pathologies, or nothing, by `SUBJECTS`; t in [0, 1], skewed towards the first by
 * a power of 1 to 1.75 of the pair, says where between the two the picture stands. A reader perceives t + τ·ε and calls what is
 * above ½ the second:
 *
 *     P(second | t) = Φ((t − ½) / τ),   P(first | t) = 1 − P(second | t);   a normal picture is always called normal.
 *
 * That is the posterior of who measures exactly what is drawn. What of t can be seen under noise is less, most of all at small sizes: no
 * network reaches it quite.
 *
 * @throws {PenumbraError} `phantom/option` for an option outside its range.
 */
export function drawAtlas(options: AtlasOptions = {}): Atlas {
  const otherwise = { images: 20_000, readerNoise: DEFAULT_ATLAS_NOISE };
  const { count, size, seed, readerNoise: noise } = drawingOptions(options, otherwise);
  const classes = ATLAS_CLASSES.length;
  const area = size * size;
  const pixels = new Uint8Array(new SharedArrayBuffer(count * area));
  const betweens = new Float32Array(count);
  const patients = new Int32Array(count);
  const labels = new Int32Array(count);
  const posterior = new Float32Array(count * classes);
  const pictures = new AtlasPictures(size, seed);
  for (let i = 0; i < count; i++) {
    const patient = patientOf(i);
    const subject = subjectOf(seed, patient);
    const t = betweenOf(seed, i, subject);
    pictures.draw({ patient, image: i, subject, t }, pixels.subarray(i * area, (i + 1) * area));
    const first = classOf(subject);
    let label = first;
    if (subject.pair < 0) posterior[i * classes + first] = 1;
    else {
      const second = normalCdf((t - 0.5) / noise);
      posterior[i * classes + first] = 1 - second;
      posterior[i * classes + first + 1] = second;
      const perceived = t + noise * new Random(seed, READER_STREAM, i).normal();
      if (perceived > 0.5) label = first + 1;
    }
    betweens[i] = t;
    patients[i] = patient;
    labels[i] = label;
  }
  return { classes: ATLAS_CLASSES, size, pixels, betweens, patients, labels, posterior };
}

function patientOf(image: number): number {
  return Math.floor(image / 2);
}

function subjectOf(seed: number, patient: number): Subject {
  let left = evenly(seed, patient, 0);
  for (const subject of SUBJECTS) {
    left -= subject.share;
    if (left < 0) return subject;
  }
  return SUBJECTS[0]!;
}

function betweenOf(seed: number, image: number, { region, pair }: Subject): number {
  if (pair < 0) return 0;
  const skew = 1 + ((region + 2 * pair) % 4) / 4;
  const patient = evenly(seed, patientOf(image), 1) ** skew;
  const own = WITHIN_PATIENT * (2 * new Random(seed, PICTURE_STREAM, image).uniform() - 1);
  return Math.min(1, Math.max(0, patient + own));
}

/** 1/ρ and 1/ρ² with ρ³ = ρ + 1: their multiples fill the unit square evenly (Roberts' R2 sequence). */
const STEPS = [0.7548776662466927, 0.5698402909980532] as const;

/** One of a patient's two coordinates in [0, 1): however many patients there are, every class has nearly its share of them. */
function evenly(seed: number, patient: number, axis: 0 | 1): number {
  return (new Random(seed, PATIENT_STREAM, axis).uniform() + patient * STEPS[axis]) % 1;
}
