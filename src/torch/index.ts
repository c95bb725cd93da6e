import { installMethods } from './operators.ts';
import { formatValues } from './print.ts';
import { setPrinter } from './tensor.ts';

installMethods();
setPrinter(formatValues);

export { autocast, enableGrad, grad, noGrad } from './autograd.ts';
export { fromTypedArray, tensor } from './create.ts';
export * as distributed from './distributed/index.ts';
export {
  type CudaSwitches,
  type EngineInfo,
  engineInfo,
  getThreads,
  type MemoryStatistics,
  memoryStatistics,
  resetPeak,
  setCuda,
  setDeterministic,
  setMemoryLimit,
  setThreads,
  trimMemory,
} from './engine.ts';
export { Generator } from './generator.ts';
export * as nn from './nn/index.ts';
export { aten } from './operators.ts';
export * as optim from './optim/index.ts';
export { readSafetensors, type Safetensors, writeSafetensors } from './safetensors.ts';
export { disposeAll, keep, type NestedNumbers, Scope, Tensor, tidy } from './tensor.ts';
export type { Complex, Device, DType, Layout, MemoryFormat, Scalar } from './types.ts';
