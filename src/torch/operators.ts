import { methodNames, type Operators, operatorNames } from './generated/operators.ts';
import { Generator } from './generator.ts';
import { type Handle, native } from './native.ts';
import { Tensor } from './tensor.ts';
import type { Complex } from './types.ts';

/**
 * Every ATen operator of the loaded LibTorch, by its schema name. Positional arguments come in the schema's order;
 * any of those with a default, and all keyword-only ones, can be given in a trailing object instead:
 *
 * ```ts
 * aten.sum(x, [1], true);
 * aten.sum(x, [1], { keepdim: true, dtype: 'float64' });
 * ```
 *
 * Overloads are chosen by the types of the arguments. An in-place operator returns the tensor it was given.
 */
export const aten: Operators = Object.fromEntries(
  operatorNames.map((name) => [name, operator(name)]),
) as unknown as Operators;

/** Gives `Tensor` its operators as methods. Called once, when the package is loaded. */
export function installMethods(): void {
  for (const name of methodNames) {
    const call = aten[name as keyof Operators] as (...args: unknown[]) => unknown;
    const method = function (this: Tensor, a?: unknown, b?: unknown, c?: unknown, ...rest: unknown[]) {
      // biome-ignore lint/complexity/noArguments: an argument given as undefined counts
      switch (arguments.length) {
        case 0:
          return call(this);
        case 1:
          return call(this, a);
        case 2:
          return call(this, a, b);
        case 3:
          return call(this, a, b, c);
        default:
          return call(this, a, b, c, ...rest);
      }
    };
    Object.defineProperty(Tensor.prototype, name, { value: method, writable: true, configurable: true });
  }
}

// Written out for the usual numbers of arguments: collecting and spreading them costs a quarter of a small call.
function operator(name: string): (...args: unknown[]) => unknown {
  let call: (...args: unknown[]) => unknown = (...args) => {
    call = native.operator(name);
    return call(...args);
  };
  return function (a?: unknown, b?: unknown, c?: unknown, ...rest: unknown[]) {
    let result: unknown;
    // biome-ignore lint/complexity/noArguments: as above
    switch (arguments.length) {
      case 0:
        return fromNative(call(), []);
      case 1:
        result = call(toNative(a));
        break;
      case 2:
        result = call(toNative(a), toNative(b));
        break;
      case 3:
        result = call(toNative(a), toNative(b), toNative(c));
        break;
      default:
        result = call(toNative(a), toNative(b), toNative(c), ...rest.map(toNative));
    }
    if (typeof result !== 'object' || result === null) return result;
    if (a instanceof Tensor && result === a.handle) return a;
    if (c === undefined && (b === undefined || b instanceof Tensor) && a instanceof Tensor)
      return fromNative(result, b === undefined ? [] : [b]);
    return fromNative(result, [a, b, c, ...rest]);
  };
}

function toNative(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return value instanceof Tensor ? value.handle : objectToNative(value);
}

function objectToNative(value: object): unknown {
  if (value instanceof Generator) return value.handle;
  if (Array.isArray(value)) return value.some(isHeld) ? value.map(toNative) : value;
  if (ArrayBuffer.isView(value)) return value;
  const options: Record<string, unknown> = {};
  for (const key in value) options[key] = toNative((value as Record<string, unknown>)[key]);
  return options;
}

function isHeld(value: unknown): boolean {
  return value instanceof Tensor;
}

/** A tensor among `args` that an operator wrote to and returned comes back as itself: no two may share a handle. */
function fromNative(result: unknown, args: readonly unknown[]): unknown {
  if (typeof result !== 'object' || result === null) return result;
  if (Array.isArray(result)) return result.map((item) => fromNative(item, args));
  for (const value of args) {
    if (typeof value !== 'object' || value === null) continue;
    if (value instanceof Tensor) {
      if (value.handle === result) return value;
    } else if (!ArrayBuffer.isView(value)) {
      for (const held of Object.values(value))
        if (held instanceof Tensor && held.handle === result) return held;
    }
  }
  return (result as Partial<Complex>).re === undefined ? new Tensor(result as Handle) : result;
}
