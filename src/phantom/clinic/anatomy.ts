import type { Random } from '../../random.ts';
import { type Canvas, type Pose, smooth } from '../canvas.ts';

/**
 * The chest behind the findings, from the front. Lengths are in half picture widths, densities in shares of the film's
 * range. A patient's own numbers last; pose, breath and exposure belong to one picture.
 */
export interface Chest extends Pose {
  readonly width: number;
  readonly top: number;
  readonly dome: number;
  readonly domeDifference: number;
  readonly mediastinum: number;
  readonly heartTilt: number;
  readonly heartHeight: number;
  readonly knob: number;
  readonly ribGap: number;
  readonly ribSlope: number;
  readonly ribDensity: number;
  readonly fat: number;
  /** 0 where there are none to see. */
  readonly breasts: number;
  readonly vessels: number;
  /** Name of the stream that the vessels branch by. */
  readonly vesselSeed: number;
  /** Of the chest about its own axis: what moves the heart and the breast bone against the spine. */
  readonly rotation: number;
  readonly exposure: number;
  readonly contrast: number;
  readonly noise: number;
  readonly stomach: number;
}

export function chestOf(patient: Random, picture: Random): Chest {
  const between = (random: Random, low: number, high: number) => low + (high - low) * random.uniform();
  const breasts = patient.uniform() < 0.5 ? between(patient, 0.05, 0.13) : 0;
  return {
    width: between(patient, 0.7, 0.82),
    top: between(patient, -0.86, -0.78),
    mediastinum: between(patient, 0.1, 0.14),
    heartTilt: between(patient, 0.45, 0.8),
    heartHeight: between(patient, 0.27, 0.33),
    knob: between(patient, 0.06, 0.1),
    ribGap: between(patient, 0.138, 0.158),
    ribSlope: between(patient, 0.1, 0.22),
    ribDensity: between(patient, 0.09, 0.15),
    fat: between(patient, 0, 1),
    breasts,
    vessels: between(patient, 0.75, 1.25),
    vesselSeed: patient.below(1 << 30),
    domeDifference: between(patient, 0.02, 0.09),
    stomach: between(patient, 0, 1),
    dome: between(picture, 0.3, 0.5),
    rotation: between(picture, -0.05, 0.05),
    shiftX: between(picture, -0.06, 0.06),
    shiftY: between(picture, -0.06, 0.06),
    scale: between(picture, 0.92, 1.06),
    lean: between(picture, -0.045, 0.045),
    exposure: between(picture, -0.07, 0.07),
    contrast: between(picture, 0.88, 1.16),
    noise: between(picture, 0.012, 0.03),
  };
}

/** Half width of the inside of the rib cage at height y; 0 above the apex. */
export function cageAt(chest: Chest, y: number): number {
  const t = (y - chest.top) / 1.05;
  if (t <= 0) return 0;
  const rest = 1 - Math.min(1, t / 0.92);
  return chest.width * Math.sqrt(1 - rest ** 2.6) * (t > 0.92 ? 1 - 0.12 * (t - 0.92) : 1);
}

/** Height of the diaphragm at x, with the costophrenic angle at its outer end. */
export function diaphragmAt(chest: Chest, x: number): number {
  const left = x > 0;
  const from = (Math.abs(x) - 0.33) / 0.42;
  const fall = from > 0 ? 0.3 * from ** 2.3 : 0.1 * from * from;
  return chest.dome + (left ? chest.domeDifference : 0) + fall;
}

/** A function at many places by a table over [−1.6, 1.6]: powers are dear. */
function tabulate(of: (at: number) => number, places: Float32Array, out: Float32Array): void {
  const steps = 640;
  const table = Float32Array.from({ length: steps + 2 }, (_, i) => of((3.2 * i) / steps - 1.6));
  for (let at = 0; at < places.length; at++) {
    const place = Math.max(0, Math.min(steps, ((places[at] + 1.6) * steps) / 3.2));
    const i = place | 0;
    out[at] = table[i] + (place - i) * (table[i + 1] - table[i]);
  }
}

/** Half width of what lies between the lungs at height y, without the heart. */
export function mediastinumAt(chest: Chest, y: number): number {
  const neck = smooth((y + 0.75) / 0.5);
  return chest.mediastinum * (0.85 + 0.15 * neck) + 0.05 * smooth((y + 0.15) / 0.4);
}

