/** Whole epochs of a share of them; at least the last epoch is no warm-up. */
export function warmUpEpochs(epochs: number, share: number): number {
  return Math.min(Math.round(epochs * share), epochs - 1);
}
