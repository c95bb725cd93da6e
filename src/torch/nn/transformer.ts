import type { Generator } from '../generator.ts';
import { type Tensor, tidy } from '../tensor.ts';
import { type AttentionOptions, MultiheadAttention } from './attention.ts';
import { Dropout, LayerNorm, Linear } from './layers.ts';
import { Module, Sequential } from './module.ts';

export interface TransformerOptions {
  /** Draws the weights. */
  generator: Generator;
  /** Width of the perceptron's hidden layer. Default: four times the width. */
  hidden?: number;
  /** Share of elements dropped behind attention and perceptron, in training. Default 0. */
  dropout?: number;
  /** Draws what is dropped; `generator` unless given. */
  dropoutGenerator?: Generator;
  /** Layer norm before attention and perceptron instead of behind the shortcut (Xiong et al. 2020). Default true. */
  normFirst?: boolean;
  /** Added to the variance in the layer norms. Default 1e-5. */
  eps?: number;
}

/**
 * A layer of the transformer's encoder over [N, length, width] (Vaswani et al. 2017), with the parameters of PyTorch's
 * `nn.TransformerEncoderLayer` and GELU in its perceptron.
 */
export class TransformerEncoderLayer extends Module {
  private readonly attention: MultiheadAttention;
  private readonly linear1: Linear;
  private readonly linear2: Linear;
  private readonly norm1: LayerNorm;
  private readonly norm2: LayerNorm;
  private readonly dropout: Dropout;
  private readonly normFirst: boolean;

  /** @param width a multiple of `heads` */
  constructor(width: number, heads: number, options: TransformerOptions) {
    super();
    const { generator, hidden = 4 * width } = options;
    this.normFirst = options.normFirst ?? true;
    this.attention = this.child('self_attn', new MultiheadAttention(width, heads, { generator }));
    this.linear1 = this.child('linear1', new Linear(width, hidden, { generator }));
    this.linear2 = this.child('linear2', new Linear(hidden, width, { generator }));
    this.norm1 = this.child('norm1', new LayerNorm(width, options));
    this.norm2 = this.child('norm2', new LayerNorm(width, options));
    this.dropout = this.child(
      'dropout',
      new Dropout(options.dropout ?? 0, { generator: options.dropoutGenerator ?? generator }),
    );
  }

  override forward(input: Tensor, options: Pick<AttentionOptions, 'mask'> = {}): Tensor {
    return tidy(() => {
      const attend = (x: Tensor) => this.dropout.forward(this.attention.forward(x, options));
      const think = (x: Tensor) =>
        this.dropout.forward(this.linear2.forward(this.dropout.forward(this.linear1.forward(x).gelu())));
      if (this.normFirst) {
        const between = input.add(attend(this.norm1.forward(input)));
        return between.add(think(this.norm2.forward(between)));
      }
      const between = this.norm1.forward(input.add(attend(input)));
      return this.norm2.forward(between.add(think(between)));
    });
  }
}

/** Layers one after another, and a last norm where they norm first: the names are those of `nn.TransformerEncoder`. */
export class TransformerEncoder extends Module {
  private readonly blocks: readonly TransformerEncoderLayer[];
  private readonly norm: LayerNorm | undefined;

  constructor(depth: number, width: number, heads: number, options: TransformerOptions) {
    super();
    this.blocks = Array.from({ length: depth }, () => new TransformerEncoderLayer(width, heads, options));
    this.child('layers', new Sequential(...this.blocks));
    if (options.normFirst ?? true) this.norm = this.child('norm', new LayerNorm(width, options));
  }

  /** @returns [N, length, width]; what stands at masked positions means nothing */
  override forward(input: Tensor, options: Pick<AttentionOptions, 'mask'> = {}): Tensor {
    return tidy(() => {
      let tokens = input;
      for (const block of this.blocks) tokens = block.forward(tokens, options);
      return this.norm?.forward(tokens) ?? tokens;
    });
  }
}
