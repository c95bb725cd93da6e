/**
 * JSON as people write it: with line and block comments, a comma after the last entry, and a byte order mark.
 * Comments become spaces, so that positions in messages are those of the file.
 * @throws SyntaxError
 */
export function parseJsonc(text: string): unknown {
  // Strings are matched first, so that what looks like a comment inside one stays.
  const bare = text
    .replace(/^\uFEFF/, ' ')
    .replace(/("(?:\\.|[^"\\\n])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (all, string) => string ?? blank(all));
  return JSON.parse(
    bare.replace(/("(?:\\.|[^"\\\n])*")|(?<=["\w\]}]\s*),(?=\s*[}\]])/g, (_, string) => string ?? ' '),
  );
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}
