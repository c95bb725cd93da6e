import { z } from 'zod';
import type { Projection } from '../../embeddings/index.ts';
import type { LegendItem, Panel } from '../draw/figure.ts';
import { groupMark, groupsOf, scatterPanel } from '../draw/scatter.ts';
import { plural } from '../format.ts';
import { pickRows } from '../judged.ts';
import { append, jointly, type RunMeasures } from '../measure.ts';
import type { Part } from '../part.ts';
import { type Measured, type ShownFigure, shownAs } from '../shown.ts';
import { figureRemarks, figureTable, forestFigure, tableNotes, type View } from '../view.ts';

/** Penultimate features of images of the judged split. */
export interface EmbeddingResults {
  /** Neighbours of the vote. */
  readonly k: number;
  /** Images that the measures were made on. */
  readonly samples: number;
  readonly methods: readonly Measured[];
  /** One a projection, the same images for all methods; of the first run. */
  readonly pictures: readonly {
    readonly projection: Projection;
    readonly run: string;
    /** Label of each of the M images. */
    readonly labels: readonly number[];
    /** M×2 coordinates of each method, row-major. */
    readonly methods: readonly { readonly method: string; readonly points: readonly number[] }[];
  }[];
}

interface EmbeddingSettings {
  readonly images: number;
  readonly sample: number;
  readonly k: number;
  readonly pictures: readonly Projection[];
}

/** What `measureEmbeddings` measures, as it is shown. */
export const EMBEDDING_SHOWN: readonly ShownFigure[] = [
  shownAs(
    'distanceRatio',
    'Within/between distance',
    ['', 3, 'lower'],
    'Mean distance within classes over that between classes: lower is more compact.',
  ),
  shownAs('silhouette', 'Silhouette', ['', 3, 'higher'], 'From −1 to 1: higher is better separated.'),
  shownAs(
    'neighbourAccuracy',
    'k-NN accuracy',
    ['%', 1, 'higher'],
    'Share of images whose nearest neighbours vote for their class.',
  ),
];

export const embeddingsPart: Part<EmbeddingResults, EmbeddingSettings> = {
  name: 'embeddings',
  title: 'Features',
  kinds: ['one-of-k'],
  settings: z
    .union([
      z.literal(false),
      z.strictObject({
        images: z
          .int()
          .min(10)
          .default(10_000)
          .describe('Images of the judged split that are measured, every class with its share.'),
        sample: z.int().min(10).default(2000).describe('Images of the pictures, the same for all methods.'),
        k: z.int().min(1).default(20).describe('Neighbours of the k-NN accuracy.'),
        pictures: z
          .array(z.enum(['tsne', 'umap']))
          .default(['tsne', 'umap'])
          .describe('Projections to draw; [] for measures alone.'),
      }),
    ])
    .prefault({})
    .describe('Measures and pictures of the penultimate features on the judged split; false for none.')
    .meta({ examples: [{ images: 5000, sample: 1000, pictures: ['umap'] }, false] }),
  async measure({ judged, settings, options, tell }) {
    const { methods } = judged;
    const featuresOf = methods[0]!.runs[0]!.network?.features;
    if (featuresOf === undefined) return { absent: 'features need the network itself', quiet: true };
    // The engine is loaded where it is needed and not before: predictions can be judged without it.
    const { measureEmbeddings, project, sampleFor } = await import('../../embeddings/index.ts');
    const first = await featuresOf(settings.images);
    const n = first.labels.length;
    const k = Math.min(settings.k, n - 1);
    const rows = sampleFor(first.labels, settings.sample);
    const measured = new Map<string, RunMeasures[]>();
    const points = settings.pictures.map(() => new Map<string, number[]>());
    for (const { id, runs } of methods)
      for (const [r, run] of runs.entries()) {
        tell(`features of ${id}, ${run.name}`);
        const { features, labels, classes } = await run.network!.features!(settings.images);
        append(measured, id, measureEmbeddings(features, labels, classes, { k }).measures);
        if (r > 0) continue;
        const width = features.length / labels.length;
        const shown = pickRows(features, rows, width);
        for (const [p, method] of settings.pictures.entries()) {
          tell(`${method} of ${id}, ${run.name}`);
          const placed = project(shown, rows.length, width, { method });
          points[p]!.set(
            id,
            Array.from(placed, (x) => Number(x.toFixed(3))),
          );
        }
      }
    const { groups: _, ...rest } = options;
    const own = judged.groups && Int32Array.from(first.rows, (row) => judged.groups![row]!);
    return {
      k,
      samples: n,
      methods: jointly(measured, n, { ...rest, ...(own && { groups: own }) }, judged.baseline),
      pictures: settings.pictures.map((projection, p) => ({
        projection,
        run: methods[0]!.runs[0]!.name,
        labels: Array.from(rows, (row) => first.labels[row]!),
        methods: methods.map(({ id }) => ({ method: id, points: points[p]!.get(id)! })),
      })),
    };
  },
  show(results, view) {
    return {
      blocks: [
        ...results.pictures.map((picture) => ({ figure: pictureFigure(view, picture) })),
        {
          figure: forestFigure(
            view,
            {
              file: 'embedding-measures',
              title: 'Compactness and separation of the features',
              note: `Measured on the penultimate features of ${plural(results.samples, 'image')}, k = ${results.k} neighbours, not on the pictures. ${view.intervalNote} ${view.signNote}`,
            },
            [EMBEDDING_SHOWN.map((figure) => ({ figure, states: [{ what: '', methods: results.methods }] }))],
          ),
        },
        {
          table: figureTable(
            view,
            {
              id: 'embeddings',
              title: view.title('penultimate features'),
              caption: `${plural(results.samples, 'image')} of the judged split, each judged by the others; k = ${results.k} neighbours vote.`,
              notes: tableNotes(view),
            },
            EMBEDDING_SHOWN,
            results.methods,
          ),
        },
      ],
      answers: [
        {
          question: 'Are the features more compact and better separated?',
          remarks: EMBEDDING_SHOWN.flatMap((figure) => figureRemarks(view, figure, results.methods)),
        },
      ],
    };
  },
};

function pictureFigure(view: View, picture: EmbeddingResults['pictures'][number]) {
  const { names: classes, strata } = view.judgement;
  const { names, groups, by } = groupsOf(picture.labels, classes, strata);
  const size = view.size(picture.methods.length);
  const projection = picture.projection === 'tsne' ? 't-SNE' : 'UMAP';
  return {
    file: `embedding-${picture.projection}`,
    title: view.title(`${projection} of the penultimate features`),
    note: `The same ${plural(picture.labels.length, 'image')} for every method, of ${picture.run}, by ${by}. Axes, distances between clusters and their sizes have no unit and cannot be compared between panels: look at which images lie together, and at the measures for a figure of it.`,
    columns: size.columns,
    legend: names.map((text, group): LegendItem => ({ mark: groupMark(group), text })),
    panels: picture.methods.map(
      ({ method, points }): Panel => ({
        head: view.name(method),
        drawing: scatterPanel(`${projection} of ${view.name(method)}`, points, groups, size.width),
      }),
    ),
  };
}
