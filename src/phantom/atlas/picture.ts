import { Random } from '../../random.ts';
import { Canvas } from '../canvas.ts';
import { drawTexture, quickNormal } from '../noise.ts';
import { ANATOMIES, type Anatomy, type Blob, type Line } from './anatomy.ts';
import { type Modality, REGIONS, type Subject } from './classes.ts';

const ANATOMY_STREAM = 54;
const POSE_STREAM = 55;
const NOISE_STREAM = 56;

/** How a modality shows what is drawn. */
interface Look {
  /** Signs of a solid lesion, of clear fluid and of calcium against their surroundings. */
  readonly solid: number;
  readonly fluid: number;
  readonly calcium: number;
  readonly develop: (picture: Developing) => void;
}

interface Developing {
  readonly size: number;
  readonly field: Float32Array;
  readonly texture: Float32Array;
  readonly random: Random;
  readonly out: Uint8Array;
}

export interface Wanted {
  readonly patient: number;
  readonly image: number;
  readonly subject: Subject;
  /** Where between the pair's pathologies the picture stands, in [0, 1]. */
  readonly t: number;
}

/** Draws the pictures of one size. */
export class AtlasPictures {
  private readonly size: number;
  private readonly seed: number;
  private readonly field: Float32Array;
  private readonly layer: Float32Array;
  private readonly texture: Float32Array;

  constructor(size: number, seed: number) {
    this.size = size;
    this.seed = seed;
    this.field = new Float32Array(size * size);
    this.layer = new Float32Array(size * size);
    this.texture = new Float32Array(size * size);
  }

  /** Draws one: a function of the seed and of what is wanted. @param out size² grey values */
  draw({ patient, image, subject, t }: Wanted, out: Uint8Array): void {
    const { size, field, texture, seed } = this;
    const { modality, anatomy: name } = REGIONS[subject.region]!;
    const anatomy = ANATOMIES[`${modality} ${name}`]!;
    const look = LOOKS[modality];
    const own = new Random(seed, ANATOMY_STREAM, patient);
    const pose = new Random(seed, POSE_STREAM, image);
    const canvas = new Canvas(size, {
      shiftX: between(pose, -0.07, 0.07),
      shiftY: between(pose, -0.07, 0.07),
      scale: between(pose, 0.93, 1.07),
      lean: between(pose, -0.1, 0.1),
    });
    field.fill(0);
    for (const part of anatomy.blobs) this.blob(canvas, varied(part, own));
    const left = subject.pair === WASTING ? 0.85 - 0.35 * t : 1;
    this.blob(canvas, varied(anatomy.organ, own, left));
    for (const part of [...anatomy.lines, anatomy.band]) this.over(canvas, part);
    if (subject.pair >= 0) this.lesion(canvas, anatomy, look, subject.pair, t, own);
    const random = new Random(seed, NOISE_STREAM, image);
    drawTexture(texture, size, random, [0.05, 0.05]);
    look.develop({ size, field, texture, random, out });
  }

  private blob(canvas: Canvas, { x, y, rx, ry, density, edge }: Blob): void {
    canvas.puff(this.field, x, y, rx, ry, density, edge);
  }

  /** A stroke that covers what is under it. */
  private over(canvas: Canvas, { points, half, density, rim = 0 }: Line, sign = 1): void {
    const { layer, field } = this;
    layer.fill(0);
    canvas.path(layer, points, half, density, rim);
    for (let at = 0; at < field.length; at++) {
      const drawn = layer[at]!;
      if (drawn === 0) continue;
      if (sign < 0) field[at] = field[at]! - drawn;
      else if (drawn > field[at]!) field[at] = drawn;
    }
  }

