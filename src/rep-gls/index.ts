/** From reports and images to a judged classifier: what ties extraction, data set and training together. */
export { clinicDials, clinicParts, type DrawClinicOptions, drawClinic } from './clinic.ts';
export { type GenerateOptions, trainGenerator } from './generate.ts';
export { type Heard, type HearOptions, hearReports } from './hear.ts';
export { REP_GLS } from './names.ts';
