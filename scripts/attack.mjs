/** `npm run attack`: set-up, then the attacks of `test/attacks/` at full size; `npm run attack -- kills=100 races`. */
import { join } from 'node:path';
import { runForeground } from './lib/child.mjs';
import { findNode, root } from './lib/paths.mjs';
import { projectEnv } from './lib/steps.mjs';
import { setup } from './setup.mjs';

await setup();
process.exitCode = await runForeground(
  findNode(),
  [join(root, 'test/attacks/run.ts'), ...process.argv.slice(2)],
  { env: projectEnv() },
);
