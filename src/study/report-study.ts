import { lackingFindings, lackText } from '../data/index.ts';
import { capital, formatCount, formatParameters, list, plural } from '../judgement/format.ts';
import type { Judgement, Report } from '../judgement/index.ts';
import { engineInfo } from '../torch/index.ts';
import { RunFolder, type TrainConfig } from '../training/index.ts';
import { optimizerTitles } from '../training/optimizer-names.ts';
import type { PlannedCell, PlannedRun } from './plan.ts';
import type { OpenedStudy } from './study.ts';
import type { OpenedSet } from './study-data.ts';

export interface JudgedCell {
  readonly cell: PlannedCell;
  /** Those that were judged. */
  readonly runs: readonly PlannedRun[];
  readonly judgement: Judgement;
}

/** A study's judgements with what people have to know of its data, networks, settings and runs. */
export function reportOf(
  { study, sets, plan }: OpenedStudy,
  judged: readonly JudgedCell[],
  command: string,
): Report {
  const example = new RunFolder(judged[0]!.runs[0]!.folder).description();
  const several = plan.cells.length > 1;
  const networks = study.config.networks.flatMap((network) => {
    const one = judged.find(({ cell }) => cell.network === network);
    if (one === undefined) return [];
    const { parameters, size, channels } = new RunFolder(one.runs[0]!.folder).description().model;
    const input = several ? '' : `, input ${size} × ${size} px, ${plural(channels, 'channel')}`;
    return [`${network} (${formatParameters(parameters)} parameters${input})`];
  });
  const settings = settingsText(judged[0]!.runs[0]!.config, example.mode);
  return {
    version: 2,
    title: study.title,
    finished: new Date().toISOString(),
    command,
    facts: [
      ...sets.map((set): [string, string] => [
        sets.length > 1 ? `Data set ${set.id}` : 'Data set',
        setText(set),
      ]),
      [networks.length > 1 ? 'Networks' : 'Network', networks.join('; ')],
      [study.seeds.length > 1 ? 'Seeds' : 'Seed', study.seeds.join(', ')],
      ...(several ? [] : [['Settings', settings] as [string, string]]),
    ],
    methods: study.methods.map(({ id, label, objective, mixup, settings: own }) => ({
      id,
      label,
      about: [
        objective,
        ...(mixup > 0 ? [`mixup α = ${mixup}`] : []),
        ...Object.entries(own).map(([name, value]) => `${name} ${JSON.stringify(value)}`),
        ...judged.map((one) => trainingText(one, id, several)).filter((text) => text !== ''),
      ].join('; '),
    })),
    cells: judged.map(({ cell, runs, judgement }) => ({
      set: cell.set.id,
      network: cell.network,
      about: `${capital(setText(cell.set))}. ${settingsText(runs[0]!.config, new RunFolder(runs[0]!.folder).description().mode)}.`,
      judgement,
    })),
    missing: plan.cells.flatMap((cell) =>
      study.methods.flatMap(({ id }) => {
        const done =
          judged.find((one) => one.cell === cell)?.runs.filter(({ method }) => method === id).length ?? 0;
        return done === study.seeds.length
          ? []
          : [`${cell.set.id}, ${cell.network}: ${done} of ${study.seeds.length} runs of ${id} are finished.`];
      }),
    ),
    notes: judged.flatMap(({ cell, judgement }) => {
      const broken = cell.set.dataset.splits[cell.set.split]!.length - judgement.samples;
      return [
        ...(broken === 0
          ? []
          : [
              `${plural(broken, 'file')} of ${cell.set.id} could not be read and ${broken === 1 ? 'was' : 'were'} left out.`,
            ]),
        ...cell.set.dataset.notes,
        ...lackingFindings(cell.set.dataset).map(lackText),
      ];
    }),
    software: { ...example.software, libtorch: engineInfo().version },
  };
}

/** `knee (OAI), test: 602 images of 5 classes, resampled by patient; train 1,000, val 200`. */
function setText({ id, dataset, split }: OpenedSet): string {
  const { name, kind, classes, splits } = dataset;
  const judged = splits[split]!;
  const what =
    kind === 'findings' ? plural(classes.length, 'finding') : plural(classes.length, 'class', 'classes');
  const others = Object.entries(splits).filter(([other]) => other !== split);
  return `${id === name ? id : `${id} (${name})`}, judged on ${split}: ${plural(judged.length, 'image')} with ${what}, resampled by ${judged.groups ? 'patient' : 'image'}; ${list(others.map(([other, subset]) => `${other} ${formatCount(subset.length)}`))}`;
}

/** `seeds 0, 1, 123 s of training`. */
function trainingText({ cell, runs }: JudgedCell, method: string, several: boolean): string {
  const own = runs.filter((run) => run.method === method);
  if (own.length === 0) return '';
  const seconds = own
    .flatMap(({ folder }) => new RunFolder(folder).metrics())
    .reduce((sum, epoch) => sum + epoch.seconds, 0);
  const text = `${own.length === 1 ? 'seed' : 'seeds'} ${own.map(({ seed }) => seed).join(', ')}, ${formatCount(seconds)} s of training`;
  return several ? `${cell.set.id} · ${cell.network}: ${text}` : text;
}

function settingsText(
  config: TrainConfig,
  mode: { precision: string; device: string; threads: number },
): string {
  const { optimizer, momentum, nesterov, learningRate, schedule, warmUp, cropPadding, flip } = config;
  const augmentation = [...(cropPadding === 0 ? [] : ['random crop']), ...(flip ? ['horizontal flip'] : [])];
  return [
    plural(config.epochs, 'epoch'),
    `batch size ${config.batchSize}${config.accumulate > 1 ? ` × ${config.accumulate} accumulated` : ''}`,
    optimizer === 'sgd'
      ? `SGD, momentum ${momentum}${nesterov ? ', Nesterov' : ''}`
      : optimizerTitles[optimizer],
    `learning rate ${learningRate}, ${schedule}${warmUp > 0 ? `, ${plural(warmUp, 'epoch')} of warm-up` : ''}`,
    `weight decay ${config.weightDecay}`,
    ...(config.ema > 0 ? [`weights averaged, decay ${config.ema}`] : []),
    ...(config.sampling === 'uniform'
      ? []
      : [`${config.sampling === 'sqrt' ? 'square-root' : 'balanced'} sampling`]),
    ...(config.classWeights === null ? [] : [`class weights ${weightsText(config.classWeights)}`]),
    `augmentation ${augmentation.length === 0 ? 'none' : augmentation.join(', ')}`,
    `${mode.precision} on ${mode.device}, ${plural(mode.threads, 'thread')}`,
  ].join('; ');
}

function weightsText(weights: NonNullable<TrainConfig['classWeights']>): string {
  if (weights === 'balanced') return weights;
  return Object.entries(weights)
    .map(([name, weight]) => `${name} ${weight}`)
    .join(', ');
}
