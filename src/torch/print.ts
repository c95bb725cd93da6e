/** How a tensor looks when it is printed. */
import { aten } from './operators.ts';
import { type NestedNumbers, type Tensor, tidy } from './tensor.ts';

/** With more elements than this, only the ends of each dimension are shown. */
const MOST = 1000;
/** So many at each end. */
const EDGE = 3;

/**
 * The values in brackets, a row a line, aligned; long dimensions with their first and last three. As PyTorch prints:
 * four decimals, or an exponent where the values are too far apart for them.
 */
export function formatValues(tensor: Tensor): string {
  const cut = tensor.size > MOST;
  const isCut = tensor.shape.map((size) => cut && size > 2 * EDGE);
  const { shape } = tensor;
  const values = tidy(() => {
    let shown = tensor.detach();
    for (const [dim, size] of shape.entries()) {
      if (!isCut[dim]) continue;
      shown = aten.cat([shown.narrow(dim, 0, EDGE), shown.narrow(dim, size - EDGE, EDGE)], dim);
    }
    return shown.toArray();
  });
  if (tensor.size === 0) return '[]';
  const numbers = tensor.is_floating_point() ? floatFormat(flat(values)) : String;
  const isTruth = tensor.dtype === 'bool';
  const word = (value: number) => (isTruth ? String(value !== 0) : numbers(value));
  const width = Math.max(...flat(values).map((value) => word(value).length));
  const lines = (level: NestedNumbers, dim: number): string => {
    if (typeof level === 'number') return word(level).padStart(width);
    const parts = level.map((part) => lines(part, dim + 1));
    if (isCut[dim]) parts.splice(EDGE, 0, '…');
    const isRow = dim === shape.length - 1;
    const between = isRow ? ', ' : `,${'\n'.repeat(shape.length - 1 - dim)}${' '.repeat(dim + 1)}`;
    return `[${parts.join(between)}]`;
  };
  return lines(values, 0);
}

function flat(values: NestedNumbers): number[] {
  return typeof values === 'number' ? [values] : (values.flat(Infinity as 1) as number[]);
}

function floatFormat(values: readonly number[]): (value: number) => string {
  const sizes = values.filter((value) => Number.isFinite(value) && value !== 0).map(Math.abs);
  const largest = Math.max(...sizes, 0);
  const smallest = Math.min(...sizes, Infinity);
  const special = (write: (value: number) => string) => (value: number) =>
    Number.isFinite(value) ? write(value) : Number.isNaN(value) ? 'nan' : value < 0 ? '-inf' : 'inf';
  if (sizes.every(Number.isInteger) && largest < 1e8) return special((value) => `${value}.`);
  if (largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1e6)
    return special((value) => value.toExponential(4));
  return special((value) => value.toFixed(4));
}
