import { PenumbraError } from '../errors.ts';
import { aten, fromTypedArray, noGrad, type Tensor, tidy } from '../torch/index.ts';

/**
 * Distance of two grid nodes. The kernels change over a distance of 1 whatever the picture's size, so it need not follow
 * it; a finer grid where that costs nothing makes the first steps, with all points close together, more exact.
 */
const STEP = 1 / 3;
const FINE_STEP = 1 / 8;
/** The widest picture that gets the finer grid. */
const FINE_SPAN = 12;
/** Nodes that each point is spread to, along one axis. */
const NODES = 4;
/** Nodes beyond the points' box, over which the wrapped kernel's edge dies away. */
const MARGIN = 8;
/** What a node of the grid costs, in pairs of points: with few points far apart, going over all pairs is faster. */
const PAIRS_PER_NODE = 20;

/**
 * The repulsive forces of t-SNE, for N points in the plane,
 *
 *     f_i = Σ_j (y_i − y_j)/(1 + |y_i − y_j|²)²   and   Z = Σ_{i≠j} 1/(1 + |y_i − y_j|²),
 *
 * in O(N + grid) on a grid with the fast Fourier transform, the idea of FIt-SNE (Linderman et al., Nature Methods 2019).
 * Each point is spread to the 4×4 nodes around it, the nodes act on each other by convolution, and the same weights read
 * the result. Differences: the weights are cubic B-splines, with the kernels' transforms divided by the splines' as in
 * smooth particle mesh Ewald sums (Essmann et al., J. Chem. Phys. 1995), which at the same cost is several times more
 * exact than piecewise polynomials; the force has its own kernel (y_i − y_j)/(1 + …)² instead of sums that cancel; and the
 * grid's step is fixed, so that the kernels are transformed once for each grid size.
 * Few points on a wide plane are worked out pair by pair.
 */
export class Repulsion implements Disposable {
  /** N each, of the points given last. */
  readonly fx: Float64Array;
  readonly fy: Float64Array;
  private readonly n: number;
  /** First node of each point's stencil, and its NODES + NODES weights. */
  private readonly corners: Int32Array;
  private readonly weights: Float64Array;
  private side = 0;
  private step = 0;
  private charges = new Float64Array(0);
  private kernels: Tensor | undefined;

  constructor(n: number) {
    this.n = n;
    this.fx = new Float64Array(n);
    this.fy = new Float64Array(n);
    this.corners = new Int32Array(n);
    this.weights = new Float64Array(n * 2 * NODES);
  }

  /**
   * Works out `fx` and `fy`.
   * @param y N×2
   * @returns Z
   */
  compute(y: Float64Array): number {
    const box = bounds(y);
    const span = Math.max(box.right - box.left, box.bottom - box.top);
    if (!Number.isFinite(span)) {
      throw new PenumbraError('embeddings/diverged', 'the picture has points that are not finite numbers');
    }
    const step = span <= FINE_SPAN ? FINE_STEP : STEP;
    const nodes = Math.ceil(span / step) + MARGIN;
    if (this.n ** 2 / 2 < PAIRS_PER_NODE * nodes ** 2) return this.overPairs(y);
    this.fit(nodes, step);
    // The box sits in the middle of the grid.
    const margin = ((this.side - 1) * step) / 2;
    this.spread(y, (box.left + box.right) / 2 - margin, (box.top + box.bottom) / 2 - margin);
    const potentials = tidy(() => noGrad(() => this.convolve()));
    const z = this.gather(potentials.data() as Float64Array);
    potentials.dispose();
    return z;
  }

  [Symbol.dispose](): void {
    this.kernels?.dispose();
    this.kernels = undefined;
  }

  private overPairs(y: Float64Array): number {
    const { n, fx, fy } = this;
    fx.fill(0);
    fy.fill(0);
    let z = 0;
    for (let i = 0; i < n; i++) {
      const x0 = y[2 * i]!;
      const y0 = y[2 * i + 1]!;
      let sx = 0;
      let sy = 0;
      for (let j = 0; j < i; j++) {
        const dx = x0 - y[2 * j]!;
        const dy = y0 - y[2 * j + 1]!;
        const k = 1 / (1 + dx * dx + dy * dy);
        z += k;
        const kx = k * k * dx;
        const ky = k * k * dy;
        sx += kx;
        sy += ky;
        fx[j] = fx[j]! - kx;
        fy[j] = fy[j]! - ky;
      }
      fx[i] = fx[i]! + sx;
      fy[i] = fy[i]! + sy;
    }
    return 2 * z;
  }

  /** A grid of at least `nodes` a side, of a size that Fourier transforms like; grown in steps, as kernels are kept. */
  private fit(nodes: number, step: number): void {
    const side = smoothSize(nodes);
    if (this.side === side && this.step === step) return;
    this.side = side;
    this.step = step;
    this.charges = new Float64Array(side * side);
    this.kernels?.dispose();
    this.kernels = tidy(() => noGrad(() => transformedKernels(side, step)));
  }

