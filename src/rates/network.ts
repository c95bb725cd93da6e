import { aten, type Generator, type Tensor, tidy } from '../torch/index.ts';
import { Dropout, Linear, Module, normal_, zeros_ } from '../torch/nn/index.ts';
import type { BatchTensors } from './batch.ts';
import type { SentenceEncoder } from './sentence-encoder.ts';

export interface RateNetworkOptions {
  /** Reads the sentences; its width is that of everything, and a multiple of `heads`. */
  readonly encoder: SentenceEncoder;
  /** K. */
  readonly findings: number;
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

/** What reads reports: one network, or several whose answers are averaged. */
export abstract class RateReader extends Module {
  abstract read(batch: BatchTensors): RateOutput;

  /** Reads whole batches only. */
  override forward(): Tensor {
    throw new Error('a rate network reads batches: call read');
  }
}

/** The encoder's name in a state dict. */
export const ENCODER = 'encoder';

/**
 * The rate generation network: reports to what they mean of K findings.
 *
 * 1. **Sentences.** An encoder reads every sentence by itself, behind a token for its section. What a hedge belongs to
 *    stands in its sentence, and the order of the sentences carries no meaning here; so it cannot be learnt by mistake,
 *    and a sentence that a batch repeats is computed once.
 * 2. **Findings.** Each of K learned queries attends, in several heads, to all pieces of the report and to one learned
 *    slot that stands for "nothing was said". One more query reads the report as a whole.
 * 3. **Head.** One perceptron, the same for all findings, turns what a query has read into three numbers. What it learns of
 *    a hedge on a common finding serves the rare ones. The finding's own vector and the report as a whole are added in front
 *    of it, from zero at the start.
 */
export class RateNetwork extends RateReader {
  readonly encoder: SentenceEncoder;
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
    const { encoder, findings, heads, generator, dropout } = options;
    const { width } = encoder;
    const dropoutGenerator = options.dropoutGenerator ?? generator;
    this.heads = heads;
    this.findings = findings;
    this.encoder = this.child(ENCODER, encoder);
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

  override read({ groups, places }: BatchTensors): RateOutput {
    const { heads, findings } = this;
    const [batch, length] = places.shape as [number, number];
    const made = tidy(() => {
      const encoded = groups.map((ids) => this.encoder.forward(ids).flatten(0, 1));
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
}

/** The mean of what several networks say: of their logits, so that one alone cannot settle a doubt, and of their attention. */
export class RateEnsemble extends RateReader {
  private readonly members: readonly RateReader[];

  constructor(members: readonly RateReader[]) {
    super();
    this.members = members.map((member, i) => this.child(`members.${i}`, member));
  }

  override read(batch: BatchTensors): RateOutput {
    const names = ['mentioned', 'certainty', 'doubt', 'attention'] as const;
    const [mentioned, certainty, doubt, attention] = tidy(() => {
      const said = this.members.map((member) => member.read(batch));
      return names.map((name) =>
        aten
          .stack(
            said.map((one) => one[name]),
            0,
          )
          .mean([0]),
      );
    }) as [Tensor, Tensor, Tensor, Tensor];
    return { mentioned, certainty, doubt, attention };
  }
}
