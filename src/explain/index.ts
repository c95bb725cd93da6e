/**
 * Where in an image a network's output comes from: maps, how they agree with what is known to be there, and pictures of
 * them. Functions of networks, tensors and arrays; nothing of runs or training.
 */
export { heatColour } from './colour-map.ts';
export { type GradCamOptions, gradCam, type Maps, type Wanted } from './grad-cam.ts';
export { type ExplainMethod, explainMethod, explainMethods, registerExplainMethod } from './methods.ts';
export { type ExplainPage, explainHtml, type PageCase } from './page.ts';
export {
  type Grid,
  type Panel,
  panelJpeg,
  panelPixels,
  resizedMap,
  type Shown,
  SIDE,
  sideBySidePng,
} from './picture.ts';
export { layerOf } from './places.ts';
export { attentionRollout } from './rollout.ts';
export { agreement, agreementOf, type MapAgreement, type Score, type Scores, scoreColumns } from './score.ts';
export { explainSubset, joinMaps, type SubsetMaps, type SubsetOptions } from './subset.ts';
