/** Virtual joint radiographs of known severity, and virtual readers whose posterior is known. */
export { drawPhantoms, type PhantomOptions, type Phantoms, severityOf } from './phantom.ts';
export { DEFAULT_READER_NOISE, GRADE_THRESHOLDS, GRADES, gradePosterior } from './readers.ts';
