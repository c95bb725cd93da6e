import type { FitEvent, ValFigures } from '../training/index.ts';
import { createProgress, type Progress } from './progress.ts';

/** What the validation split shows, in a few words. */
export function describeVal({ top1, auroc, ece }: ValFigures): string {
  const shown = [
    ...(top1 === undefined ? [] : [`top-1 ${percent(top1)}`]),
    ...(auroc === undefined ? [] : [`AUROC ${auroc.toFixed(3)}`]),
    `ECE ${percent(ece)}`,
  ];
  return shown.join(', ');
}

function percent(value: number): string {
  return `${(100 * value).toFixed(1)} %`;
}

/** Shows a training run on stderr: one bar over all its steps, and a line an epoch. */
export function showFit(label: string): (event: FitEvent) => void {
  let progress: Progress | undefined;
  let seen = 0;
  let perStep = 0;
  return (event) => {
    switch (event.type) {
      case 'start': {
        const { mode, description } = event;
        const { data, model } = description;
        process.stderr.write(
          `${label}: ${data.trainSamples} images of ${model.size}×${model.size}, ${data.classes.length} classes; ` +
            `${mode.precision} on ${mode.device} (${mode.reason}), ${mode.threads} threads\n`,
        );
        perStep = description.config.batchSize;
        progress = createProgress({ label, total: event.steps * perStep, unit: 'images' });
        break;
      }
      case 'resume':
        seen = event.step;
        process.stderr.write(`${label}: going on from step ${event.step}, epoch ${event.epoch + 1}\n`);
        break;
      case 'step':
        seen = event.step;
        progress?.update(seen * perStep, `loss ${event.loss.toFixed(3)}`);
        if (event.step === event.steps) progress?.done();
        break;
      case 'epoch': {
        const { metrics } = event;
        const val = metrics.val ? `  val ${describeVal(metrics.val)}, NLL ${metrics.val.nll.toFixed(3)}` : '';
        const { trainTop1, trainAccuracy } = metrics;
        const right =
          trainTop1 === undefined ? `right ${percent(trainAccuracy ?? 0)}` : `top-1 ${percent(trainTop1)}`;
        const clear = process.stderr.isTTY ? '\r\x1b[K' : '';
        process.stderr.write(
          `${clear}${label}: epoch ${metrics.epoch}/${event.epochs}  loss ${metrics.trainLoss.toFixed(3)}, ` +
            `${right}${val}  ${metrics.imagesPerSecond.toFixed(0)} images/s\n`,
        );
        break;
      }
      case 'busy':
      case 'notice':
        process.stderr.write(`${label}: ${event.message}\n`);
    }
  };
}
