/**
 * Virtual joint radiographs of known severity, and virtual readers whose posterior is known; and a chest clinic with
 * patients, findings, readers and reports.
 */
export * from './clinic/index.ts';
export { drawPhantoms, type PhantomOptions, type Phantoms, severityOf } from './phantom.ts';
export { DEFAULT_READER_NOISE, GRADE_THRESHOLDS, GRADES, gradePosterior } from './readers.ts';
