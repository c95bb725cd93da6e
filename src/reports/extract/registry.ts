import { PenumbraError } from '../../errors.ts';
import type { FindingSet } from '../findings/findings.ts';
import type { Assessor } from '../rules/assess.ts';
import { type Extractor, rulesExtractor } from './extractor.ts';

/** What an extractor is opened with. */
export interface ExtractorRequest {
  readonly findings: FindingSet;
  /** The rules, compiled for the same findings. */
  readonly assessor: Assessor;
  /** The options of the command line, or whatever the extractor asks for. */
  readonly flags: Readonly<Record<string, unknown>>;
}

/** An extractor that is ready, and how to be done with it. */
export interface OpenedExtractor {
  readonly extractor: Extractor;
  readonly close: () => Promise<void>;
  /** The state of the run in one line, for progress; empty for none. */
  readonly info: () => string;
  /**
   * Set where worker threads may open it as well, by its name and the same flags: the module that registers it, as `import`
   * takes it; empty for those of this room.
   */
  readonly threadModule?: string;
}

export type OpenExtractor = (request: ExtractorRequest) => OpenedExtractor | Promise<OpenedExtractor>;

const registered = new Map<string, OpenExtractor>();

/**
 * Makes an extractor known by a name: `penumbra extract --extractor NAME` opens it. A new one is one file that calls this.
 * @throws PenumbraError `reports/extractor` where the name is taken
 */
export function registerExtractor(name: string, open: OpenExtractor): void {
  if (registered.has(name)) {
    throw new PenumbraError('reports/extractor', `There is an extractor called ${name} already.`);
  }
  registered.set(name, open);
}

/** The names that are registered, in the order in which they were. */
export function extractorNames(): string[] {
  return [...registered.keys()];
}

/** @throws PenumbraError `reports/extractor` for a name that is not registered */
export async function openExtractor(name: string, request: ExtractorRequest): Promise<OpenedExtractor> {
  const open = registered.get(name);
  if (open === undefined) {
    throw new PenumbraError('reports/extractor', `There is no extractor called ${name}.`, {
      hint: `Choose one of ${extractorNames().join(', ')}.`,
    });
  }
  return await open(request);
}

registerExtractor('rules', ({ assessor }) => ({
  extractor: rulesExtractor(assessor),
  close: async () => {},
  info: () => '',
  threadModule: '',
}));
for (const name of ['llm', 'llm+rules']) {
  registerExtractor(name, async ({ findings, flags, assessor }) => {
    // Loaded when it is asked for: the rules do without it.
    const { openLlmExtractor } = await import('../llm/index.ts');
    return openLlmExtractor(findings, flags, name === 'llm+rules' ? assessor : undefined);
  });
}
