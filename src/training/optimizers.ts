/** The optimizers that a configuration can name, made. */
import type { Network } from '../models/index.ts';
import { Adam, AdamW, Lion, type Optimizer, RMSprop, SGD } from '../torch/optim/index.ts';
import type { OptimizerName } from './optimizer-names.ts';

interface Settings {
  readonly learningRate: number;
  /** Of SGD. */
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
}

const makers: Record<OptimizerName, (network: Network, settings: Settings) => Optimizer> = {
  sgd: (network, { learningRate, momentum, nesterov, weightDecay }) =>
    new SGD(network.namedParameters(), { learningRate, momentum, nesterov, weightDecay }),
  adamw: (network, { learningRate, weightDecay }) =>
    new AdamW(network.namedParameters(), { learningRate, weightDecay }),
  adam: (network, { learningRate, weightDecay }) =>
    new Adam(network.namedParameters(), { learningRate, weightDecay }),
  rmsprop: (network, { learningRate, weightDecay }) =>
    new RMSprop(network.namedParameters(), { learningRate, weightDecay }),
  lion: (network, { learningRate, weightDecay }) =>
    new Lion(network.namedParameters(), { learningRate, weightDecay }),
};

export function makeOptimizer(config: Settings & { optimizer: OptimizerName }, network: Network): Optimizer {
  return makers[config.optimizer](network, config);
}
