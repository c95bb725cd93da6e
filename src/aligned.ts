/** Rows of cells padded to columns of equal width; to the left where `isLeft` says so, else to the right. */
export function aligned(
  rows: readonly (readonly string[])[],
  isLeft: (column: number) => boolean,
): string[][] {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => row[c]!.length)));
  return rows.map((row) =>
    row.map((cell, c) => (isLeft(c) ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))),
  );
}
