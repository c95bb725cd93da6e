/** A chest clinic whose truth is known: patients, radiographs, readers, reports. `docs/chest-clinic.md` has its model. */
export { type Case, type Part, seeClinic, splitOf } from './clinic.ts';
export { ARTEFACT, type Evidence, evidenceOf, Posterior } from './evidence.ts';
export { CLINIC_FINDINGS, CLINIC_NAMES, type ClinicFinding, latentIndex } from './findings.ts';
export { NO_LABEL } from './labeler.ts';
export { decodeMask, encodeMask } from './masks.ts';
export { type ClinicOptions, DIALS, type Dials, dialsOf } from './options.ts';
export { MASK_THRESHOLD } from './radiograph.ts';
export { type Reader, SILENT, staffOf } from './readers.ts';
