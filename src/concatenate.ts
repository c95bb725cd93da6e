/** An array of numbers of one width. */
type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;

/** Parts one after another; of the type of the first, or of `type` where there may be none. */
export function concatenate<A extends Numbers>(
  parts: readonly A[],
  type = parts[0]!.constructor as new (
    length: number,
  ) => A,
): A {
  const result = new type(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
