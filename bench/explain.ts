/**
 * Grad-CAM of 100 images of 224 px by ResNet-50, in batches as the verb takes them, from pixels in memory:
 *
 *     npm run bench -- explain [--model resnet50] [--images 100] [--size 224] [--threads 2] [--outputs 1]
 */
import { parseArgs } from 'node:util';
import { gradCam } from '../src/explain/index.ts';
import { createModel } from '../src/models/index.ts';
import { aten, Generator, setThreads, tidy } from '../src/torch/index.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'resnet50' },
    images: { type: 'string', default: '100' },
    size: { type: 'string', default: '224' },
    threads: { type: 'string', default: '2' },
    outputs: { type: 'string', default: '1' },
  },
});
const [count, size, threads, each] = [values.images, values.size, values.threads, values.outputs].map(
  Number,
) as [number, number, number, number];
/** As `src/inference/explain-runs.ts`. */
const BATCH = 16;
setThreads(threads);

const generator = new Generator(0);
const model = tidy(() => createModel(values.model, { classes: 14, channels: 3, size, generator }));
model.to({ memoryFormat: 'channels_last' }).eval();
const explain = (n: number) =>
  tidy(() => {
    const images = aten
      .randn([n, 3, size, size], { generator })
      .contiguous({ memory_format: 'channels_last' });
    const wanted = Array.from({ length: n }, () => Array.from({ length: each }, (_, k) => k));
    return gradCam(model, images, wanted).maps.sum().item();
  });

explain(2);
const [before, start] = [process.cpuUsage(), performance.now()];
for (let done = 0; done < count; done += BATCH) explain(Math.min(BATCH, count - done));
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(before);
const processor = (user + system) / 1e6;
const peak = process.resourceUsage().maxRSS / 1024;
console.log(
  `Grad-CAM, ${values.model}, ${count} images of ${size} px, ${each} outputs each, ${threads} threads: ` +
    `${seconds.toFixed(1)} s by the clock, ${processor.toFixed(1)} s of processors, peak ${peak.toFixed(0)} MiB`,
);
