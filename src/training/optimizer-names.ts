/** Optimizers by name, as people write them. Apart from their making, so that help and checks need no engine. */
export const optimizerTitles = {
  sgd: 'SGD',
  adamw: 'AdamW',
  adam: 'Adam',
  rmsprop: 'RMSprop',
  lion: 'Lion',
} as const;

export type OptimizerName = keyof typeof optimizerTitles;

export const optimizerNames = Object.keys(optimizerTitles) as [OptimizerName, ...OptimizerName[]];
