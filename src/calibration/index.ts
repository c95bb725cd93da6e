/**
 * Calibration after training: maps from logits to probabilities that can be believed, fitted on validation samples.
 * Pure functions of arrays; knows nothing of runs, files or tensors.
 */
export type { CalibratorReport } from './calibrator.ts';
export type { HistogramOptions, HistogramParameters } from './histogram.ts';
export type { IsotonicOptions, IsotonicParameters } from './isotonic.ts';
export {
  type Calibrator,
  type CalibratorName,
  type CalibratorOptions,
  type CalibratorParameters,
  calibratorLabel,
  calibratorNames,
  fitCalibrator,
  loadCalibrator,
  type SavedCalibrator,
} from './registry.ts';
export { logitsOf, softmax } from './softmax.ts';
export type { TemperatureOptions, TemperatureParameters } from './temperature.ts';
export type { VectorOptions, VectorParameters } from './vector.ts';
