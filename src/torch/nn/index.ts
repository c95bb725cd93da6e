export { kaimingNormal_, uniformFanIn_ } from './init.ts';
export { BatchNorm2d, Conv2d, type Conv2dOptions, Linear } from './layers.ts';
export {
  chain,
  type Layer,
  type LoadOptions,
  type LoadReport,
  Module,
  Sequential,
  type StateDict,
} from './module.ts';