  private spread(y: Float64Array, left: number, top: number): void {
    const { n, side, step, charges, corners, weights } = this;
    charges.fill(0);
    for (let i = 0; i < n; i++) {
      const column = stencil((y[2 * i]! - left) / step, weights, i * 2 * NODES);
      const row = stencil((y[2 * i + 1]! - top) / step, weights, i * 2 * NODES + NODES);
      const corner = row * side + column;
      corners[i] = corner;
      const w = i * 2 * NODES;
      for (let r = 0; r < NODES; r++) {
        const at = corner + r * side;
        const wy = weights[w + NODES + r]!;
        charges[at] = charges[at]! + wy * weights[w]!;
        charges[at + 1] = charges[at + 1]! + wy * weights[w + 1]!;
        charges[at + 2] = charges[at + 2]! + wy * weights[w + 2]!;
        charges[at + 3] = charges[at + 3]! + wy * weights[w + 3]!;
      }
    }
  }

  /** [3, 2·side, 2·side]: the potentials of Z, of the force along x and of the force along y. */
  private convolve(): Tensor {
    const { side } = this;
    const size = [2 * side, 2 * side];
    const charges = fromTypedArray(this.charges, { shape: [side, side] });
    return aten.fft_irfft2(this.kernels!.mul(aten.fft_rfft2(charges, size)), size).contiguous();
  }

  private gather(potentials: Float64Array): number {
    const { n, side, corners, weights, fx, fy } = this;
    const width = 2 * side;
    const plane = width * width;
    let z = -n; // Each point's own 1.
    for (let i = 0; i < n; i++) {
      const corner = corners[i]!;
      const row = Math.floor(corner / side);
      const w = i * 2 * NODES;
      let sum = 0;
      let sx = 0;
      let sy = 0;
      for (let r = 0; r < NODES; r++) {
        const at = (row + r) * width + (corner - row * side);
        const wy = weights[w + NODES + r]!;
        for (let c = 0; c < NODES; c++) {
          const weight = wy * weights[w + c]!;
          sum += weight * potentials[at + c]!;
          sx += weight * potentials[plane + at + c]!;
          sy += weight * potentials[2 * plane + at + c]!;
        }
      }
      z += sum;
      fx[i] = sx;
      fy[i] = sy;
    }
    return z;
  }
}

/** Writes the four cubic B-spline weights of a place in node units, and returns the stencil's first node. */
function stencil(place: number, weights: Float64Array, at: number): number {
  const node = Math.floor(place);
  const t = place - node;
  const u = 1 - t;
  weights[at] = (u * u * u) / 6;
  weights[at + 1] = (3 * t * t * t - 6 * t * t + 4) / 6;
  weights[at + 2] = (3 * u * u * u - 6 * u * u + 4) / 6;
  weights[at + 3] = (t * t * t) / 6;
  return node - 1;
}

/**
 * [3, 2·side, side + 1] complex: 1/(1 + d²), dx/(1 + d²)² and dy/(1 + d²)² over all lags, circularly, transformed; divided
 * by the transform of the B-spline's values at the nodes (1/6, 4/6, 1/6) along both axes, once for spreading and once for
 * reading, so that at the nodes the kernels come out as they are.
 */
function transformedKernels(side: number, step: number): Tensor {
  const width = 2 * side;
  const values = new Float64Array(3 * width * width);
  const splines = new Float64Array(width * (side + 1));
  for (let r = 0, at = 0; r < width; r++) {
    const dy = (r < side ? r : r - width) * step;
    for (let c = 0; c < width; c++, at++) {
      const dx = (c < side ? c : c - width) * step;
      const k = 1 / (1 + dx * dx + dy * dy);
      values[at] = k;
      values[at + width * width] = dx * k * k;
      values[at + 2 * width * width] = dy * k * k;
    }
  }
  const spline = (frequency: number) => (2 + Math.cos((2 * Math.PI * frequency) / width)) / 3;
  for (let r = 0; r < width; r++)
    for (let c = 0; c <= side; c++) splines[r * (side + 1) + c] = (spline(r) * spline(c)) ** 2;
  const transformed = aten.fft_rfft2(fromTypedArray(values, { shape: [3, width, width] }));
  return transformed.div(fromTypedArray(splines, { shape: [width, side + 1] }));
}

/** The least of some numbers without other prime factors than 2, 3 and 5 that is not below `least`. */
function smoothSize(least: number): number {
  for (let power = 16; ; power *= 2) {
    for (const [a, b] of [
      [1, 1],
      [9, 8],
      [5, 4],
      [3, 2],
      [27, 16],
      [15, 8],
    ] as const) {
      const size = (power * a) / b;
      if (size >= least) return size;
    }
  }
}

function bounds(y: Float64Array): { left: number; right: number; top: number; bottom: number } {
  let left = Number.POSITIVE_INFINITY;
  let right = Number.NEGATIVE_INFINITY;
  let top = left;
  let bottom = right;
  for (let i = 0; i < y.length; i += 2) {
    if (y[i]! < left) left = y[i]!;
    if (y[i]! > right) right = y[i]!;
    if (y[i + 1]! < top) top = y[i + 1]!;
    if (y[i + 1]! > bottom) bottom = y[i + 1]!;
  }
  return { left, right, top, bottom };
}
