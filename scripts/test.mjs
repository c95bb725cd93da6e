/** `npm test`: set-up, lint, type-check, every test. `npm test -- src/metrics` passes its arguments to vitest. */
import { runTools } from './lib/tools.mjs';
import { setup } from './setup.mjs';

await setup();
process.exitCode = await runTools(['lint', 'types', 'tests'], process.argv.slice(2));