/** Fields of size² numbers, used again for each picture. */
export class Fields {
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly density: Float32Array;
  /** How much of each pixel is lung that is not behind the diaphragm, 0 to 1. */
  readonly lung: Float32Array;
  /** The same for the whole inside of the ribs, down to the costophrenic recess. */
  readonly cage: Float32Array;
  /** Density of the vessels of the lungs alone. */
  readonly markings: Float32Array;
  readonly bone: Float32Array;
  readonly layer: Float32Array;
  readonly scratch: Float32Array;
  /** `cageAt` and `diaphragmAt` of each pixel. */
  readonly wall: Float32Array;
  readonly dome: Float32Array;

  constructor(size: number) {
    const field = () => new Float32Array(size * size);
    this.x = field();
    this.y = field();
    this.density = field();
    this.lung = field();
    this.cage = field();
    this.markings = field();
    this.bone = field();
    this.layer = field();
    this.scratch = field();
    this.wall = field();
    this.dome = field();
  }
}

/** Fills the fields with a chest without findings and without a heart: that is drawn where its size is known. */
export function drawChest(chest: Chest, canvas: Canvas, fields: Fields, branches: Random): void {
  const { x, y, density, lung, cage, markings, bone } = fields;
  canvas.coordinates(x, y);
  tabulate((at) => cageAt(chest, at), y, fields.wall);
  tabulate((at) => diaphragmAt(chest, at), x, fields.dome);
  const edge = Math.max(0.014, canvas.pixel);
  const inner = chest.rotation * 0.6;
  const pleats = 0.045 + 0.06 * chest.fat;
  for (let at = 0; at < x.length; at++) {
    const px = x[at];
    const py = y[at];
    const ax = Math.abs(px);
    const wall = fields.wall[at];
    const inside = wall - ax;
    // Shoulders and neck above, flanks beside.
    const shoulder = py - (-1 + 0.2 * smooth((ax - 0.18) / 0.3) + 0.12 * smooth((ax - 0.5) / 0.5));
    const flank = Math.max(wall, chest.width * 0.9) + pleats + 0.05 + 0.42 * smooth((-0.05 - py) / 0.5) - ax;
    const body = smooth(shoulder / 0.05 + 0.5) * smooth(flank / 0.05 + 0.5);
    const dome = fields.dome[at];
    const middle = ax - mediastinumAt(chest, py) - (px > 0 ? inner : -inner);
    const apex = py - (chest.top + 0.035 + 1.1 * (ax - 0.3) ** 2);
    const above = Math.min(inside, apex, middle);
    const depth = Math.min(above, dome - py);
    const air = smooth(depth / (2 * edge) + 0.5);
    lung[at] = air;
    // The recess behind the diaphragm, where fluid gathers.
    cage[at] = smooth(Math.min(above, dome + 0.16 - py) / (2 * edge) + 0.5);
    // Soft tissue: more of it at the flanks, the shoulders and below the diaphragm. Thicker lungs are darker.
    const soft =
      0.5 + 0.16 * smooth((py - dome) / 0.25) + 0.07 * smooth((-0.45 - py) / 0.4) + 0.06 * chest.fat;
    const aerated = 0.5 - 0.09 * smooth(depth / 0.25) + 0.05 * smooth((py - 0.1) / 0.5) * chest.fat;
    const centre = 0.08 * smooth((chest.mediastinum + 0.05 - Math.abs(px - inner)) / 0.06);
    density[at] = body * (soft + centre * (1 - air) - air * (aerated - 0.09));
  }
  drawSpine(chest, canvas, fields);
  bone.fill(0);
  drawRibs(chest, canvas, bone, false);
  addBone(fields);
  bone.fill(0);
  drawRibs(chest, canvas, bone, true);
  drawShoulders(chest, canvas, bone);
  addBone(fields);
  drawGreatVessels(chest, canvas, fields);
  markings.fill(0);
  drawVessels(chest, canvas, markings, branches);
  for (let at = 0; at < markings.length; at++) {
    markings[at] *= lung[at];
    density[at] += markings[at];
  }
  drawSoftShadows(chest, canvas, fields);
}

export function add(into: Float32Array, what: Float32Array, weight: number): void {
  for (let at = 0; at < into.length; at++) into[at] += weight * what[at];
}

