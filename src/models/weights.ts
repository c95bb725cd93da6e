import { PenumbraError } from '../errors.ts';
import { aten, noGrad, readSafetensors, Scope, type Tensor } from '../torch/index.ts';
import type { Network } from './network.ts';

export interface PretrainedOptions {
  /**
   * Whether the file must have every tensor of the network, its last layer's too, in its shape, and no other. Default:
   * false.
   */
  strict?: boolean;
  /** Told what was left out, or changed to fit. Nothing is without being told. */
  notice: (message: string) => void;
}

/**
 * Starts a network from the weights of a safetensors file with torchvision's names. Unless `strict`,
 * - a last layer of another size, or none, leaves the network's own, fresh one;
 * - a first convolution of three channels is summed over them for a network of one, which computes what the file's
 *   network would of a grey image in three equal channels;
 * - the positions of a vision transformer of another image size are interpolated, as by torchvision's
 *   `interpolate_embeddings`;
 * - the network's `additions` (tokens of findings, a head of doubt) start fresh where the file has none of their size;
 * - torchxrayvision's DenseNet, which is known by its `op_threshs`, was trained on pixels from −1024 to 1024: its first
 *   convolution is made for [−1, 1];
 * - tensors that no layer asks for are left out.
 *
 * Nothing is changed where anything else does not fit.
 * @throws `models/weights`; the hint names the network that the file seems to be of
 */
export function loadPretrained(model: Network, path: string, options: PretrainedOptions): void {
  using _scope = new Scope();
  const { strict = false, notice } = options;
  const weights = withCurrentNames(readSafetensors(path).tensors);
  const own = model.stateDict();
  const notices = strict ? [] : noGrad(() => adapt(weights, own, model));
  const problems = misfits(weights, own, model, strict);
  const guess = recognise(shapesOf(weights));
  const known = recognise(shapesOf(own));
  const unknown = [...weights.keys()].filter((name) => !own.has(name));
  // A network with the layers of a smaller one fits it, and is still another network.
  if (strict || (guess !== null && guess !== known))
    problems.push(...unknown.map((name) => `${name} is not in the network`));
  if (problems.length > 0) {
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    throw new PenumbraError('models/weights', `${path} does not fit the network: ${problems[0]}${more}`, {
      hint: hint(guess, known, strict),
      where: { file: path },
    });
  }
  if (unknown.length > 0)
    notices.push(`${unknown.length} tensors that no layer asks for are left out, the first is ${unknown[0]}`);
  model.loadStateDict(weights, { strict: false });
  for (const message of notices) notice(`initial weights: ${message}`);
}

/**
 * The network that the names and shapes of some weights are of; null where no known one is like them. Its last layer,
 * its stem and its channels do not matter.
 */
export function recognise(shapes: ReadonlyMap<string, readonly number[]>): string | null {
  for (const [network, { has, shape, lacks }] of Object.entries(MARKS))
    if (shapes.get(has)?.join('×') === shape && !shapes.has(lacks)) return network;
  return null;
}

/** A tensor that a network has, and one that only deeper or other ones have. */
const MARKS: Readonly<Record<string, { has: string; shape: string; lacks: string }>> = {
  resnet10_half: {
    has: 'layer4.0.conv2.weight',
    shape: '256×256×3×3',
    lacks: 'layer1.1.conv1.weight',
  },
  resnet10: { has: 'layer4.0.conv2.weight', shape: '512×512×3×3', lacks: 'layer1.1.conv1.weight' },
  resnet18: { has: 'layer4.1.conv2.weight', shape: '512×512×3×3', lacks: 'layer1.2.conv1.weight' },
  resnet34: { has: 'layer3.5.conv2.weight', shape: '256×256×3×3', lacks: 'layer1.0.conv3.weight' },
  resnet50: { has: 'layer3.5.conv3.weight', shape: '1024×256×1×1', lacks: 'layer3.6.conv1.weight' },
  resnet101: { has: 'layer3.22.conv3.weight', shape: '1024×256×1×1', lacks: 'layer3.23.conv1.weight' },
  mobilenet_v2: { has: 'features.18.0.weight', shape: '1280×320×1×1', lacks: 'features.19.0.weight' },
  vgg16: { has: 'features.28.weight', shape: '512×512×3×3', lacks: 'features.30.weight' },
  vgg16_bn: { has: 'features.40.weight', shape: '512×512×3×3', lacks: 'features.43.weight' },
  vgg19: { has: 'features.34.weight', shape: '512×512×3×3', lacks: 'features.40.weight' },
  vgg19_bn: { has: 'features.49.weight', shape: '512×512×3×3', lacks: 'features.52.weight' },
  densenet121: {
    has: 'features.denseblock3.denselayer24.conv2.weight',
    shape: '32×128×3×3',
    lacks: 'features.denseblock3.denselayer25.conv2.weight',
  },
  vit_ti_16: { ...lastBlock(), shape: '768×192' },
  vit_s_16: { ...lastBlock(), shape: '1536×384' },
  vit_b_16: { ...lastBlock(), shape: '3072×768' },
};

function lastBlock(): { has: string; lacks: string } {
  const weight = (block: number) => `encoder.layers.encoder_layer_${block}.mlp.0.weight`;
  return { has: weight(11), lacks: weight(12) };
}

