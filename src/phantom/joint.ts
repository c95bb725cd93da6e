import type { Random } from '../random.ts';

/**
 * A virtual knee radiograph, seen from the front. Lengths are in half picture widths (the picture spans [−1, 1] both
 * ways, y down), angles in radians, brightness in absorption (0 black to 1 white).
 *
 * Severity s in [0, 1] moves three signs together, without a random part of its own:
 * - the joint space narrows: medially by 90 % of its width at s = 1, laterally by 35 %;
 * - osteophytes grow at the four joint margins, in proportion to s;
 * - the bone beside the medial joint space turns brighter (sclerosis), in proportion to s.
 */
export interface Joint {
  severity: number;
  // Anatomy: the same in all pictures of a patient.
  boneWidth: number;
  jointSpace: number;
  notchDepth: number;
  spineHeight: number;
  shaftWidth: number;
  cortex: number;
  trabeculae: number;
  softTissue: number;
  patellaX: number;
  patellaY: number;
  // This picture: pose, exposure, and how much of each sign is seen at a margin.
  rotation: number;
  shiftX: number;
  shiftY: number;
  scale: number;
  gain: number;
  offset: number;
  tilt: number;
  osteophyteMedial: number;
  osteophyteLateral: number;
}

/** Standard deviation of the noise of each pixel, on the absorption scale. */
export const NOISE = 0.022;
/** Weight of the trabecular texture: its standard deviation in bone, at `trabeculae` 1. */
export const TEXTURE = 0.04;
/** Correlation lengths of the texture: along the bone, which stands upright, and across it. */
export const TEXTURE_LENGTH: readonly [down: number, across: number] = [0.06, 0.02];

/** A joint of the given severity with everything else drawn from the patient's and the picture's own streams. */
export function drawJoint(severity: number, patient: Random, picture: Random): Joint {
  const between = (random: Random, low: number, high: number) => low + (high - low) * random.uniform();
  return {
    severity,
    boneWidth: between(patient, 0.72, 0.82),
    jointSpace: between(patient, 0.165, 0.19),
    notchDepth: between(patient, 0.16, 0.26),
    spineHeight: between(patient, 0.07, 0.12),
    shaftWidth: between(patient, 0.62, 0.74),
    cortex: between(patient, 0.12, 0.2),
    trabeculae: between(patient, 0.7, 1.3),
    softTissue: between(patient, 0.22, 0.32),
    patellaX: between(patient, -0.1, 0.1),
    patellaY: between(patient, -0.62, -0.5),
    rotation: between(picture, -0.08, 0.08),
    shiftX: between(picture, -0.06, 0.06),
    shiftY: between(picture, -0.1, 0.1),
    scale: between(picture, 0.93, 1.07),
    gain: between(picture, 0.85, 1.1),
    offset: between(picture, -0.04, 0.06),
    tilt: between(picture, -0.03, 0.03),
    osteophyteMedial: between(picture, 0.8, 1.2),
    osteophyteLateral: between(picture, 0.6, 1),
  };
}

// Outlines are tabulated over [−TABLE_REACH, TABLE_REACH], then looked up for each pixel.
const TABLE = 512;
const TABLE_REACH = 1.6;

/**
 * Draws the joint without noise: size×size absorptions into `out`, and into `bone` how much bone each pixel shows
 * (0 to 1), where the trabecular texture belongs.
 */
