/** A launcher as `bin/penumbra.mjs` is on an older Node: the program in a process of its own. */
import { runForeground } from '../../scripts/lib/child.mjs';

process.exitCode = await runForeground(process.execPath, process.argv.slice(2));
