/**
 * Run lengths of a mask, as COCO writes them uncompressed: down the columns, zeros first. `pycocotools` reads them
 * (`mask.frPyObjects({size: [h, w], counts})`).
 */
export function encodeMask(mask: Uint8Array, size: number): number[] {
  const counts: number[] = [];
  let value = 0;
  let run = 0;
  for (let x = 0; x < size; x++) {
    for (let y = 0; y < size; y++) {
      const bit = mask[y * size + x] === 0 ? 0 : 1;
      if (bit !== value) {
        counts.push(run);
        run = 0;
        value = bit;
      }
      run++;
    }
  }
  counts.push(run);
  return counts;
}

/** The mask of run lengths: height×width of 0 or 1, rows from the top. @param width default: the height */
export function decodeMask(counts: readonly number[], height: number, width = height): Uint8Array {
  const mask = new Uint8Array(height * width);
  let at = 0;
  counts.forEach((run, i) => {
    for (const end = at + run; at < end; at++) {
      if (i % 2 === 1) mask[(at % height) * width + Math.floor(at / height)] = 1;
    }
  });
  return mask;
}
