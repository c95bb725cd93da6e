/**
 * Strokes and puffs on a square field of densities. Points are in the chest's own units (`Pose`): the picture spans
 * about [−1, 1] both ways, y down, and the patient's left is at x > 0.
 */
export interface Pose {
  readonly shiftX: number;
  readonly shiftY: number;
  readonly scale: number;
  /** Radians: how far the chest leans. */
  readonly lean: number;
}

export class Canvas {
  readonly size: number;
  /** Side of a pixel in the chest's units. */
  readonly pixel: number;
  private readonly cos: number;
  private readonly sin: number;
  private readonly pose: Pose;

  constructor(size: number, pose: Pose) {
    this.size = size;
    this.pose = pose;
    this.pixel = 2 / size / pose.scale;
    this.cos = Math.cos(pose.lean);
    this.sin = Math.sin(pose.lean);
  }

  /** Column of a point of the chest, in pixels from the left edge. */
  column(x: number, y: number): number {
    return ((this.cos * x - this.sin * y) * this.pose.scale + this.pose.shiftX + 1) * (this.size / 2) - 0.5;
  }

  row(x: number, y: number): number {
    return ((this.sin * x + this.cos * y) * this.pose.scale + this.pose.shiftY + 1) * (this.size / 2) - 0.5;
  }

  /** The chest's x and y of every pixel. */
  coordinates(xs: Float32Array, ys: Float32Array): void {
    const { size, cos, sin, pose } = this;
    for (let row = 0, at = 0; row < size; row++) {
      const v = (((row + 0.5) * 2) / size - 1 - pose.shiftY) / pose.scale;
      for (let column = 0; column < size; column++, at++) {
        const u = (((column + 0.5) * 2) / size - 1 - pose.shiftX) / pose.scale;
        xs[at] = cos * u + sin * v;
        ys[at] = cos * v - sin * u;
      }
    }
  }

  /**
   * A stroke of half width `half` with soft edges. Where strokes of one call's field overlap the denser wins. A stroke
   * thinner than a pixel is drawn a pixel wide and as much fainter. `rim` from 0 (solid) to 1 (a tube: bright edges).
   */
  stroke(
    field: Float32Array,
    x0: number,
    y0: number,
    x1: number,
    y1: number,
    half: number,
    density: number,
    rim = 0,
  ): void {
    const { size } = this;
    const wanted = half / this.pixel;
    const width = Math.max(wanted, 0.55);
    const value = density * Math.min(1, wanted / 0.55);
    const [ax, ay] = [this.column(x0, y0), this.row(x0, y0)];
    const [bx, by] = [this.column(x1, y1), this.row(x1, y1)];
    const [dx, dy] = [bx - ax, by - ay];
    const inverse = 1 / Math.max(1e-9, dx * dx + dy * dy);
    const reach = width + 0.5;
    const top = Math.max(0, Math.ceil(Math.min(ay, by) - reach));
    const bottom = Math.min(size - 1, Math.floor(Math.max(ay, by) + reach));
    const left = Math.max(0, Math.ceil(Math.min(ax, bx) - reach));
    const right = Math.min(size - 1, Math.floor(Math.max(ax, bx) + reach));
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const t = Math.max(0, Math.min(1, ((column - ax) * dx + (row - ay) * dy) * inverse));
        const ex = column - ax - t * dx;
        const ey = row - ay - t * dy;
        const distance = Math.sqrt(ex * ex + ey * ey);
        if (distance >= reach) continue;
        const cover = Math.min(1, reach - distance);
        const across = distance / width;
        const drawn = value * cover * (1 - rim + rim * Math.min(1, across * across));
        const at = row * size + column;
        if (drawn > field[at]) field[at] = drawn;
      }
    }
  }

  /** Strokes through points x0, y0, x1, y1, … */
  path(field: Float32Array, points: readonly number[], half: number, density: number, rim = 0): void {
    for (let i = 0; i + 3 < points.length; i += 2) {
      this.stroke(field, points[i], points[i + 1], points[i + 2], points[i + 3], half, density, rim);
    }
  }

  /** Adds a round or oval cloud. `edge` from 0 (a bell) to 1 (a ball with a sharp rim). */
  puff(
    field: Float32Array,
    x: number,
    y: number,
    radiusX: number,
    radiusY: number,
    density: number,
    edge = 0,
  ): void {
    const { size } = this;
    const [cx, cy] = [this.column(x, y), this.row(x, y)];
    const rx = Math.max(0.8, radiusX / this.pixel);
    const ry = Math.max(0.8, radiusY / this.pixel);
    const top = Math.max(0, Math.ceil(cy - ry));
    const bottom = Math.min(size - 1, Math.floor(cy + ry));
    const left = Math.max(0, Math.ceil(cx - rx));
    const right = Math.min(size - 1, Math.floor(cx + rx));
    for (let row = top; row <= bottom; row++) {
      const v = (row - cy) / ry;
      for (let column = left; column <= right; column++) {
        const u = (column - cx) / rx;
        const depth = 1 - u * u - v * v;
        if (depth <= 0) continue;
        const bell = depth * depth;
        field[row * size + column] += density * (bell + edge * (Math.sqrt(depth) * smooth(depth * 4) - bell));
      }
    }
  }
}

/** 0 below 0, 1 above 1, a cubic between. */
export function smooth(t: number): number {
  if (t <= 0) return 0;
  if (t >= 1) return 1;
  return t * t * (3 - 2 * t);
}
