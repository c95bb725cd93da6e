/** An atlas of 165 classes in RadImageNet's manner: modality, anatomy, pathology; long-tailed, with pairs that are nearly alike. */
export { type Atlas, type AtlasOptions, DEFAULT_ATLAS_NOISE, drawAtlas } from './atlas.ts';
export { ATLAS_CLASSES, PAIRS, REGIONS } from './classes.ts';
