/** The rules under another name, in threads that end at the report `r700`: what becomes of the rows of an extraction then. */
import { createAssessor, registerExtractor, rulesExtractor } from '../../src/reports/index.ts';

registerExtractor('fragile', () => {
  const rules = rulesExtractor(createAssessor());
  return {
    extractor: {
      ...rules,
      writeLines(report, lines, mentionedOnly) {
        if (report.id === 'r700') process.exit();
        return rules.writeLines!(report, lines, mentionedOnly);
      },
    },
    close: async () => {},
    info: () => '',
    threadModule: import.meta.url,
  };
});
