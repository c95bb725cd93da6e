/**
 * Virtual joint radiographs of known severity, and virtual readers whose posterior is known; an atlas of 165 classes; and a
 * chest clinic with patients, findings, readers and reports.
 */
export * from './atlas/index.ts';
export * from './clinic/index.ts';
export type { Drawing, DrawingOptions } from './drawing.ts';
export { drawPhantoms, type PhantomOptions, type Phantoms, severityOf } from './phantom.ts';
export { DEFAULT_READER_NOISE, GRADE_THRESHOLDS, GRADES, gradePosterior } from './readers.ts';
