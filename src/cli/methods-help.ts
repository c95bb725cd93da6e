/**
 * What there is to choose from, for the help of verbs that train. It stands in the objectives' own schemas, which load
 * with the engine: only who asks for help waits for that.
 */

let text = '';

/** Fetches the text before a verb's help is printed. Where the engine is not set up yet, the text says so. */
export async function loadMethodsHelp(): Promise<void> {
  try {
    const { objectiveDefinitions, objectiveHelp } = await import('../objectives/index.ts');
    const { modelNames } = await import('../models/index.ts');
    const objectives = objectiveDefinitions().map((definition) =>
      objectiveHelp(definition)
        .split('\n')
        .map((line) => `  ${line}`)
        .join('\n'),
    );
    text = `
Objectives, with options after a colon (ls:epsilon=0.2) or a file of your own (./mine.ts:beta=0.2):
${objectives.join('\n')}

Networks, or a file of your own (./net.ts):
  ${modelNames().join(', ')}
`;
  } catch {
    text = '\nObjectives and networks are listed here once `npx penumbra setup` is done.\n';
  }
}

export function methodsHelp(): string {
  return text;
}

/** Whether a command line asks for the help of a verb that trains. */
export function asksForMethods(argv: readonly string[]): boolean {
  const words = argv.slice(2);
  const asks = words.includes('--help') || words.includes('-h') || words[0] === 'help';
  return asks && ['train', 'compare'].some((verb) => words.includes(verb));
}
