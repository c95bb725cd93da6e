import { PenumbraError } from '../../errors.ts';
import { noGrad } from '../autograd.ts';
import { aten } from '../operators.ts';
import { disposeAll, keep, type Tensor, tidy } from '../tensor.ts';

/** Tensors that a step needs beside the parameters, by name: `momentum.layer1.0.conv1.weight`. */
export type OptimizerState = Map<string, Tensor>;

export interface ParameterGroup {
  parameters: ReadonlyMap<string, Tensor>;
  /** L2 penalty of this group; the optimizer's own unless given. */
  weightDecay?: number;
  /** What the optimizer's learning rate is multiplied by for this group: a body that is trained already moves slowly. Default 1. */
  learningRateFactor?: number;
}

/** Parameters of one group that have a gradient now, with their state, as the fused operators want them. */
export interface Slice {
  names: string[];
  parameters: Tensor[];
  gradients: Tensor[];
  weightDecay: number;
  learningRate: number;
}

/**
 * Changes parameters by their gradients. The learning rate is a plain field: a schedule sets it before each step.
 * All updates run through LibTorch's fused operators: one call for a whole network.
 */
export abstract class Optimizer {
  learningRate: number;
  private readonly groups: readonly ParameterGroup[];
  private readonly weightDecay: number;
  protected readonly state: OptimizerState = new Map();

  constructor(
    parameters: Iterable<[string, Tensor]> | readonly ParameterGroup[],
    options: { learningRate: number; weightDecay?: number },
  ) {
    if (!(options.learningRate >= 0)) {
      throw new PenumbraError(
        'torch/optimizer',
        `learning rate: expected a number ≥ 0, got ${options.learningRate}`,
      );
    }
    const list: readonly unknown[] = Array.isArray(parameters) ? parameters : [...parameters];
    const grouped = list.length > 0 && !Array.isArray(list[0]);
    this.groups = grouped
      ? (list as ParameterGroup[])
      : [{ parameters: new Map(list as [string, Tensor][]) }];
    this.learningRate = options.learningRate;
    this.weightDecay = options.weightDecay ?? 0;
    if (this.groups.every((group) => group.parameters.size === 0)) {
      throw new PenumbraError('torch/optimizer', 'there is nothing to optimise: no parameters were given');
    }
  }

  /** One update of every parameter that has a gradient. */
  step(): void {
    tidy(() =>
      noGrad(() => {
        for (const group of this.groups) {
          const slice: Slice = {
            names: [],
            parameters: [],
            gradients: [],
            weightDecay: group.weightDecay ?? this.weightDecay,
            learningRate: this.learningRate * (group.learningRateFactor ?? 1),
          };
          for (const [name, parameter] of group.parameters) {
            const gradient = parameter.grad;
            if (gradient === null) continue;
            slice.names.push(name);
            slice.parameters.push(parameter);
            slice.gradients.push(gradient);
          }
          if (slice.names.length > 0) this.update(slice);
        }
      }),
    );
  }

  protected abstract update(slice: Slice): void;

  /** The state tensor `kind.name` of each parameter, made at its first step. */
  protected slots(kind: string, slice: Slice, make: (parameter: Tensor) => Tensor): Tensor[] {
    return slice.parameters.map((parameter, i) => {
      const key = `${kind}.${slice.names[i]}`;
      let tensor = this.state.get(key);
      if (tensor === undefined) {
        tensor = keep(make(parameter));
        this.state.set(key, tensor);
      }
      return tensor;
    });
  }

  /** Forgets all gradients. */
  zeroGrad(): void {
    for (const group of this.groups) for (const parameter of group.parameters.values()) parameter.grad = null;
  }

  /** Those that are there, of all parameters in order: the tensors themselves. */
  gradients(): Tensor[] {
    return this.groups.flatMap(({ parameters }) =>
      Array.from(parameters.values(), ({ grad }) => grad).filter((grad) => grad !== null),
    );
  }

  /** Multiplies every gradient: what was added up over batches becomes their mean. */
  scaleGradients(factor: number): void {
    noGrad(() => aten._foreach_mul_(this.gradients(), factor));
  }

  /** The tensors themselves, not copies. */
  stateDict(): OptimizerState {
    return new Map(this.state);
  }

  /**
   * Replaces the whole state by copies of `state`.
   * @throws `torch/optimizer` if a name belongs to no parameter or a shape differs
   */
  loadStateDict(state: OptimizerState): void {
    const parameters = new Map(this.groups.flatMap((group) => [...group.parameters]));
    const owner = (key: string) => parameters.get(key.slice(key.indexOf('.') + 1));
    for (const [key, { shape }] of state) {
      const parameter = owner(key);
      if (parameter === undefined) {
        throw new PenumbraError(
          'torch/optimizer',
          `the optimizer's state names an unknown parameter: ${key}`,
          {
            hint: 'the state was saved by another network',
          },
        );
      }
      if (shape.length > 0 && shape.join() !== parameter.shape.join()) {
        throw new PenumbraError(
          'torch/optimizer',
          `the optimizer's state ${key} is ${shape.join('×')}, and its parameter ${parameter.shape.join('×')}`,
          { hint: 'the state was saved by another network' },
        );
      }
    }
    disposeAll(this.state);
    this.state.clear();
    tidy(() => {
      for (const [key, tensor] of state) {
        const parameter = owner(key)!.detach();
        const { dtype } = tensor;
        // Elementwise state lies as its parameter does (channels-last); a step count is a scalar.
        const copy =
          tensor.ndim > 0
            ? parameter.empty_like({ dtype })
            : aten.empty([], { dtype, device: parameter.device });
        this.state.set(key, keep(copy.copy_(tensor)));
      }
    });
  }

  dispose(): void {
    disposeAll(this.state);
    this.state.clear();
  }
}
