/**
 * `npm start`: set-up, then the main job on data that the project makes itself: a report in about two minutes on two
 * cores. `npm start -- --full` takes more images, a larger network and three seeds. Other arguments are added to the
 * command, and later flags win: `npm start -- --seeds 2`.
 */
import { runForeground } from './lib/child.mjs';
import { findNode, mainFile } from './lib/paths.mjs';
import { projectEnv } from './lib/steps.mjs';
import { setup } from './setup.mjs';

/** Few images and no random crop let a network learn them by heart, which is when hard labels make it overconfident. */
const shared = ['compare', 'phantom', '--objectives', 'hard,ls,ols', '--crop-padding', '0', '--jobs', 'auto'];
const quick = [
  ...['--phantom-images', '2000', '--model', 'resnet10', '--seeds', '1', '--epochs', '10'],
  ...['--out', 'runs/start'],
];
const full = [
  ...['--phantom-images', '3000', '--model', 'resnet18', '--seeds', '3', '--epochs', '15'],
  ...['--out', 'runs/start-full'],
];

const given = process.argv.slice(2);
const job = [
  ...shared,
  ...(given.includes('--full') ? full : quick),
  ...given.filter((arg) => arg !== '--full'),
];

await setup();
process.exitCode = await runForeground(findNode(), [mainFile, ...job], { env: projectEnv(), looks: true });
