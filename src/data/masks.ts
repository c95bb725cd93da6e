import { PenumbraError } from '../errors.ts';
import { readRegular } from '../files/index.ts';
import { decodeMask } from '../phantom/index.ts';
import { ByPath } from './by-path.ts';

/** Where something is in an image. */
export interface Mask {
  readonly height: number;
  readonly width: number;
  /** height×width of 0 and 1, rows from the top. */
  readonly values: Uint8Array;
}

/** Masks of what is there, by image and finding. */
export class Masks {
  /** Lines of masks, with something in them. */
  readonly count: number;
  private readonly byImage = new ByPath<ReadonlyMap<string, Line>>();

  constructor(lines: readonly Line[]) {
    const byImage = new Map<string, Map<string, Line>>();
    for (const line of lines) {
      const of = byImage.get(line.image) ?? new Map<string, Line>();
      byImage.set(line.image, of.set(line.finding, line));
    }
    for (const [image, own] of byImage) this.byImage.set(image, own);
    this.count = lines.length;
  }

  /** Names of the findings that an image has masks of. @param image as in the masks, or by its file name where that is unique */
  findingsOf(image: string): readonly string[] {
    return [...(this.byImage.get(image)?.keys() ?? [])];
  }

  /** The mask of a finding in an image; undefined where it has none. */
  get(image: string, finding: string): Mask | undefined {
    const line = this.byImage.get(image)?.get(finding);
    if (line === undefined) return undefined;
    const [height, width] = line.size;
    return { height, width, values: decodeMask(line.counts, height, width) };
  }
}

interface Line {
  readonly image: string;
  readonly finding: string;
  readonly size: readonly [number, number];
  readonly counts: readonly number[];
}

/**
 * Reads masks, one a line of JSON: `image`, `finding` (or the class), `size` [height, width] and `counts`, COCO's uncompressed
 * run lengths (down the columns, zeros first), as the chest clinic writes them. Lines with `present: false` (what only looks
 * like the finding) and empty masks are left out.
 * @throws {PenumbraError} `data/masks` naming the line
 */
export function readMasks(path: string): Masks {
  const lines: Line[] = [];
  const text = readRegular(path).toString('utf8');
  text.split('\n').forEach((row, i) => {
    if (row.trim() === '') return;
    const line = parsed(row);
    if (line === undefined) {
      throw new PenumbraError('data/masks', `${path}: line ${i + 1} is no mask`, {
        hint: 'a line is {"image": "…", "finding": "…", "size": [height, width], "counts": [run lengths, zeros first]}, whose counts add up to height × width',
        where: { file: path, line: i + 1 },
      });
    }
    if (line.present !== false && line.counts.length > 1) lines.push(line);
  });
  return new Masks(lines);
}

function parsed(row: string): (Line & { readonly present?: boolean }) | undefined {
  let value: Partial<Line & { readonly present?: boolean }>;
  try {
    value = JSON.parse(row) as typeof value;
  } catch {
    return undefined;
  }
  const { image, finding, size, counts } = value ?? {};
  const whole = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((n) => Number.isInteger(n) && n >= 0);
  if (typeof image !== 'string' || typeof finding !== 'string' || !whole(size) || !whole(counts))
    return undefined;
  const [height = 0, width = 0] = size;
  const sums = size.length === 2 && counts.reduce((sum, run) => sum + run, 0) === height * width;
  return sums && height > 0 && width > 0 ? (value as Line) : undefined;
}
