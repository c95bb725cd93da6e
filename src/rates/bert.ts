import type { Generator, Tensor } from '../torch/index.ts';
import { noGrad } from '../torch/index.ts';
import { Dropout, Embedding, LayerNorm, normal_, TransformerEncoder } from '../torch/nn/index.ts';
import { NO_PIECE } from './batch.ts';
import { SentenceEncoder } from './sentence-encoder.ts';

/** What a BERT is made of; BERT-base has 30,522, 512, 2, 768, 12, 12, 3,072 and 1e-12. */
export interface BertSizes {
  /** Rows of the table of pieces. */
  readonly vocabulary: number;
  /** Pieces that a sentence can have. */
  readonly positions: number;
  /** Kinds of sentences; all of ours are of the first. */
  readonly types: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  /** Width of the perceptrons' hidden layers. */
  readonly hidden: number;
  /** Of the layer norms. */
  readonly eps: number;
}

export interface BertOptions extends BertSizes {
  readonly dropout: number;
  /** Draws the weights, which are about to be replaced. */
  readonly generator: Generator;
  /** Draws what is dropped. */
  readonly dropoutGenerator: Generator;
  /** Its weights stay as they are: it computes no gradient, and drops nothing. */
  readonly frozen: boolean;
}

/**
 * BERT's encoder (Devlin et al., NAACL 2019) as Hugging Face's `BertModel` computes it, without its pooler: learned positions, a
 * norm behind every shortcut, exact GELU. Two things differ in training: attention drops none of its weights, and the perceptron's
 * hidden layer drops as the rest does, as in every transformer here.
 */
export class Bert extends SentenceEncoder {
  readonly width: number;
  private readonly words: Embedding;
  private readonly positions: Embedding;
  private readonly types: Embedding;
  private readonly norm: LayerNorm;
  private readonly layers: TransformerEncoder;
  private readonly dropout: Dropout;
  private readonly frozen: boolean;

  constructor(options: BertOptions) {
    super();
    const { width, depth, heads, hidden, eps, generator, dropoutGenerator, frozen } = options;
    const dropout = frozen ? 0 : options.dropout;
    this.width = width;
    this.frozen = frozen;
    const table = (rows: number) => new Embedding(rows, width, { generator, init: normal_(0.02) });
    this.words = this.child('word_embeddings', table(options.vocabulary));
    this.positions = this.child('position_embeddings', table(options.positions));
    this.types = this.child('token_type_embeddings', table(options.types));
    this.norm = this.child('norm', new LayerNorm(width, { eps }));
    this.layers = this.child(
      'transformer',
      new TransformerEncoder(depth, width, heads, {
        ...{ generator, dropout, dropoutGenerator, hidden, eps },
        normFirst: false,
      }),
    );
    this.dropout = this.child('dropout', new Dropout(dropout, { generator: dropoutGenerator }));
  }

  override forward(ids: Tensor): Tensor {
    return this.frozen ? noGrad(() => this.read(ids)) : this.read(ids);
  }

  private read(ids: Tensor): Tensor {
    const embedded = this.words
      .forward(ids.clamp_min(0))
      .add(this.positions.weight.narrow(0, 0, ids.shape[1]!))
      .add(this.types.weight.select(0, 0));
    return this.layers.forward(this.dropout.forward(this.norm.forward(embedded)), { mask: ids.ne(NO_PIECE) });
  }
}
