import { PenumbraError } from '../errors.ts';
import type { TensorMethods } from './generated/operators.ts';
import { type Handle, type Keeper, native, type TypedArray } from './native.ts';
import type { DType } from './types.ts';

/**
 * An n-dimensional array in LibTorch's memory. Operators are its methods (`x.matmul(w)`), generated from LibTorch's
 * own schemas; the same operators as functions are in `aten`.
 *
 * A tensor is released by the scope in which it was made (`tidy`, `using scope = new Scope()`), by `using`, or by
 * `dispose()`. One made outside every scope is released by the garbage collector.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are installed by operators.ts from the same schemas
export class Tensor implements Disposable {
  /** The native half. For the engine's own use, within one call: a release gives it to another tensor. */
  handle: Handle;
  /** The scope that will release this tensor; null where none will. */
  scope: Scope | null;
  /** Arrays over this tensor's memory, which end with it. */
  #views: [TypedArray, Keeper][] | null = null;

  constructor(handle: Handle) {
    this.handle = handle;
    this.scope = currentScope;
    if (currentScope !== null) currentScope.add(this);
  }

  /** Sizes of the dimensions. */
  get shape(): number[] {
    return native.shape(this.handle);
  }

  /** Steps between neighbours along each dimension, in elements. */
  get strides(): number[] {
    return native.strides(this.handle);
  }

  get dtype(): DType {
    return native.dtype(this.handle) as DType;
  }

  /** `cpu`, `cuda:0`, … */
  get device(): string {
    return native.device(this.handle);
  }

  /** Number of dimensions. */
  get ndim(): number {
    return native.shape(this.handle).length;
  }

  /** Number of elements. */
  get size(): number {
    return native.shape(this.handle).reduce((product, size) => product * size, 1);
  }

  get requiresGrad(): boolean {
    return native.requiresGrad(this.handle);
  }

  /** The gradient that `backward` accumulated, or null. */
  get grad(): Tensor | null {
    const handle = native.gradient(this.handle);
    return handle === null ? null : new Tensor(handle);
  }

  set grad(gradient: Tensor | null) {
    native.setGradient(this.handle, gradient === null ? null : gradient.handle);
  }

  /**
   * Adds the gradient of this tensor to `grad` of every leaf that it was computed from.
   * @param options.gradient the gradient of the end result with respect to this tensor; may be left out for a scalar
   */
  backward(options: { gradient?: Tensor; retainGraph?: boolean; createGraph?: boolean } = {}): void {
    native.backward(
      this.handle,
      options.gradient?.handle ?? null,
      options.retainGraph ?? false,
      options.createGraph ?? false,
    );
  }

  /** The value of a tensor with one element. */
  item(): number {
    const value = native.item(this.handle);
    return typeof value === 'number' ? value : Number(value);
  }

  /**
   * The elements as a typed array over the same memory (no copy): writes go both ways. The array ends with the tensor:
   * when that is released, by its scope too, the array has no elements any more. {@link toTypedArray} copies.
   * bfloat16 and float16 come as their raw 16 bits, int64 as a BigInt64Array.
   * @throws `torch/argument-value` for a tensor that is not contiguous or not on the CPU
   */
  data(): TypedArray {
    const [array, keeper] = native.data(this.handle);
    if (keeper !== null) (this.#views ??= []).push([array, keeper]);
    return array;
  }

  /** A copy of the elements as a typed array, from any device, layout and real dtype; halves come as floats. */
  toTypedArray(): TypedArray {
    return tidy(() => {
      const dtype = this.dtype;
      const plain: Tensor =
        dtype === 'bfloat16' || dtype === 'float16' ? this.to({ dtype: 'float32' }) : this;
      const host = plain.device === 'cpu' ? plain : plain.to({ device: 'cpu' });
      return native.copy(host.contiguous().handle);
    });
  }

  /** The elements as nested arrays of numbers. For small tensors: tests, printing. */
  toArray(): NestedNumbers {
    const flat = Array.from(this.toTypedArray() as ArrayLike<number | bigint>, Number);
    let level: NestedNumbers[] = flat;
    for (const size of this.shape.slice(1).reverse()) {
      const next: NestedNumbers[] = [];
      for (let i = 0; i < level.length; i += size) next.push(level.slice(i, i + size) as NestedNumbers);
      level = next;
    }
    return this.ndim === 0 ? flat[0]! : (level as NestedNumbers);
  }

  isContiguous(memoryFormat: 'contiguous_format' | 'channels_last' = 'contiguous_format'): boolean {
    return native.isContiguous(this.handle, memoryFormat);
  }

  /** Whether the memory was given back. Using a released tensor is an error that names the operator. */
  get released(): boolean {
    return this.handle === native.released;
  }

  /** Gives the memory back now, unless autograd or another tensor still needs it. Twice is harmless. */
  dispose(): void {
    const handle = this.handle;
    this.handle = native.released;
    if (this.#views !== null) {
      for (const [array, keeper] of this.#views) native.detach(array, keeper);
      this.#views = null;
    }
    native.release(handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What `console.log` shows: type, shape and values. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    if (this.released) return String(this);
    const values = printer(this);
    return `${this}${values.includes('\n') ? '\n' : ' '}${values}`;
  }

  toString(): string {
    if (this.released) return 'Tensor(released)';
    return `Tensor(${this.dtype}[${this.shape.join(', ')}]${this.device === 'cpu' ? '' : ` on ${this.device}`})`;
  }
}

export interface Tensor extends TensorMethods {}

export type NestedNumbers = number | NestedNumbers[];

let printer: (tensor: Tensor) => string = () => '';

/** Says how values are printed: that needs operators, which stand on this file. Called once. */
export function setPrinter(format: (tensor: Tensor) => string): void {
  printer = format;
}

let currentScope: Scope | null = null;

/**
 * Releases, when it ends, every tensor that was made in it and not kept:
 *
 * ```ts
 * using scope = new Scope();
 * const loss = model.forward(x).sum();
 * ```
 *
 * Scopes nest and must end in the reverse order of their beginning; none may stay open across an `await`.
 */
export class Scope implements Disposable {
  readonly #outer: Scope | null;
  #tensors: Tensor[] = [];
  #compactAt = 1024;
  #ended = false;

  constructor() {
    this.#outer = currentScope;
    currentScope = this;
  }

  /** For `Tensor`'s constructor. */
  add(tensor: Tensor): void {
    this.#tensors.push(tensor);
    if (this.#tensors.length < this.#compactAt) return;
    // A long loop inside one scope must not remember what it has released long ago.
    this.#tensors = this.#tensors.filter((other) => !other.released && other.scope === this);
    this.#compactAt = Math.max(1024, 2 * this.#tensors.length);
  }

  /** Hands `tensor` to the enclosing scope. */
  pass(tensor: Tensor): void {
    if (tensor.scope !== this) return;
    tensor.scope = this.#outer;
    this.#outer?.add(tensor);
  }

  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    if (currentScope !== this) {
      throw new PenumbraError(
        'torch/scope-order',
        'a scope ended while another one inside it was still open',
        {
          hint: 'end scopes in reverse order, and keep none open across an await',
        },
      );
    }
    // Outer scopes that should have ended after this one, but tried before, end with it.
    for (let scope: Scope | null = this; scope !== null; scope = currentScope) {
      if (!scope.#ended) break;
      currentScope = scope.#outer;
      for (const tensor of scope.#tensors) if (tensor.scope === scope) tensor.dispose();
      scope.#tensors = [];
    }
  }
}

/**
 * Runs `body` and releases every tensor that it made, except those it returns (alone, or inside arrays, maps and
 * plain objects) and those it kept. Returned tensors belong to the enclosing scope.
 * @throws `torch/async-scope` if `body` returns a promise
 */
export function tidy<T>(body: () => T): T {
  using scope = new Scope();
  const result = body();
  if (result instanceof Promise) {
    throw new PenumbraError('torch/async-scope', 'tidy() was given an asynchronous function', {
      hint: 'await first, then call tidy() with the synchronous part',
    });
  }
  forEachTensor(result, (tensor) => scope.pass(tensor));
  return result;
}

/** Takes `tensor` out of every scope: it lives until `dispose()` or until nothing refers to it. */
export function keep<T extends Tensor>(tensor: T): T {
  tensor.scope = null;
  return tensor;
}

/** Releases every tensor found in `value`. */
export function disposeAll(value: unknown): void {
  forEachTensor(value, (tensor) => tensor.dispose());
}

function forEachTensor(value: unknown, visit: (tensor: Tensor) => void): void {
  if (typeof value !== 'object' || value === null) return;
  if (value instanceof Tensor) visit(value);
  else if (Array.isArray(value)) for (const item of value) forEachTensor(item, visit);
  else if (value instanceof Map) for (const item of value.values()) forEachTensor(item, visit);
  else if (Object.getPrototypeOf(value) === Object.prototype)
    for (const item of Object.values(value)) forEachTensor(item, visit);
}
