/** Calibrators of findings: one map for each finding, fitted on what is known of it. */
import { registerFindingCalibrator } from './calibrator.ts';
import { findingHistogram } from './histogram.ts';
import { findingIsotonic } from './isotonic.ts';
import { platt } from './platt.ts';
import { findingTemperature } from './temperature.ts';

registerFindingCalibrator('temperature', findingTemperature);
registerFindingCalibrator('platt', platt);
registerFindingCalibrator('isotonic', findingIsotonic);
registerFindingCalibrator('histogram', findingHistogram);

export {
  type FindingCalibrator,
  type FindingMethod,
  type FindingReport,
  type FindingSamples,
  type FindingValues,
  findingCalibratorLabel,
  findingCalibratorNames,
  fitFindingCalibrator,
  loadFindingCalibrator,
  registerFindingCalibrator,
  type SavedFindingCalibrator,
} from './calibrator.ts';
