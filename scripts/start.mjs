/**
 * `npm start`: set-up, then the main job on data that the project makes itself. Arguments are added to the command,
 * and later flags win: `npm start -- --seeds 1`.
 */
import { runForeground } from './lib/child.mjs';
import { findNode, mainFile } from './lib/paths.mjs';
import { projectEnv } from './lib/steps.mjs';
import { setup } from './setup.mjs';

/**
 * Sized for 2 cores and at most five minutes: 2,100 training images of 64×64, one seed. Few images and no random crop
 * let the network learn them by heart, which is when hard labels make it overconfident.
 */
const mainJob = [
  ...['compare', 'phantom', '--phantom-images', '3000', '--objectives', 'hard,ls,ols', '--model', 'resnet18'],
  ...['--seeds', '1', '--epochs', '15', '--crop-padding', '0'],
];

await setup();
process.exitCode = await runForeground(findNode(), [mainFile, ...mainJob, ...process.argv.slice(2)], {
  env: projectEnv(),
  looks: true,
});
