import { PenumbraError } from '../../errors.ts';
import { noGrad } from '../autograd.ts';
import { native } from '../native.ts';
import { keep, type Tensor, tidy } from '../tensor.ts';
import type { Device, MemoryFormat } from '../types.ts';

/** Names as in PyTorch's `state_dict`: `layer1.0.conv1.weight`. */
export type StateDict = Map<string, Tensor>;

export interface LoadOptions {
  /** Whether missing and unexpected names are errors (the default), or only reported. */
  strict?: boolean;
}

export interface LoadReport {
  /** Names that the module has and the state did not. */
  missing: string[];
  /** Names that the state had and the module has not. */
  unexpected: string[];
  /** Names whose shapes differed; only where `strict` is off. */
  mismatched: string[];
}

/**
 * A part of a network: named parameters (trained), named buffers (saved, not trained) and named children.
 * Subclasses register each of them once, in the order of PyTorch's, and write `forward`.
 */
export abstract class Module {
  /** Training mode: batch norm uses the batch's statistics and dropout drops. */
  training = true;
  private readonly ownParameters = new Map<string, Tensor>();
  private readonly ownBuffers = new Map<string, Tensor>();
  private readonly children = new Map<string, Module>();

  abstract forward(input: Tensor): Tensor;

  /** What computes this layer and the next in one go; null where nothing does. */
  joined(_next: Layer): ((input: Tensor) => Tensor) | null {
    return null;
  }

  protected parameter(name: string, tensor: Tensor): Tensor {
    this.ownParameters.set(name, keep(tensor.requires_grad_()));
    return tensor;
  }

  protected buffer(name: string, tensor: Tensor): Tensor {
    this.ownBuffers.set(name, keep(tensor));
    return tensor;
  }

  /** Makes a module a part of this one, under a name; from outside as PyTorch's `add_module`. */
  child<M extends Module>(name: string, module: M): M {
    this.children.set(name, module);
    return module;
  }

  /**
   * The module of a dotted name: `layer1.0.conv1`.
   * @throws `torch/module` where there is none
   */
  submodule(name: string): Module {
    let current: Module = this;
    for (const step of name.split('.')) {
      const next = current.children.get(step);
      if (next === undefined) {
        throw new PenumbraError('torch/module', `there is no module '${name}': '${step}' is not known`, {
          hint: `one of: ${[...current.children.keys()].join(', ')}`,
        });
      }
      current = next;
    }
    return current;
  }

  *modules(): Generator<Module> {
    yield this;
    for (const child of this.children.values()) yield* child.modules();
  }

  *namedParameters(prefix = ''): Generator<[string, Tensor]> {
    for (const [name, tensor] of this.ownParameters) yield [prefix + name, tensor];
    for (const [name, child] of this.children) yield* child.namedParameters(`${prefix}${name}.`);
  }

  *namedBuffers(prefix = ''): Generator<[string, Tensor]> {
    for (const [name, tensor] of this.ownBuffers) yield [prefix + name, tensor];
    for (const [name, child] of this.children) yield* child.namedBuffers(`${prefix}${name}.`);
  }

  parameters(): Tensor[] {
    return Array.from(this.namedParameters(), ([, tensor]) => tensor);
  }

  /** Number of trained numbers. */
  get parameterCount(): number {
    return this.parameters().reduce((sum, tensor) => sum + tensor.size, 0);
  }