  /** The patient's pathology: the same place in both pictures. */
  private lesion(
    canvas: Canvas,
    { sites, band, pool }: Anatomy,
    { solid, fluid, calcium }: Look,
    pair: number,
    t: number,
    own: Random,
  ): void {
    const site = own.below(sites.length / 2);
    const x = sites[2 * site]! + between(own, -0.04, 0.04);
    const y = sites[2 * site + 1]! + between(own, -0.04, 0.04);
    const angle = between(own, 0, Math.PI);
    const put = (px: number, py: number, rx: number, ry: number, density: number, edge: number) =>
      canvas.puff(this.field, px, py, rx, ry, density, edge);
    if (pair === 0) {
      const radius = 0.1 + 0.13 * t;
      put(x, y, radius, radius * between(own, 0.85, 1.15), 0.36 * solid, 0.8);
    } else if (pair === 1) {
      put(x, y, 0.19, 0.17, 0.4 * fluid, 1);
      const [dx, dy] = [0.15 * Math.cos(angle), 0.15 * Math.sin(angle)];
      this.over(canvas, { points: [x - dx, y - dy, x + dx, y + dy], half: 0.025, density: 0.45 * t }, -fluid);
    } else if (pair === 2) {
      put(pool[0], pool[1], 0.4, 0.15, fluid * 0.22 + 0.3 * t, 0.9);
    } else if (pair === 3) {
      put(x, y, 0.3, 0.26, 0.34 * solid, t);
    } else if (pair === 4) {
      const radius = 0.045 + 0.065 * t;
      put(x, y, radius, radius, 0.7 * calcium, 1);
      if (calcium > 0 && solid < 0) this.shadow(canvas, x, y, radius);
    } else if (pair === 5) {
      const [x0, y0, x1, y1] = band.points as [number, number, number, number];
      const middle = between(own, 0.35, 0.65);
      const reach = (0.06 + 0.22 * t) / Math.hypot(x1 - x0, y1 - y0);
      const at = (s: number) => [x0 + s * (x1 - x0), y0 + s * (y1 - y0)];
      this.over(
        canvas,
        { points: [...at(middle - reach), ...at(middle + reach)], half: 0.6 * band.half, density: 0.5 },
        -1,
      );
    }
  }

  /** Ultrasound does not pass calcium. */
  private shadow(canvas: Canvas, x: number, y: number, radius: number): void {
    this.over(canvas, { points: [x, y + radius, x * 1.4, 1.1], half: radius, density: 0.25 }, -1);
  }
}

/** The pair whose organ wastes. */
const WASTING = 6;

const LOOKS: Readonly<Record<Modality, Look>> = {
  CT: {
    solid: 1,
    fluid: -1,
    calcium: 1,
    develop({ field, random, out }) {
      const brightness = between(random, -0.04, 0.04);
      for (let at = 0; at < field.length; at++)
        out[at] = grey(0.08 + brightness + 0.85 * field[at]! + 0.035 * quickNormal(random));
    },
  },
  MR: {
    solid: 1,
    fluid: 1,
    calcium: -1,
    develop({ size, field, texture, random, out }) {
      // Coils are nearer to one side; noise is Rician, so it never falls below 0.
      const [a, b] = [between(random, -0.25, 0.25), between(random, -0.25, 0.25)];
      const gain = between(random, 1.05, 1.35);
      for (let row = 0, at = 0; row < size; row++) {
        const v = (2 * row) / size - 1;
        for (let column = 0; column < size; column++, at++) {
          const u = (2 * column) / size - 1;
          const signal = gain * Math.max(0, field[at]!) * (1 + a * u + b * v + 0.06 * texture[at]!);
          const real = signal + 0.035 * quickNormal(random);
          const other = 0.035 * quickNormal(random);
          out[at] = grey(Math.sqrt(real * real + other * other));
        }
      }
    },
  },
  US: {
    solid: -1,
    fluid: -1,
    calcium: 1,
    develop({ size, field, texture, random, out }) {
      // A fan from above the picture; speckle multiplies; depth dims.
      const gain = between(random, 0.9, 1.15);
      for (let row = 0, at = 0; row < size; row++) {
        const depth = (2 * row) / size + 0.35;
        for (let column = 0; column < size; column++, at++) {
          const u = (2 * column) / size - 1;
          const inside = Math.abs(u) < 0.75 * depth;
          const signal = gain * Math.max(0, field[at]!) * (1.1 - 0.18 * depth);
          const speckle = Math.exp(0.22 * texture[at]! + 0.12 * quickNormal(random));
          out[at] = inside ? grey(1.25 * signal * speckle) : 0;
        }
      }
    },
  },
};

/** A part as this patient has it. */
function varied(part: Blob, own: Random, left = 1): Blob {
  const bigger = between(own, 0.95, 1.05) * left;
  return {
    x: part.x + between(own, -0.02, 0.02),
    y: part.y + between(own, -0.02, 0.02),
    rx: part.rx * bigger,
    ry: part.ry * bigger,
    density: part.density * between(own, 0.92, 1.08),
    edge: part.edge,
  };
}

function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random.uniform();
}

function grey(value: number): number {
  const rounded = Math.round(255 * value);
  return rounded < 0 ? 0 : rounded > 255 ? 255 : rounded;
}
