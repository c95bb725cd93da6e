import { PenumbraError } from '../errors.ts';
import type { ModelOptions } from './classifier.ts';
import type { Network } from './network.ts';
import { OutputLayer } from './output-layer.ts';

const NAME = 'doubt';

/**
 * Puts a second last layer beside a network's: from the same input, the logits of the doubt that a report will express of
 * each finding, [N, classes]. It starts at zero, draws nothing, and leaves every other number of the network as it is.
 * @throws `models/doubt` where the network does not give the input of its last layer
 */
export function withDoubt(model: Network, { classes, generator }: ModelOptions): Network {
  const { featureSize, head, features, forwardInputs } = model;
  if (featureSize === undefined || head === undefined || !features || forwardInputs) {
    throw new PenumbraError(
      'models/doubt',
      'this network does not give the input of its last layer, from which its doubt could be predicted',
      {
        hint: 'a network of images with `head`, `featureSize` and `features` does; or leave doubtWeight at 0',
      },
    );
  }
  const layer = new OutputLayer(featureSize, classes, { generator });
  model.child(NAME, layer);
  const additions = [...(model.additions ?? []), `${NAME}.weight`, `${NAME}.bias`];
  return Object.assign(model, { doubt: NAME, additions });
}
