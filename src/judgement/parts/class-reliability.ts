import { type ReliabilityBin, reliability } from '../../metrics/index.ts';
import type { Panel } from '../draw/figure.ts';
import { reliabilityPanel } from '../draw/reliability.ts';
import { capital } from '../format.ts';
import { joined, outputsByMethod } from '../judged.ts';
import { asFindings, columnAt, MOST_CLASSES } from '../one-by-one.ts';
import type { Part } from '../part.ts';

/** Reliability of each class's own probability, all runs of a method together. */
export interface ClassReliabilityResults {
  readonly methods: readonly {
    readonly method: string;
    readonly classes: readonly (readonly ReliabilityBin[])[];
  }[];
}

export const classReliabilityPart: Part<ClassReliabilityResults> = {
  name: 'class-reliability',
  title: 'Reliability of each class',
  kinds: ['one-of-k'],
  async measure({ judged, options }) {
    if (judged.names.length > MOST_CLASSES)
      return { absent: `more than ${MOST_CLASSES} classes are not looked at one by one` };
    const methods = [];
    for await (const { id, outputs } of outputsByMethod(judged)) {
      const seen = outputs.map(asFindings);
      methods.push({
        method: id,
        classes: judged.names.map((_, k) => {
          const columns = seen.map((one) => columnAt(one, k));
          return reliability(
            joined(columns.map(({ probability }) => probability)),
            joined(columns.map(({ present }) => present)),
            options,
          );
        }),
      });
    }
    return { methods };
  },
  show({ methods }, view) {
    const { names } = view.judgement;
    const size = view.size(names.length);
    return {
      blocks: view
        .sorted(methods.map(({ method }) => method))
        .map((id) => ({ id, classes: methods.find(({ method }) => method === id)!.classes }))
        .map(({ id, classes }) => ({
          fold: `Each class, ${view.name(id)}`,
          figure: {
            file: `reliability-classes-${id}`,
            title: view.title(`Reliability of each class, ${view.name(id)}`),
            note: 'The probability of one class among all images, against how often they are of it. Filled: it is expected too often, hatched: too seldom. Without a calibrator.',
            columns: size.columns,
            panels: classes.map(
              (bins, k): Panel => ({
                head: capital(names[k]!),
                drawing: reliabilityPanel(bins, {
                  title: `Reliability diagram of class ${names[k]}, ${view.name(id)}`,
                  runs: view.runs(id),
                  outcome: 'share of the class',
                  width: size.width,
                }),
              }),
            ),
          },
        })),
    };
  },
};
