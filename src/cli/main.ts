/** The command line: `penumbra <verb>`. Each verb is a file beside this one that loads its work when it is called. */
import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { formatError, PenumbraError } from '../errors.ts';
import { fileError, systemCode } from '../files/index.ts';
import { register as registerCalibrate } from './calibrate.ts';
import { register as registerCompare } from './compare.ts';
import { register as registerDataset } from './dataset.ts';
import { register as registerDoctor } from './doctor.ts';
import { register as registerEmbed } from './embed.ts';
import { register as registerEvaluate } from './evaluate.ts';
import { register as registerExplain } from './explain.ts';
import { register as registerExtract } from './extract.ts';
import { register as registerJudge } from './judge.ts';
import { register as registerLexicon } from './lexicon.ts';
import { asksForMethods, loadMethodsHelp } from './methods-help.ts';
import { register as registerPhantom } from './phantom.ts';
import { register as registerPredict } from './predict.ts';
import { register as registerRates } from './rates.ts';
import { register as registerRepGls } from './rep-gls.ts';
import { register as registerReports } from './reports.ts';
import { register as registerSetup } from './setup.ts';
import { register as registerStudy } from './study.ts';
import { register as registerTrain } from './train.ts';

/** In the order of the help. A verb registers its options only; `--help` must not load the engine. */
const verbs: ((program: Command) => void)[] = [
  registerCompare,
  registerStudy,
  registerRepGls,
  registerTrain,
  registerEvaluate,
  registerCalibrate,
  registerPredict,
  registerJudge,
  registerEmbed,
  registerExplain,
  registerPhantom,
  registerExtract,
  registerDataset,
  registerLexicon,
  registerReports,
  registerRates,
  registerSetup,
  registerDoctor,
];

const examples = `
Examples:
  $ penumbra doctor                                     what this machine has, and whether the main job can run
  $ penumbra compare phantom --objectives hard,ls,ols --model resnet18 --seeds 3
                                                        the main job on virtual radiographs; ends with an HTML report
  $ penumbra study studies/knee.json --data knee=DATA     methods × networks × seeds × data sets: tables, figures, report
  $ penumbra rep-gls phantom --out runs/clinic          reports and images to a judged classifier, in a virtual clinic
  $ penumbra train DATA --objective ols --model resnet50
                                                        one network from image files, IDX files or a table
  $ penumbra evaluate RUN DATA --split test --json figures.json
                                                        accuracy and calibration of a trained run, with intervals
  $ penumbra predict RUN NEW-IMAGES --out predictions.csv what a trained network says of images without labels
  $ penumbra judge hard=a.csv ols=b.csv                   predictions made anywhere, judged and compared
  $ penumbra explain RUN IMAGES --out why                 heat maps: where in the images the evidence lies
  $ penumbra extract reports/ --out rows.jsonl            findings with their certainty from radiology reports

Every verb explains itself: penumbra <verb> --help`;

export function createProgram(): Command {
  const program = new Command('penumbra')
    .description(
      'Trains medical-image classifiers whose probabilities can be believed, and shows that they can.',
    )
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [verb]', 'print the help of a verb')
    .addHelpText('after', examples)
    .showSuggestionAfterError(true)
    .exitOverride();
  for (const register of verbs) register(program);
  return program;
}

/**
 * Runs one command line and sets the process's exit code: 0 done, 1 failed, 2 a command line that makes no sense,
 * 3 done but for images that could not be read, 130 stopped.
 * @param argv as in `process.argv`: Node, the script, then the arguments
 */
export async function run(argv: readonly string[]): Promise<void> {
  process.stdout.on('error', endOnClosedPipe);
  endWithLauncher();
  if (asksForMethods(argv)) await loadMethodsHelp();
  const program = createProgram();
  if (argv.length <= 2) {
    program.outputHelp();
    return;
  }
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** Prints what went wrong, once, and returns the exit code. */
function report(error: unknown): number {
  // Commander has printed its own message by then, and uses the same class for the end of --help and --version.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const shown = explain(error);
  process.stderr.write(`${formatError(shown)}\n`);
  return shown instanceof PenumbraError && shown.code.startsWith('usage/') ? 2 : 1;
}

/** What the system refused (a full disk, a missing permission) is no fault of ours: one line with what to do. */
function explain(error: unknown): unknown {
  if (error instanceof PenumbraError || systemCode(error) === undefined) return error;
  const { path, syscall } = error as NodeJS.ErrnoException;
  return fileError(error, path ?? syscall ?? 'a file', 'used');
}

/** A launcher that was killed must not leave this process at work: see `runForeground` in scripts/lib/child.mjs. */
function endWithLauncher(): void {
  const launcher = Number(process.env.PENUMBRA_LAUNCHER ?? 0);
  // What this process starts has this one as its parent.
  delete process.env.PENUMBRA_LAUNCHER;
  if (launcher === 0) return;
  const look = () => {
    if (process.ppid !== launcher) process.kill(process.pid, 'SIGKILL');
  };
  look();
  setInterval(look, 500).unref();
}

/** `penumbra … | head`: the reader has seen enough; that is no error. */
function endOnClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
}

function version(): string {
  // The same depth from `src/cli` and from `dist/cli`.
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}

const script = process.argv[1];
if (script !== undefined && isThisFile(script)) await run(process.argv);

function isThisFile(path: string): boolean {
  try {
    return realpathSync(path) === fileURLToPath(import.meta.url);
  } catch {
    return false;
  }
}
