import { inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { pdfOf } from './index.ts';

const svg = (body: string, style = '') =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="25.4mm" height="12.7mm" viewBox="0 0 100 50"><title>A &amp; ü</title><style>${style}</style>${body}</svg>`;

/** The objects of a file by number, found by its table as a reader does; the content is unpacked. */
function read(pdf: Uint8Array): { objects: string[]; content: string } {
  const text = Buffer.from(pdf).toString('latin1');
  expect(text.startsWith('%PDF-1.4\n')).toBe(true);
  const table = Number(/startxref\n(\d+)\n%%EOF\n$/.exec(text)![1]);
  const [, count, entries] = /^xref\n0 (\d+)\n((?:\d{10} \d{5} [fn] \n)+)trailer/.exec(text.slice(table))!;
  const offsets = entries!
    .trim()
    .split('\n')
    .map((line) => Number(line.slice(0, 10)));
  expect(offsets).toHaveLength(Number(count));
  const objects = offsets.slice(1).map((offset, i) => {
    expect(text.slice(offset)).toMatch(new RegExp(`^${i + 1} 0 obj\n`));
    return text.slice(offset, text.indexOf('\nendobj\n', offset));
  });
  const stream = objects[3]!;
  const from = stream.indexOf('stream\n') + 7;
  const length = Number(/\/Length (\d+)/.exec(stream)![1]);
  expect(stream.slice(from + length)).toBe('\nendstream');
  return {
    objects,
    content: inflateSync(Buffer.from(stream.slice(from, from + length), 'latin1')).toString('latin1'),
  };
}

const content = (body: string, style = '') => read(pdfOf(svg(body, style))!).content.split('\n');

test('a page of the declared size, its title in Unicode, the same bytes each time', () => {
  const pdf = pdfOf(svg('<rect x="1" y="2" width="3" height="4" fill="#fff"/>'))!;
  const { objects, content: drawn } = read(pdf);
  expect(objects[2]).toContain('/MediaBox [0 0 72 36]');
  expect(objects[4]).toContain('/Title <feff0041002000260020' + '00fc>');
  // 100 units are an inch; SVG counts from the top.
  expect(drawn.split('\n')[0]).toBe('0.72 0 0 -0.72 0 36 cm');
  expect(drawn).toContain('1 1 1 rg\n1 2 3 4 re\nf');
  expect(pdfOf(svg('<rect x="1" y="2" width="3" height="4" fill="#fff"/>'))).toEqual(pdf);
});

test('style sheets: classes of the element and of what is around it, the stronger selector wins, attributes are weakest', () => {
  const style =
    'svg .dot { fill: #f00; } .m0 .dot { fill: #00ff00; } svg path.run { fill: none; stroke: #00f; }';
  const lines = content(
    '<g class="method m0"><circle class="dot" cx="5" cy="5" r="2" fill="#fff"/></g><rect class="dot" x="0" y="0" width="1" height="1"/><path class="run" d="M0 0L1 1"/>',
    style,
  ).join('\n');
  expect(lines.match(/\d \d \d rg/g)).toEqual(['0 1 0 rg', '1 0 0 rg']);
  expect(lines.match(/\d \d \d RG/g)).toEqual(['0 0 1 RG']);
});

test('opacities multiply down a group, and become states of the page', () => {
  const pdf = pdfOf(
    svg('<g opacity="0.5"><rect x="0" y="0" width="1" height="1" fill-opacity="0.5" stroke="#000"/></g>'),
  )!;
  const { objects, content: drawn } = read(pdf);
  expect(objects[2]).toContain('/o0 << /ca 0.25 /CA 0.25 >> /o1 << /ca 0.5 /CA 0.5 >>');
  expect(drawn.match(/\/o\d gs/g)).toEqual(['/o0 gs', '/o1 gs']);
});

test('circles are four curves that stay on the circle', () => {
  const numbers = content('<circle cx="10" cy="20" r="5"/>')
    .find((line) => line.includes(' c '))!
    .match(/-?[\d.]+(?= )/g)!
    .map(Number);
  let [x, y] = numbers as [number, number];
  const curves = [];
  for (let i = 2; i + 5 < numbers.length; i += 6) curves.push(numbers.slice(i, i + 6));
  expect(curves).toHaveLength(4);
  for (const [x1, y1, x2, y2, x3, y3] of curves as [number, number, number, number, number, number][]) {
    for (const t of [0, 0.25, 0.5, 0.75, 1]) {
      const at = (a: number, b: number, c: number, d: number) =>
        (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t ** 2 * c + t ** 3 * d;
      expect(Math.hypot(at(x, x1, x2, x3) - 10, at(y, y1, y2, y3) - 20)).toBeCloseTo(5, 2);
    }
    [x, y] = [x3, y3];
  }
});

test('path commands, absolute and relative, and what no picture uses is refused', () => {
  const [path] = content('<path d="M1 2l3 4h-1v.5M5 5L6 6 7 7H0V1z"/>').filter((line) => line.includes(' l'));
  expect(path).toBe('1 2 m 4 6 l 3 6 l 3 6.5 l 5 5 m 6 6 l 7 7 l 0 7 l 0 1 l h');
  expect(() => pdfOf(svg('<path d="M0 0C1 1 2 2 3 3"/>'))).toThrow('no path command C');
  expect(() => pdfOf(svg('<rect x="NaN" y="0" width="1" height="1"/>'))).toThrow(RangeError);
});

test('text: anchors by the widths of Helvetica, letters of other fonts, rotation', () => {
  // A 667, b 556, 1 556 thousandths (Adobe's metrics).
  const middle = content('<text x="50" y="10" text-anchor="middle" font-size="10px">Ab1</text>');
  expect(middle).toContain('1 0 0 -1 41.105 10 Tm');
  expect(middle).toContain('/regular 10 Tf <416231> Tj');
  const mixed = content('<text x="0" y="0" font-size="10px" font-weight="700">a −1 ≥ ✓é–</text>');
  expect(mixed.filter((line) => line.endsWith('Tj'))).toEqual([
    '/bold 10 Tf <6120> Tj',
    '/symbol 10 Tf <2d> Tj',
    '/bold 10 Tf <3120> Tj',
    '/symbol 10 Tf <b3> Tj',
    '/bold 10 Tf <20> Tj',
    '/dingbats 10 Tf <33> Tj',
    '/bold 10 Tf <e996> Tj',
  ]);
  const turned = content('<text transform="translate(11 40) rotate(-90)" font-size="10px">x</text>');
  expect(turned.slice(1, 4)).toEqual(['q', '1 0 0 1 11 40 cm', '0 -1 1 0 0 0 cm']);
});

test('a letter that no standard font has is no page', () => {
  expect(pdfOf(svg('<text x="0" y="0">中</text>'))).toBeUndefined();
});
