import { aten, type Generator, type Tensor, tidy } from '../torch/index.ts';
import {
  Dropout,
  Embedding,
  Linear,
  Module,
  normal_,
  TransformerEncoder,
  zeros_,
} from '../torch/nn/index.ts';
import { type BatchTensors, LONGEST_SENTENCE } from './batch.ts';
import { PAD } from './tokenizer.ts';

export interface RateNetworkOptions {
  /** Ids of the tokenizer. */
  readonly vocabulary: number;
  /** K. */
  readonly findings: number;
  /** Width of everything; a multiple of `heads`. */
  readonly width: number;
  /** Layers of the sentence encoder. */
  readonly depth: number;
  readonly heads: number;
  readonly dropout: number;
  /** Draws the weights. */
  readonly generator: Generator;
  /** Draws what is dropped; `generator` unless given. */
  readonly dropoutGenerator?: Generator;
}

/** What the network says of B reports and K findings. All [B, K], float32 where nothing else is said. */
export interface RateOutput {
  /** Logit of "the report says something of it". */
  readonly mentioned: Tensor;
  /** Logit of P(finding), as the wording means it. */
  readonly certainty: Tensor;
  /** log σ² of the probability: how far off it may be. */
  readonly doubt: Tensor;
  /** [B, K, R]: how much of each finding's attention each piece has, over the heads' mean; the rest went to "nothing said". */
  readonly attention: Tensor;
}

/**
 * The rate generation network: reports to what they mean of K findings.
 *
 * 1. **Sentences.** A transformer reads every sentence by itself, behind a token for its section. What a hedge belongs to
 *    stands in its sentence, and the order of the sentences carries no meaning here; so it cannot be learnt by mistake,
 *    and a sentence that a batch repeats is computed once.
 * 2. **Findings.** Each of K learned queries attends, in several heads, to all pieces of the report and to one learned
 *    slot that stands for "nothing was said". One more query reads the report as a whole.
 * 3. **Head.** One perceptron, the same for all findings, turns what a query has read into three numbers. What it learns of
 *    a hedge on a common finding serves the rare ones. The finding's own vector and the report as a whole are added in front
 *    of it, from zero at the start.
 */
export class RateNetwork extends Module {
  private readonly tokens: Embedding;
  private readonly positions: Embedding;
  private readonly encoder: TransformerEncoder;
  private readonly keys: Linear;
  private readonly values: Linear;
  private readonly queries: Tensor;
  private readonly nothing: Tensor;
  private readonly own: Tensor;
  private readonly report: Linear;
  private readonly out: Linear;
  private readonly hidden: Linear;
  private readonly head: Linear;
  private readonly dropout: Dropout;
  private readonly heads: number;
  private readonly findings: number;

  constructor(options: RateNetworkOptions) {
    super();
    const { vocabulary, findings, width, heads, generator, dropout } = options;
    const dropoutGenerator = options.dropoutGenerator ?? generator;
    this.heads = heads;
    this.findings = findings;
    const small = { generator, init: normal_(0.2) };
    this.tokens = this.child(
      'tokens',
      new Embedding(vocabulary, width, { generator, init: normal_(1), padding: PAD }),
    );
    this.positions = this.child('positions', new Embedding(LONGEST_SENTENCE, width, small));
    this.encoder = this.child(
      'encoder',
      new TransformerEncoder(options.depth, width, heads, {
        generator,
        dropout,
        dropoutGenerator,
        hidden: 3 * width,
      }),
    );
    this.keys = this.child('keys', new Linear(width, width, { generator, biasInit: zeros_ }));
    this.values = this.child('values', new Linear(width, width, { generator, biasInit: zeros_ }));
    this.queries = this.parameter('queries', normal_(1)(aten.empty([findings + 1, width]), generator));
    this.nothing = this.parameter('nothing', normal_(0.05)(aten.empty([2, width]), generator));
    this.own = this.parameter('own', aten.zeros([findings, width]));
    this.report = this.child(
      'report',
      new Linear(width, width, { generator, init: zeros_, biasInit: zeros_ }),
    );
    this.out = this.child('out', new Linear(width, width, { generator }));
    this.hidden = this.child('hidden', new Linear(width, width, { generator }));
    this.head = this.child('head', new Linear(width, 3, { generator, biasInit: zeros_ }));
    this.dropout = this.child('dropout', new Dropout(dropout, { generator: dropoutGenerator }));
  }

  /** Reads whole batches only. */
  override forward(): Tensor {
    throw new Error('a rate network reads batches: call read');
  }

  read({ groups, places }: BatchTensors): RateOutput {
    const { heads, findings } = this;
    const [batch, length] = places.shape as [number, number];
    const made = tidy(() => {
      const encoded = groups.map((ids) => this.encode(ids));
      // "Nothing said" has the place 0, with a key and a value of its own in place of what is computed of zeros.
      const none = (encoded[0] ?? this.nothing).new_zeros([1, this.nothing.shape[1]!]);
      const pieces = aten.cat([none, ...encoded], 0);
      const split = (x: Tensor) => x.unflatten(-1, [heads, -1]);
      const slot = (x: Tensor, which: number) =>
        aten.cat(
          [this.nothing.narrow(0, which, 1).to({ dtype: x.dtype }), x.narrow(0, 1, x.shape[0]! - 1)],
          0,
        );
      const gather = (x: Tensor) => x.index_select(0, all.flatten()).view([batch, length + 1, heads, -1]);
      const all = aten.cat([places.new_zeros([batch, 1]), places], 1);
      const keys = gather(slot(this.keys.forward(pieces), 0)).permute([0, 2, 3, 1]);
      const values = gather(slot(this.values.forward(pieces), 1)).transpose(1, 2);
      const queries = split(this.queries).transpose(0, 1).unsqueeze(0);
      const scale = 1 / Math.sqrt(queries.shape.at(-1)!);
      const scores = queries.mul(scale).matmul(keys).to({ dtype: 'float32' });
      const ended = all.eq(0).logical_and(aten.arange(length + 1, { device: places.device }).gt(0));
      const weights = scores.masked_fill(ended.view([batch, 1, 1, length + 1]), -1e30).softmax(-1);
      const read = weights.to({ dtype: values.dtype }).matmul(values).transpose(1, 2).flatten(2);
      const said = this.out.forward(read);
      const whole = this.report.forward(said.narrow(1, findings, 1));
      const state = said.narrow(1, 0, findings).add(whole).add(this.own);
      const numbers = this.head
        .forward(this.dropout.forward(this.hidden.forward(this.dropout.forward(state)).gelu()))
        .to({ dtype: 'float32' });
      const attention = weights.narrow(2, 0, findings).mean([1]).narrow(2, 1, length);
      return [numbers, attention];
    });
    const [numbers, attention] = made as [Tensor, Tensor];
    const [mentioned, certainty, doubt] = [0, 1, 2].map((i) => numbers.select(2, i)) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    return { mentioned, certainty, doubt, attention };
  }

  /** [S, L] ids to [S·L, width]. */
  private encode(ids: Tensor): Tensor {
    const length = ids.shape[1]!;
    const embedded = this.tokens.forward(ids).add(this.positions.weight.narrow(0, 0, length));
    return this.encoder.forward(this.dropout.forward(embedded), { mask: ids.ne(PAD) }).flatten(0, 1);
  }
}