/** Bone adds less to the picture where the belly is behind it. */
function addBone({ density, bone, dome, y }: Fields): void {
  for (let at = 0; at < density.length; at++) {
    if (bone[at] > 0) density[at] += bone[at] * (1 - 0.75 * smooth((y[at] - dome[at]) / 0.12 + 0.3));
  }
}

/** The ribs of one set on both sides: behind, from the spine outward; in front, from the side inward and down. */
function drawRibs(chest: Chest, canvas: Canvas, field: Float32Array, front: boolean): void {
  for (let rib = 0; rib < (front ? 7 : 10); rib++) {
    for (const side of [-1, 1]) {
      const points = ribPath(chest, rib, side, front);
      const half = front ? 0.03 : 0.026;
      canvas.path(field, points, half, (front ? 0.75 : 1) * chest.ribDensity * (rib === 0 ? 0.8 : 1), 0.4);
    }
  }
}

/** Points x0, y0, x1, y1, … of a rib, from the spine to the side, or from the side to the breast bone. */
export function ribPath(chest: Chest, rib: number, side: number, front: boolean): number[] {
  const points: number[] = [];
  const start = chest.top + 0.06 + chest.ribGap * rib;
  for (let step = 0; step <= 10; step++) {
    const t = step / 10;
    if (front) {
      const y = start + 0.16 + chest.ribSlope + 0.26 * t ** 1.3;
      const wall = cageAt(chest, start + 0.18 + chest.ribSlope);
      points.push(side * (wall * (1 - 0.68 * t ** 1.15)) + chest.rotation * t, y);
    } else {
      const y = start + (chest.ribSlope + 0.02 * rib) * t ** 2.2 - 0.035 * Math.sin(Math.PI * t);
      const wall = Math.max(cageAt(chest, y), 0.3);
      points.push(side * (0.06 + (wall + 0.012 - 0.06) * Math.sin((Math.PI / 2) * t)), y);
    }
  }
  return points;
}

function drawShoulders(chest: Chest, canvas: Canvas, field: Float32Array): void {
  for (const side of [-1, 1]) {
    const lift = -0.04 * (1 - chest.fat);
    const head = side * 0.07 + chest.rotation;
    canvas.path(
      field,
      [
        head,
        chest.top + 0.22,
        side * 0.3,
        chest.top + 0.17,
        side * 0.55,
        chest.top + 0.12 + lift,
        side * 0.85,
        chest.top + 0.13 + lift,
      ],
      0.036,
      0.14,
      0.35,
    );
    // The inner border of the shoulder blade, and the head of the arm bone.
    canvas.path(field, [side * 0.72, -0.62, side * 0.8, -0.3, side * 0.84, 0.02], 0.03, 0.08, 0.2);
    canvas.path(field, [side * 1.02, -0.62, side * 1.06, -0.1], 0.085, 0.2, 0.4);
  }
}

/** Vertebrae and their discs along the middle, seen through the heart and above it. */
function drawSpine(chest: Chest, canvas: Canvas, { density, x, y, layer }: Fields): void {
  layer.fill(0);
  for (let n = 0; n < 15; n++) {
    const at = -1.05 + 0.142 * n;
    canvas.stroke(layer, -0.03, at - 0.02, 0.03, at - 0.02, 0.048, 0.05, 0.15);
    canvas.stroke(layer, -0.03, at + 0.02, 0.03, at + 0.02, 0.048, 0.05, 0.15);
    canvas.stroke(layer, 0, at + 0.01, 0, at + 0.06, 0.012, 0.09);
  }
  for (let at = 0; at < density.length; at++) {
    const air =
      0.1 * smooth((0.045 - Math.abs(x[at] - chest.rotation * 0.3)) / 0.02) * smooth((-0.22 - y[at]) / 0.08);
    density[at] += layer[at] * (1 - 0.35 * smooth((y[at] - chest.dome) / 0.2)) - air; // The windpipe is dark.
  }
}

