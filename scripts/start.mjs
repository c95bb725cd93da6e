/**
 * `npm start`: set-up, then the main job on data that the project makes itself. Arguments are added to the command,
 * and later flags win: `npm start -- --seeds 1`.
 */
import { runForeground } from './lib/child.mjs';
import { findNode, mainFile } from './lib/paths.mjs';
import { projectEnv } from './lib/steps.mjs';
import { setup } from './setup.mjs';

/** Sized for 2 cores and at most five minutes. */
const mainJob = ['compare', 'phantom', '--objectives', 'hard,ls,ols', '--model', 'resnet18', '--seeds', '3'];

await setup();
process.exitCode = await runForeground(findNode(), [mainFile, ...mainJob, ...process.argv.slice(2)], {
  env: projectEnv(),
});
