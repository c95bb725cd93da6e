import { describe, expect, test } from 'vitest';
import { contrast, DARK, LIGHT, page, tag } from './index.ts';
import { pngOf } from './png.ts';
import { SCRIPT } from './script.ts';
import { STYLE } from './sheet.ts';

describe('colours', () => {
  test('contrast is that of WCAG: black on white 21, grey #767676 on white 4.54', () => {
    expect(contrast('#000', '#fff')).toBeCloseTo(21, 10);
    expect(contrast('#767676', '#fff')).toBeCloseTo(4.54, 2);
  });

  test.each([
    ['light', LIGHT],
    ['dark', DARK],
  ])('%s: text, methods, classes and marks stand out from the paper by 4.5', (_, colours) => {
    for (const [name, colour] of Object.entries(colours)) {
      if (['paper', 'line', 'bar'].includes(name)) continue;
      expect(contrast(colour, colours.paper), name).toBeGreaterThanOrEqual(4.5);
    }
  });

  test('no method has a class’s colour, nor one that says good or bad', () => {
    for (const colours of [LIGHT, DARK]) {
      const of = (kind: RegExp) =>
        Object.entries(colours).flatMap(([name, colour]) => (kind.test(name) ? [colour] : []));
      const methods = of(/^m\d$/);
      expect(new Set([...methods, ...of(/^k\d$/), colours.good, colours.bad, colours.muted]).size).toBe(
        7 + 9 + 3,
      );
    }
  });
});

describe('a page', () => {
  test('escapes what it is given, and lets no script run but its own', () => {
    const html = page('<b>', tag('p', { title: '"><script>' }, '<script>alert(1)</script>'));
    expect(html.match(/<script>/g)).toHaveLength(1);
    expect(html).toContain('&lt;script&gt;alert(1)');
    expect(html).toContain('Content-Security-Policy');
    expect(SCRIPT).not.toMatch(/<\/|innerHTML|eval\(|fetch\(|import\(/);
  });

  test('on a phone nothing is cut: tables become cards, panels stack; on paper nothing forces an empty page', () => {
    expect(STYLE).toMatch(/max-width: 720px[\s\S]*\.cards td::before \{ content: attr\(data-head\)/);
    expect(STYLE).toMatch(
      /max-width: 720px[\s\S]*\.panels, \.panels\.many[^}]*grid-template-columns: minmax\(0, 1fr\)/,
    );
    expect(STYLE).not.toContain('break-before: page');
  });

  test('the script is sound JavaScript', () => {
    expect(() => new Function(SCRIPT)).not.toThrow();
  });
});

test('a figure as PNG has 10 dots for each mm that it declares; without fonts there is none', async () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="50mm" height="25mm" viewBox="0 0 200 100"><rect width="200" height="100" fill="#fff"/><text x="9" y="50">Ag</text></svg>';
  const png = await pngOf(svg);
  if (png === undefined) return;
  const view = new DataView(png.buffer, png.byteOffset);
  expect(view.getUint32(16)).toBe(500);
  expect(view.getUint32(20)).toBe(250);
});