  train(training = true): this {
    for (const module of this.modules()) module.training = training;
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  /** The tensors themselves, not copies. */
  stateDict(): StateDict {
    return new Map(this.ownState(''));
  }

  private *ownState(prefix: string): Generator<[string, Tensor]> {
    for (const [name, tensor] of this.ownParameters) yield [prefix + name, tensor];
    for (const [name, tensor] of this.ownBuffers) yield [prefix + name, tensor];
    for (const [name, child] of this.children) yield* child.ownState(`${prefix}${name}.`);
  }

  /**
   * Copies `state` into this module's own tensors.
   * @throws `torch/state-dict` with every name at fault, before anything is changed
   */
  loadStateDict(state: StateDict, options: LoadOptions = {}): LoadReport {
    const own = this.stateDict();
    const report: LoadReport = {
      missing: [...own.keys()].filter((name) => !state.has(name)),
      unexpected: [...state.keys()].filter((name) => !own.has(name)),
      mismatched: [...own]
        .filter(([name, tensor]) => shapesDiffer(tensor, state.get(name)))
        .map(([name]) => name),
    };
    if (
      (options.strict ?? true) &&
      report.missing.length + report.unexpected.length + report.mismatched.length > 0
    ) {
      const parts = [
        listed('missing', report.missing),
        listed('unexpected', report.unexpected),
        listed(
          'of another shape',
          report.mismatched.map(
            (name) =>
              `${name} (${state.get(name)!.shape.join('×')}, expected ${own.get(name)!.shape.join('×')})`,
          ),
        ),
      ].filter((part) => part !== '');
      throw new PenumbraError('torch/state-dict', `the weights do not fit the network: ${parts.join('; ')}`, {
        hint: 'these are the weights of another network, or of another number of classes',
      });
    }
    noGrad(() => {
      for (const [name, tensor] of own)
        if (state.has(name) && !report.mismatched.includes(name)) tensor.copy_(state.get(name)!);
    });
    return report;
  }

  /**
   * Moves every tensor to a device, every one of floating point to a type, and every one of four dimensions to a memory
   * format. Gradients stay what they are: forget them before a change of type.
   */
  to(options: { device?: Device; dtype?: 'float32' | 'float64'; memoryFormat?: MemoryFormat }): this {
    tidy(() =>
      noGrad(() => {
        for (const tensor of this.stateDict().values()) {
          const moved = tensor.detach().to({
            device: options.device ?? null,
            dtype: (tensor.is_floating_point() ? options.dtype : null) ?? null,
            memory_format: tensor.ndim === 4 ? (options.memoryFormat ?? null) : null,
          });
          native.setData(tensor.handle, moved.handle);
        }
      }),
    );
    return this;
  }

  /** Forgets all gradients. */
  zeroGrad(): void {
    for (const tensor of this.parameters()) tensor.grad = null;
  }

  /** Releases every parameter and buffer. */
  dispose(): void {
    for (const tensor of this.stateDict().values()) {
      tensor.grad = null;
      tensor.dispose();
    }
  }
}

/** What `chain` can apply: a module, or a plain function of one tensor. */
export type Layer = Module | ((input: Tensor) => Tensor);

/**
 * Applies layers one after another and lets go of each intermediate result as soon as the next one exists, so that
 * only what autograd has saved stays in memory. The input itself is left alone. Two layers that can be computed at once
 * (`Module.joined`) are.
 */
export function chain(input: Tensor, ...layers: readonly Layer[]): Tensor {
  let current = input;
  for (let i = 0; i < layers.length; i++) {
    const layer = layers[i]!;
    const following = layers[i + 1];
    const joined = following && layer instanceof Module ? layer.joined(following) : null;
    if (joined !== null) i++;
    const next = (joined ?? apply(layer))(current);
    if (next !== current && current !== input) current.dispose();
    current = next;
  }
  return current;
}

function apply(layer: Layer): (input: Tensor) => Tensor {
  return layer instanceof Module ? (input) => layer.forward(input) : layer;
}

/**
 * Layers in a row, named by their position or by the keys of a record. A plain function takes a position, and has no
 * name, as it has no state.
 */
export class Sequential extends Module {
  private readonly layers: readonly Layer[];

  constructor(...layers: Layer[] | [Readonly<Record<string, Layer>>]) {
    super();
    const [first] = layers;
    const named =
      typeof first === 'object' && !(first instanceof Module) ? first : (layers as readonly Layer[]);
    this.layers = Object.values(named);
    for (const [name, layer] of Object.entries(named)) if (layer instanceof Module) this.child(name, layer);
  }

  override forward(input: Tensor): Tensor {
    return chain(input, ...this.layers);
  }
}

function shapesDiffer(own: Tensor, other: Tensor | undefined): boolean {
  return other !== undefined && own.shape.join() !== other.shape.join();
}

function listed(what: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const shown = names.slice(0, 5).join(', ');
  return `${what}: ${shown}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
}
