/** `npm run check`: lint and type-check, without the tests. */
import { runTools } from './lib/tools.mjs';
import { setup } from './setup.mjs';

await setup();
process.exitCode = await runTools(['lint', 'types']);