/** The aortic knob and arch, and the hila. */
function drawGreatVessels(chest: Chest, canvas: Canvas, { density, layer, lung }: Fields): void {
  layer.fill(0);
  const shift = chest.rotation;
  canvas.puff(layer, 0.115 + shift, chest.top + 0.42, chest.knob + 0.05, chest.knob + 0.055, 0.34, 0.9);
  canvas.puff(layer, 0.14 + shift, -0.13, 0.13, 0.14, 0.22);
  canvas.puff(layer, -0.16 + shift, -0.08, 0.13, 0.16, 0.22);
  canvas.stroke(layer, 0.1, chest.top + 0.45, 0.085, 0.5, 0.035, 0.07);
  for (let at = 0; at < density.length; at++) density[at] += layer[at] * (0.25 + 0.75 * lung[at]);
}

/** Vessels that branch from the hila and thin out towards the pleura; more of them below than above. */
export function drawVessels(
  chest: Chest,
  canvas: Canvas,
  field: Float32Array,
  random: Random,
  more = 0,
): void {
  const grow = (x: number, y: number, angle: number, length: number, half: number, depth: number): void => {
    const endX = x + length * Math.cos(angle);
    const endY = y + length * Math.sin(angle);
    canvas.stroke(field, x, y, endX, endY, half, (0.045 + 4 * half) * chest.vessels * (1 + more));
    if (depth === 0) return;
    const spread = 0.22 + 0.3 * random.uniform();
    const turn = 0.3 * (random.uniform() - 0.5);
    grow(endX, endY, angle + spread + turn, length * (0.7 + 0.25 * random.uniform()), half * 0.72, depth - 1);
    grow(endX, endY, angle - spread + turn, length * (0.7 + 0.25 * random.uniform()), half * 0.72, depth - 1);
  };
  for (const side of [-1, 1]) {
    for (const heading of [-1.25, -0.7, -0.1, 0.5, 0.9, 1.25]) {
      const angle = side > 0 ? heading : Math.PI - heading;
      const half = (heading > 0 ? 0.016 : 0.013) * (0.8 + 0.4 * random.uniform());
      const y = -0.1 + 0.05 * heading;
      grow(side * 0.14 + chest.rotation, y, angle, 0.13 + 0.05 * random.uniform(), half, 4);
    }
  }
}

/** Breasts, and the air in the stomach. */
function drawSoftShadows(chest: Chest, canvas: Canvas, { density, layer, dome, y }: Fields): void {
  layer.fill(0);
  if (chest.breasts > 0) {
    for (const side of [-1, 1]) canvas.puff(layer, side * 0.44, 0.2, 0.36, 0.38, chest.breasts, 0.85);
  }
  const under = diaphragmAt(chest, 0.36) + 0.13;
  canvas.puff(
    layer,
    0.34,
    under,
    0.13 + 0.05 * chest.stomach,
    0.07 + 0.03 * chest.stomach,
    -0.16 * chest.stomach,
    0.6,
  );
  for (let at = 0; at < density.length; at++) {
    if (layer[at] < 0 && y[at] < dome[at] + 0.025) continue;
    density[at] += layer[at];
  }
}

/**
 * The heart: an oval across the middle whose transverse diameter is `ratio` of the chest's inside. Adds its density.
 */
export function drawHeart(chest: Chest, fields: Fields, pixel: number, ratio: number, weight: number): void {
  const { x, y, density, lung } = fields;
  const across = ratio * chest.width;
  const down = chest.heartHeight * (0.75 + 0.5 * ratio);
  const cos = Math.cos(chest.heartTilt);
  const sin = Math.sin(chest.heartTilt);
  // The half width of a tilted oval is √((a cos)² + (b sin)²): a is what gives the diameter asked for.
  const short = down * 0.82;
  const long = Math.sqrt(Math.max(short * short, (across * across - (short * sin) ** 2) / (cos * cos)));
  const centreX = 0.1 + 0.16 * across + chest.rotation * 1.2;
  const centreY = chest.dome - 0.2 + 0.12 * (across - 0.35);
  const edge = Math.max(0.025, 1.2 * pixel) / Math.min(long, short);
  for (let at = 0; at < x.length; at++) {
    const u = x[at] - centreX;
    const v = y[at] - centreY;
    const p = (cos * u + sin * v) / long;
    const q = (cos * v - sin * u) / short;
    const depth = 1 - Math.sqrt(p * p + q * q);
    if (depth <= -edge) continue;
    const cover = smooth(depth / (2 * edge) + 0.5);
    density[at] += weight * cover * (0.27 + 0.09 * smooth(depth / 0.8)) * (0.12 + 0.88 * lung[at]);
  }
}
