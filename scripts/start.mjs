/**
 * `npm start`: set-up, then both main jobs in small on data that the project makes itself: label smoothing on virtual
 * radiographs, and a virtual chest clinic from its reports to a judged network. Two reports in a few minutes on two
 * cores; it ends with what they found.
 *
 * `npm start -- --full` takes more images, larger networks and three seeds; `--only labels` or `--only reports` does one of the
 * two; `--out FOLDER` takes both. Other arguments are added to both commands, and later flags win: `npm start -- --seeds 2`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runForeground } from './lib/child.mjs';
import { findNode, mainFile } from './lib/paths.mjs';
import { projectEnv } from './lib/steps.mjs';
import { setup } from './setup.mjs';

const { flags, others } = divided(process.argv.slice(2));
const full = flags.full !== undefined;
const folder = flags.out ?? (full ? 'runs/start-full' : 'runs/start');

const jobs = [
  {
    name: 'labels',
    title:
      'which labels make probabilities that can be believed: hard ones, smoothed ones, or ones learnt online',
    folder: join(folder, 'labels'),
    result: join(folder, 'labels'),
    // Few images and no random crop let a network learn them by heart, which is when hard labels make it overconfident.
    args: [
      ...['compare', 'phantom', '--objectives', 'hard,ls,ols', '--crop-padding', '0', '--jobs', 'auto'],
      ...(full
        ? ['--phantom-images', '3000', '--model', 'resnet18', '--seeds', '3', '--epochs', '15']
        : ['--phantom-images', '2000', '--model', 'resnet10', '--seeds', '1', '--epochs', '10']),
    ],
  },
  {
    name: 'reports',
    title:
      'whether a network learns more from what radiologists meant than from labels: reports, rates, network',
    folder: join(folder, 'reports'),
    result: join(folder, 'reports', 'networks'),
    args: [
      ...['rep-gls', 'phantom', '--objectives', 'hard,ls,gls:rates=data', '--model', 'resnet10'],
      ...['--optimizer', 'adam', '--learning-rate', '0.001', '--batch-size', '16', '--jobs', 'auto'],
      ...(full
        ? ['--phantom-images', '8000', '--seeds', '3', '--epochs', '12']
        : ['--phantom-images', '2000', '--phantom-conspicuity', '1.5', '--seeds', '1', '--epochs', '10']),
    ],
  },
];

const chosen = jobs.filter(({ name }) => flags.only === undefined || name === flags.only);
if (chosen.length === 0) {
  process.stderr.write(
    `npm start: there is no job ${flags.only}\n  hint: --only labels, or --only reports\n`,
  );
  process.exit(2);
}
await setup();
for (const [i, { title, folder: out, args }] of chosen.entries()) {
  process.stderr.write(`\n${i + 1} of ${chosen.length}: ${title}\n`);
  const code = await runForeground(findNode(), [mainFile, ...args, '--out', out, ...others], {
    env: projectEnv(),
    looks: true,
  });
  if (code !== 0) process.exit(code);
}
if (chosen.length > 1) {
  const found = chosen.flatMap(({ title, result }) => answerOf(title, result));
  process.stdout.write(`\n${found.join('\n\n')}\n`);
}

/** Our own flags, and those of the commands. */
function divided(args) {
  const flags = {};
  const others = [];
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--full') flags.full = true;
    else if (args[i] === '--only' || args[i] === '--out') flags[args[i].slice(2)] = args[++i] ?? '';
    else others.push(args[i]);
  }
  return { flags, others };
}

/** What a job found, in the sentence that its report begins with. */
function answerOf(title, folder) {
  const file = join(folder, 'result.json');
  if (!existsSync(file)) return [];
  const [{ verdict }] = JSON.parse(readFileSync(file, 'utf8')).verdicts;
  return [`Asked: ${title}.\nFound: ${verdict.sentence}\nReport: ${join(folder, 'report.html')}`];
}
