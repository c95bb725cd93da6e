/** Results as HTML for people: a comparison, and a whole study. */
export { renderHtml } from './compare.ts';
export { renderStudyHtml } from './study.ts';
