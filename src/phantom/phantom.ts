import { normalCdf } from '../normal.ts';
import { Random } from '../random.ts';
import { checked, type Drawing, type DrawingOptions, drawingOptions } from './drawing.ts';
import { drawJoint, NOISE, renderJoint, TEXTURE, TEXTURE_LENGTH } from './joint.ts';
import { drawTexture, quickNormal } from './noise.ts';
import { DEFAULT_READER_NOISE, GRADES, gradePosterior, readGrade } from './readers.ts';

/** By default 6000 images; τ is on the severity scale [0, 1], by default 0.085. */
export interface PhantomOptions extends DrawingOptions {
  /** R independent readings of each image, 1 to 64; the first is the label. Default: 1. */
  readonly readers?: number;
}

/** K = 5 grades; a patient's two pictures are its knees. */
export interface Phantoms extends Drawing {
  /** N severities in (0, 1). */
  readonly severities: Float32Array;
  /** N×R grades: each reader's. */
  readonly readings: Uint8Array;
}

// Names of the random streams under a seed.
const PATIENT_STREAM = 11;
const PICTURE_STREAM = 12;
const NOISE_STREAM = 13;
const READER_STREAM = 14;

/** Correlation of the two knees of a patient, on the normal scale of severity. */
const KNEE_CORRELATION = 0.6;

/**
 * Draws virtual knee radiographs, graded by virtual readers.
 *
 * Severity. A patient p has z_p, and each knee z_i, standard normal; the knee's severity is
 * s_i = Φ(√ρ·z_p + √(1−ρ)·z_i) with ρ = 0.6: uniform on (0, 1), and alike in both knees.
 *
 * Picture. Severity moves joint space, osteophytes and sclerosis (`Joint`); anatomy, pose, exposure, texture and noise
 * are independent of it.
 *
 * Label. Readers see the severity through noise of their own (`gradePosterior`). Given s, the label is independent of
 * the picture, so P(grade | image) = ∫ P(grade | s) p(s | image) ds. The three signs follow s without a random part, and
 * together they show it: at 64×64 the Cramér–Rao bound on s, with every nuisance unknown and the texture counted as
 * noise, is below a fifth of τ (a test holds it there), so p(s | image) is narrow against the
 * readers' noise, and P(grade | s), which `posterior` holds, stands for P(grade | image): a reader who knew s to
 * deviation δ would have √(τ² + δ²) for τ, under 2 % more.
 *
 * @throws {PenumbraError} `phantom/option` for an option outside its range.
 */
export function drawPhantoms(options: PhantomOptions = {}): Phantoms {
  const otherwise = { images: 6000, readerNoise: DEFAULT_READER_NOISE };
  const { count, size, seed, readerNoise } = drawingOptions(options, otherwise);
  const readers = checked('readers', options.readers ?? 1, 1, 64, true);
  const classes = GRADES.length;
  const pixels = new Uint8Array(new SharedArrayBuffer(count * size * size));
  const severities = new Float32Array(count);
  const patients = new Int32Array(count);
  const readings = new Uint8Array(count * readers);
  const labels = new Int32Array(count);
  const posterior = new Float32Array(count * classes);
  const canvas = new Canvas(size);
  for (let i = 0; i < count; i++) {
    const severity = severityOf(seed, i);
    canvas.draw(seed, i, pixels.subarray(i * size * size, (i + 1) * size * size));
    severities[i] = severity;
    patients[i] = patientOf(i);
    posterior.set(gradePosterior(severity, readerNoise), i * classes);
    const reader = new Random(seed, READER_STREAM, i);
    for (let r = 0; r < readers; r++) readings[i * readers + r] = readGrade(severity, readerNoise, reader);
    labels[i] = readings[i * readers];
  }
  return { classes: GRADES, size, pixels, severities, patients, readings, labels, posterior };
}

/** The severity of image `index`, in (0, 1). */
export function severityOf(seed: number, index: number): number {
  const patient = new Random(seed, PATIENT_STREAM, patientOf(index)).normal();
  const knee = new Random(seed, PICTURE_STREAM, index).normal();
  return normalCdf(Math.sqrt(KNEE_CORRELATION) * patient + Math.sqrt(1 - KNEE_CORRELATION) * knee);
}

function patientOf(index: number): number {
  return Math.floor(index / 2);
}

/** The size's buffers, used again for each picture. */
class Canvas {
  private readonly size: number;
  private readonly absorption: Float32Array;
  private readonly bone: Float32Array;
  private readonly texture: Float32Array;

  constructor(size: number) {
    this.size = size;
    this.absorption = new Float32Array(size * size);
    this.bone = new Float32Array(size * size);
    this.texture = new Float32Array(size * size);
  }

  draw(seed: number, index: number, out: Uint8Array): void {
    const { size, absorption, bone, texture } = this;
    const joint = drawJoint(
      severityOf(seed, index),
      new Random(seed, PATIENT_STREAM, patientOf(index), 1),
      new Random(seed, PICTURE_STREAM, index, 1),
    );
    renderJoint(joint, size, absorption, bone);
    const random = new Random(seed, NOISE_STREAM, index);
    drawTexture(texture, size, random, TEXTURE_LENGTH);
    const grain = TEXTURE * joint.trabeculae * joint.gain;
    const mirrored = index % 2 === 1; // The other knee has its medial side on the other side.
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const at = y * size + x;
        const value = absorption[at] + grain * bone[at] * texture[at] + NOISE * quickNormal(random);
        const grey = Math.round(255 * value);
        out[mirrored ? y * size + size - 1 - x : at] = Math.max(0, Math.min(255, grey));
      }
    }
  }
}
