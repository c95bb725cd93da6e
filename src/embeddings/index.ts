/**
 * What a network's penultimate features look like: how well they separate classes, with intervals, and their pictures in
 * the plane. Functions of arrays on the engine, and one file format; knows nothing of runs and data sets.
 */
export type { Metric } from './distances.ts';
export {
  type FeatureFormat,
  type FeatureTable,
  featuresFormat,
  readFeatures,
  writeFeatures,
} from './file.ts';
export {
  type ClassEmbedding,
  EMBEDDING_FIGURES,
  type EmbeddingFigure,
  type EmbeddingMeasures,
  type EmbeddingOptions,
  type EmbeddingSummary,
  measureEmbeddings,
  summarizeEmbeddings,
} from './measures.ts';
export { type Neighbours, nearestNeighbours, needNeighbours } from './neighbours.ts';
export { type PrincipalComponents, principalComponents } from './pca.ts';
export { PROJECTIONS, type Projection, type ProjectOptions, project } from './project.ts';
export { sampleFor } from './sample.ts';
export { trustworthiness } from './trustworthiness.ts';
