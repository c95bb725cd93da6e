import { PenumbraError } from '../errors.ts';

/**
 * The runs, and the images behind them: one place, or as many image files as there are.
 * @throws `usage/paths` where one of them is missing
 */
export function dividePaths(
  paths: readonly string[],
  example: string,
): { readonly runs: string[]; readonly images: string[] } {
  const isImage = (path: string) => /\.(png|jpe?g)$/i.test(path);
  let first = paths.length - 1;
  if (isImage(paths[first]!)) while (first > 1 && isImage(paths[first - 1]!)) first--;
  if (first < 1) throw new PenumbraError('usage/paths', 'expected a run and images', { hint: example });
  return { runs: paths.slice(0, first), images: paths.slice(first) };
}
