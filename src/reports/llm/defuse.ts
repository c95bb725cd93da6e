/**
 * Takes the teeth out of a report's text, unit by unit, so that its length and all offsets stay: characters that
 * nobody sees become spaces, and the brackets that chat templates and our own prompt use as marks become look-alikes.
 * A server that reads `<|im_start|>` in a message as the mark of a new message then reads letters.
 */
export function defuse(text: string): string {
  return blankInvisible(text)
    .replace(/<(?=[|/!a-z<\uff5c])/gi, '‹')
    .replace(/\[(?=\/?[a-z_]+\])/gi, '⟦')
    .replace(/\|(?=>)/g, '¦')
    .replace(/`(?=``)/g, 'ˋ');
}

/** What `defuse` puts in place, and what stood there. */
export const lookAlikes: Readonly<Record<string, string>> = { '‹': '<', '⟦': '[', '¦': '|', ˋ: '`' };

/**
 * Spaces in place of what does not print: controls but tab and line ends, soft hyphens, zero-width and direction
 * marks, fillers, variation selectors, Unicode tags, half surrogates.
 */
export function blankInvisible(text: string): string {
  return text.replace(invisible, (match) => ' '.repeat(match.length));
}

const invisible = new RegExp(
  '[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u0084\\u0086-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160' +
    '\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0' +
    '\\ufff0-\\ufffb\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}\\p{Surrogate}]',
  'gu',
);
