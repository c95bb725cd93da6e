/** Who reads the reports: the options that every verb with an extractor shares. */
import { type Command, Option } from 'commander';
import { PenumbraError } from '../errors.ts';
import '../rates/register.ts';
import { extractorNames } from '../reports/extract/registry.ts';
import type { LlmFlags } from '../reports/llm/options.ts';

export interface ExtractorFlags extends Omit<LlmFlags, 'model' | 'price'> {
  extractor: string;
  /** Of a rate generation network. */
  network?: string;
}

/** `--extractor`. */
export function extractorOption(): Option {
  return new Option('--extractor <name>', 'what reads the reports')
    .choices(extractorNames())
    .default('rules');
}

/**
 * The options of the extractors that need more than reports, in a group of their own.
 * @param modelFlag names the language model: `--model` is taken where networks of images are trained
 */
export function addExtractorOptions(command: Command, modelFlag: string): Command {
  return command
    .optionsGroup('Language model and rate network:')
    .option(
      '--server <url>',
      'OpenAI-compatible server (vLLM, llama.cpp, Ollama …), such as http://localhost:8000/v1',
    )
    .option('--network <folder>', 'rgn: the network that penumbra rates train wrote')
    .option('--proxy <url>', 'a proxy for the server; proxies from the environment are never used')
    .option('--gguf <file>', 'a local GGUF model instead of a server (needs the package node-llama-cpp)')
    .option(`${modelFlag} <name>`, 'name of the language model on the server', 'Qwen/Qwen3-4B')
    .option('--prompt <file>', 'replace the prompt')
    .option('--concurrency <n>', 'requests at once (default: 8; 1 for --gguf)', Number)
    .option('--request-timeout <seconds>', 'time limit of one request (default: 120; 600 for --gguf)', Number)
    .option('--retries <n>', 'how often a failed request is tried again', Number, 4);
}

/** What help says of keys. */
export const KEY_HELP =
  "A server's key is read from PENUMBRA_LLM_API_KEY. Reports go to the server you name and nowhere else.";

const forModels = ['server', 'gguf', 'proxy', 'prompt', 'concurrency', 'requestTimeout'] as const;

/**
 * Holds the flags to the extractor that is asked for.
 * @param more other flags that are the language model's, by name
 * @throws `usage/extractor`
 */
export function checkExtractor(
  flags: ExtractorFlags & { stable?: 'keep' | 'mask'; jobs?: number | 'auto' },
  more: Readonly<Record<string, unknown>> = {},
): void {
  const { extractor } = flags;
  if (extractor === 'rgn' && flags.stable === 'mask') {
    throw new PenumbraError(
      'usage/extractor',
      '--stable is for the rules, and a network reads the reports.',
      {
        hint: 'Train the network on rows of rules that masked it.',
      },
    );
  }
  if (flags.jobs !== undefined && extractor !== 'rules' && flags.jobs !== 1) {
    const llm = extractor.startsWith('llm');
    throw new PenumbraError('usage/jobs', `--jobs is for the rules, and ${extractor} reads the reports.`, {
      hint: llm
        ? 'A language model is asked for several reports at once by --concurrency.'
        : 'The network has all cores already; several machines share an input by --shard i/n.',
    });
  }
  if (flags.network !== undefined && extractor !== 'rgn') {
    throw new PenumbraError(
      'usage/extractor',
      `--network is for a rate generation network, and ${extractor} reads the reports.`,
      { hint: 'Add --extractor rgn, or leave it out.' },
    );
  }
  if (extractor.startsWith('llm')) return;
  const named =
    forModels.find((flag) => flags[flag] !== undefined) ??
    Object.keys(more).find((flag) => more[flag] !== undefined);
  if (named === undefined) return;
  const flag = named.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
  throw new PenumbraError(
    'usage/extractor',
    `--${flag} is for a language model, and ${extractor === 'rgn' ? 'a network reads' : 'the rules read'} the reports.`,
    { hint: 'Add --extractor llm or --extractor llm+rules, or leave it out.' },
  );
}
