/** What is measured of prediction sets, wherever they were calibrated. */
import { shownAs } from '../shown.ts';

export const COVERAGE = shownAs(
  'coverage',
  'Coverage',
  ['%', 1, 'zero'],
  'Share of images whose label is in their set.',
);
export const SIZE = shownAs('size', 'Set size', ['', 2, 'lower'], 'Classes in a set, mean over images.');
