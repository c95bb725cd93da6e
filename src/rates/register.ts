import { registerExtractor } from '../reports/extract/registry.ts';

/** Its name among the extractors. Loaded when it is asked for: the other extractors do without the engine. */
registerExtractor('rgn', async (request) => (await import('./extractor.ts')).openRatesExtractor(request));