export function renderJoint(joint: Joint, size: number, out: Float32Array, bone: Float32Array): void {
  const { severity: s, boneWidth, cortex, softTissue } = joint;
  const outline = outlines(joint);
  const { femurEnd, tibiaEnd, femurSide, tibiaSide, medial } = outline;
  const pixel = 2 / size;
  // A soft edge: the focal spot's blur, or the pixel where it is larger.
  const edge = Math.max(0.02, 0.75 * pixel);
  const rim = Math.max(0.035, 1.2 * pixel);
  const cos = Math.cos(joint.rotation) / joint.scale;
  const sin = Math.sin(joint.rotation) / joint.scale;
  const toTable = (TABLE - 1) / (2 * TABLE_REACH);

  for (let row = 0; row < size; row++) {
    const v = (row + 0.5) * pixel - 1 - joint.shiftY;
    for (let column = 0; column < size; column++) {
      const u = (column + 0.5) * pixel - 1 - joint.shiftX;
      const x = cos * u + sin * v;
      const y = cos * v - sin * u;
      const atX = (clamp(x, -TABLE_REACH, TABLE_REACH) + TABLE_REACH) * toTable;
      const i = Math.min(TABLE - 2, atX | 0);
      const fx = atX - i;
      const atY = (clamp(y, -TABLE_REACH, TABLE_REACH) + TABLE_REACH) * toTable;
      const j = Math.min(TABLE - 2, atY | 0);
      const fy = atY - j;
      const inner = medial[i] + fx * (medial[i + 1] - medial[i]);
      // Osteophytes are longer on the medial side: `sides` hold [lateral, medial] half widths.
      const side = x > 0 ? 1 : 0;
      const femurHalf = femurSide[side][j] + fy * (femurSide[side][j + 1] - femurSide[side][j]);
      const tibiaHalf = tibiaSide[side][j] + fy * (tibiaSide[side][j + 1] - tibiaSide[side][j]);

      // The leg: a soft cylinder, dark beside it.
      const leg = 1 - (x / 1.02) * (x / 1.02);
      let value = leg > 0 ? softTissue * (0.6 + 0.4 * leg) * smooth(leg * 6) : 0;

      const femurDepth = femurEnd[i] + fx * (femurEnd[i + 1] - femurEnd[i]) - y;
      const tibiaDepth = y - tibiaEnd[i] - fx * (tibiaEnd[i + 1] - tibiaEnd[i]);
      let amount = 0;
      for (let k = 0; k < 2; k++) {
        const toJoint = k === 0 ? femurDepth : tibiaDepth;
        const toSide = (k === 0 ? femurHalf : tibiaHalf) - Math.abs(x);
        const depth = softMin(toJoint, toSide);
        const mask = smooth(depth / (2 * edge) + 0.5);
        if (mask === 0) continue;
        // Bone is thicker towards its middle; the cortical shell, seen along its surface, is a bright rim; the plate
        // under the cartilage is brighter still, and more so with sclerosis.
        const thickness = 0.26 + 0.1 * smooth(depth / 0.5);
        const shell = cortex * bump((depth - 0.4 * rim) / rim);
        const plate =
          (0.08 + 0.3 * s * inner) * bump((toJoint - 0.5 * rim) / (rim + 0.05)) * smooth(toSide / 0.1 + 0.5);
        value += mask * (thickness + shell + plate);
        amount = Math.max(amount, mask);
      }

      // The kneecap over the femur, and the fibula beside the tibia.
      const px = (x - joint.patellaX) / 0.36;
      const py = (y - joint.patellaY) / 0.34;
      const patella = 1 - px * px - py * py;
      if (patella > -0.2) value += 0.07 * smooth(patella * 3 + 0.3) + 0.04 * bump(patella / 0.22);
      const fibulaDepth = softMin(0.115 - Math.abs(x + boneWidth * 0.93), y - 0.3);
      const fibula = smooth(fibulaDepth / (2 * edge) + 0.5);
      if (fibula > 0) value += fibula * (0.1 + 0.09 * bump((fibulaDepth - 0.4 * rim) / rim));

      out[row * size + column] = joint.offset + joint.gain * value;
      bone[row * size + column] = amount;
    }
  }
}

/** The outlines of both bones: their ends over x, their half widths over y. Medial is x > 0. */
function outlines(joint: Joint) {
  const { severity: s, boneWidth: w, jointSpace, notchDepth, spineHeight, shaftWidth, tilt } = joint;
  const femurEnd = new Float32Array(TABLE);
  const tibiaEnd = new Float32Array(TABLE);
  const medial = new Float32Array(TABLE);
  const femurSide = [new Float32Array(TABLE), new Float32Array(TABLE)];
  const tibiaSide = [new Float32Array(TABLE), new Float32Array(TABLE)];
  const spurs = [0.13 * s * joint.osteophyteLateral, 0.16 * s * joint.osteophyteMedial];
  for (let t = 0; t < TABLE; t++) {
    const at = ((2 * t) / (TABLE - 1) - 1) * TABLE_REACH;
    const isMedial = 1 / (1 + Math.exp(-at / 0.05));
    const space = jointSpace * (isMedial * (1 - 0.9 * s) + (1 - isMedial) * (1 - 0.35 * s));
    const middle = tilt * at;
    const along = Math.abs(at) / w;
    // Condyles: rounded at the margins, parted by the notch; the plateau: flat, with two spines in the middle.
    const round = 0.16 * along ** 6;
    femurEnd[t] = middle - space / 2 - notchDepth * gauss(at / 0.13) - Math.min(round, 0.5);
    const spines = gauss((at - 0.075) / 0.05) + 0.8 * gauss((at + 0.085) / 0.05);
    tibiaEnd[t] = middle + space / 2 - spineHeight * spines + Math.min(0.08 * along ** 6, 0.4);
    medial[t] = isMedial;

    const shaft = shaftWidth * w;
    const femurWaist = smooth((-at - 0.3) / 0.75);
    const tibiaWaist = smooth((at - 0.15) / 1.05);
    for (let side = 0; side < 2; side++) {
      // Lips that point out at the joint margins.
      femurSide[side][t] = w + (shaft - w) * femurWaist + spurs[side] * gauss((at + 0.15) / 0.075);
      tibiaSide[side][t] = w + (shaft - w) * tibiaWaist + spurs[side] * gauss((at - 0.14) / 0.065);
    }
  }
  return { femurEnd, tibiaEnd, femurSide, tibiaSide, medial };
}

/** 0 below 0, 1 above 1, a cubic between. */
function smooth(t: number): number {
  if (t <= 0) return 0;
  if (t >= 1) return 1;
  return t * t * (3 - 2 * t);
}

/** (1 − t²)² within |t| < 1: a bell without an exponential. */
function bump(t: number): number {
  const q = 1 - t * t;
  return q > 0 ? q * q : 0;
}

function gauss(t: number): number {
  return Math.exp(-t * t);
}

/** The smaller of two depths, rounded off where they meet. */
function softMin(a: number, b: number): number {
  const h = Math.max(0, 0.06 - Math.abs(a - b));
  return Math.min(a, b) - (h * h) / 0.24;
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}
