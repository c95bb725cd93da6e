import type { Tensor } from '../tensor.ts';
import type { Module } from './module.ts';

/** What a hook is shown of a module's forward pass; it returns the output, or what shall stand in its place. */
export type ForwardHook = (output: Tensor, input: Tensor) => Tensor;

/**
 * Runs `body` while all that `module` gives passes through `hook`: PyTorch's forward hook, for the time of a call. Nobody else
 * keeps `input` or `output` alive. A module without a hook is as it was: there is nothing to pay for.
 */
export function hooked<T>(module: Module, hook: ForwardHook, body: () => T): T {
  const before = Object.getOwnPropertyDescriptor(module, 'forward');
  const forward = module.forward as (this: Module, input: Tensor, ...rest: unknown[]) => Tensor;
  const value = (input: Tensor, ...rest: unknown[]) => hook(forward.call(module, input, ...rest), input);
  Object.defineProperty(module, 'forward', { value, configurable: true, writable: true });
  try {
    return body();
  } finally {
    if (before === undefined) delete (module as { forward?: unknown }).forward;
    else Object.defineProperty(module, 'forward', before);
  }
}