/** Torchvision's older files call some layers otherwise, and torchvision too renames them when it loads them. */
function withCurrentNames(tensors: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  return new Map(
    Array.from(tensors, ([name, tensor]) => [
      name
        .replace(/(\.denselayer\d+\.(?:norm|conv))\.([12]\.)/, '$1$2')
        .replace(/\.mlp\.linear_([12])\./, (_, layer) => `.mlp.${3 * (Number(layer) - 1)}.`),
      tensor,
    ]),
  );
}

/**
 * Changes in `weights` what may differ from `own`.
 * @returns what was changed, for people
 */
function adapt(
  weights: Map<string, Tensor>,
  own: ReadonlyMap<string, Tensor>,
  { head, additions = [] }: Network,
): string[] {
  const notices: string[] = [];
  const ofHead = [...own].filter(([name]) => head !== undefined && name.startsWith(`${head}.`));
  const unfit = ofHead.find(([name, tensor]) => !sameShape(weights.get(name), tensor));
  if (unfit !== undefined) {
    const [name, tensor] = unfit;
    const found = weights.get(name);
    notices.push(
      `the last layer, ${head}, starts fresh: ` +
        (found ? `${name} is ${sizes(found)}, expected ${sizes(tensor)}` : `the file has no ${name}`),
    );
    // A layer that is half the file's would be neither.
    for (const [part] of ofHead) weights.delete(part);
  }

  const [first = '', convolution] = [...own].find(([, { ndim }]) => ndim === 4) ?? [];
  const colour = weights.get(first);
  if (convolution?.shape[1] === 1 && colour?.ndim === 4 && colour.shape[1] === 3) {
    weights.set(first, colour.to({ dtype: 'float32' }).sum([1], true));
    notices.push(`${first} is summed over its three channels, for grey images`);
  }

  const fresh = additions.filter((name) => !sameShape(weights.get(name), own.get(name)!));
  for (const name of fresh) weights.delete(name);
  if (fresh.length > 0) notices.push(`the file has no ${fresh.join(', ')} of this network: fresh`);

  const xrv = weights.get(XRV_FIRST);
  if (weights.delete(XRV_MARK) && xrv !== undefined) {
    weights.set(XRV_FIRST, xrv.to({ dtype: 'float32' }).mul(1024));
    notices.push(
      `these are torchxrayvision's: ${XRV_FIRST} is multiplied by 1024, as its pixels were in [−1024, 1024] and are in [−1, 1] here; ${XRV_MARK}, thresholds of its own 18 findings, is left out`,
    );
  }

  const POSITIONS = 'encoder.pos_embedding';
  const positions = weights.get(POSITIONS);
  const target = own.get(POSITIONS);
  if (positions && target && !sameShape(positions, target)) {
    const from = gridSide(positions);
    const to = gridSide(target)!;
    if (from !== null && positions.shape[2] === target.shape[2]) {
      weights.set(POSITIONS, resizedPositions(positions, from, to));
      notices.push(`positions of ${from}×${from} patches are interpolated to ${to}×${to}`);
    }
  }
  return notices;
}

const XRV_MARK = 'op_threshs';
const XRV_FIRST = 'features.conv0.weight';

/** Patches along an edge of the image, from the positions [1, 1 + side², width]; null where these are no square. */
function gridSide(positions: Tensor): number | null {
  const [one, length = 0] = positions.shape;
  const side = Math.sqrt(length - 1);
  return positions.ndim === 3 && one === 1 && Number.isInteger(side) && side > 0 ? side : null;
}

/** The patches' positions, bicubic; the class token's as it is. */
function resizedPositions(positions: Tensor, from: number, to: number): Tensor {
  const [token, patches] = positions.to({ dtype: 'float32' }).split_with_sizes([1, from * from], 1);
  const grid = patches!.transpose(1, 2).unflatten(2, [from, from]);
  const resized = aten.upsample_bicubic2d(grid, [to, to], true).flatten(2).transpose(1, 2);
  return aten.cat([token!, resized], 1);
}

/** What a network needs and the weights lack, or have in another shape. */
function misfits(
  weights: ReadonlyMap<string, Tensor>,
  own: ReadonlyMap<string, Tensor>,
  { head, additions = [] }: Network,
  strict: boolean,
): string[] {
  const problems: string[] = [];
  for (const [name, tensor] of own) {
    const found = weights.get(name);
    if (sameShape(found, tensor)) continue;
    // Files from before batch norm counted its batches lack the counts, and nothing needs them.
    const dispensable =
      name.startsWith(`${head}.`) || name.endsWith('.num_batches_tracked') || additions.includes(name);
    if (found === undefined && dispensable && !strict) continue;
    problems.push(`${name} is ${found ? sizes(found) : 'missing'}, expected ${sizes(tensor)}`);
  }
  return problems;
}

function hint(guess: string | null, known: string | null, strict: boolean): string {
  if (guess === null)
    return 'these are the weights of no network known here; they must have the names that torchvision gives them';
  if (guess !== known)
    return `these look like the weights of ${guess}: choose that network, or other weights`;
  return strict
    ? `these look like the weights of another ${guess}; only without strict may classes, channels and image size differ`
    : `these look like the weights of a ${guess} with another stem or number of channels`;
}

function shapesOf(tensors: ReadonlyMap<string, Tensor>): Map<string, number[]> {
  return new Map(Array.from(tensors, ([name, { shape }]) => [name, shape]));
}

function sameShape(a: Tensor | undefined, b: Tensor): boolean {
  return a !== undefined && a.shape.join() === b.shape.join();
}

function sizes({ shape }: Tensor): string {
  return shape.length === 0 ? 'one number' : shape.join('×');
}
