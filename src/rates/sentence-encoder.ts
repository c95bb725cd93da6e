import type { Generator, Tensor } from '../torch/index.ts';
import { Dropout, Embedding, Module, normal_, TransformerEncoder } from '../torch/nn/index.ts';
import { LONGEST_SENTENCE, NO_PIECE } from './batch.ts';
import { PAD } from './tokenizer.ts';

/** Reads sentences, each by itself: [S, L] ids, `NO_PIECE` behind the end of the shorter ones, to [S, L, width]. */
export abstract class SentenceEncoder extends Module {
  abstract readonly width: number;
}

export interface CompactEncoderOptions {
  /** Ids of the tokenizer. */
  readonly vocabulary: number;
  /** A multiple of `heads`. */
  readonly width: number;
  /** Layers. */
  readonly depth: number;
  readonly heads: number;
  readonly dropout: number;
  /** Draws the weights. */
  readonly generator: Generator;
  /** Draws what is dropped. */
  readonly dropoutGenerator: Generator;
}

/** A transformer that norms first, trained from nothing: small, so that one core reads hundreds of reports a second. */
export class CompactEncoder extends SentenceEncoder {
  readonly width: number;
  private readonly tokens: Embedding;
  private readonly positions: Embedding;
  private readonly layers: TransformerEncoder;
  private readonly dropout: Dropout;

  constructor(options: CompactEncoderOptions) {
    super();
    const { vocabulary, width, depth, heads, dropout, generator, dropoutGenerator } = options;
    this.width = width;
    this.tokens = this.child(
      'tokens',
      new Embedding(vocabulary, width, { generator, init: normal_(1), padding: PAD }),
    );
    this.positions = this.child(
      'positions',
      new Embedding(LONGEST_SENTENCE, width, { generator, init: normal_(0.2) }),
    );
    this.layers = this.child(
      'transformer',
      new TransformerEncoder(depth, width, heads, {
        generator,
        dropout,
        dropoutGenerator,
        hidden: 3 * width,
      }),
    );
    this.dropout = this.child('dropout', new Dropout(dropout, { generator: dropoutGenerator }));
  }

  override forward(ids: Tensor): Tensor {
    const length = ids.shape[1]!;
    const embedded = this.tokens.forward(ids.clamp_min(PAD)).add(this.positions.weight.narrow(0, 0, length));
    return this.layers.forward(this.dropout.forward(embedded), { mask: ids.ne(NO_PIECE) });
  }
}
