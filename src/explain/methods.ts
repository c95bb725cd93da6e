import type { Network } from '../models/index.ts';
import { Named } from '../named.ts';
import type { Tensor } from '../torch/index.ts';
import { type GradCamOptions, gradCam, type Maps, type Wanted } from './grad-cam.ts';
import { attentionRollout } from './rollout.ts';

/** A way to explain outputs by maps. */
export interface ExplainMethod {
  /** As `--method` takes it. */
  readonly name: string;
  /** As people read it. */
  readonly label: string;
  /** Whether it can explain a network. */
  serves(model: Network): boolean;
  /** @param model in evaluation mode, float32 */
  explain(model: Network, images: Tensor, wanted: Wanted, options: GradCamOptions): Maps;
}

const methods = new Named<ExplainMethod>(
  {
    area: 'explain',
    one: 'a method',
    unknown: 'method',
    hint: 'write it as { name, label, serves, explain }',
  },
  ({ explain }) => typeof explain === 'function',
);

/**
 * Makes a method known by its name.
 * @throws `explain/name` for a name that is taken
 */
export function registerExplainMethod(method: ExplainMethod): void {
  methods.register(method);
}

registerExplainMethod({
  name: 'grad-cam',
  label: 'Grad-CAM',
  serves: () => true,
  explain: gradCam,
});
registerExplainMethod({
  name: 'rollout',
  label: 'attention rollout',
  serves: ({ places }) => places?.attentions !== undefined,
  explain: attentionRollout,
});

export function explainMethods(): readonly string[] {
  return methods.names();
}

/** @throws `explain/unknown` */
export function explainMethod(name: string): ExplainMethod {
  return methods.get(name);
}
