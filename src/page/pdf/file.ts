import { deflateSync } from 'node:zlib';
import { FONTS } from './letters.ts';

/** What a file of one page holds. */
export interface PdfPage {
  /** In pt. */
  readonly width: number;
  readonly height: number;
  readonly content: string;
  readonly opacities: readonly number[];
  readonly title: string;
}

/** A PDF of one page (ISO 32000-1, 7.5): equal pages give equal bytes. */
export function pdfFile({ width, height, content, opacities, title }: PdfPage): Uint8Array {
  const stream = deflateSync(Buffer.from(content, 'latin1'), { level: 9 });
  const fonts = Object.entries(FONTS).map(([name, { base, encoding }]) => {
    const coded = encoding === undefined ? '' : ` /Encoding /${encoding}`;
    return `/${name} << /Type /Font /Subtype /Type1 /BaseFont /${base}${coded} >>`;
  });
  const states = opacities.map((value, i) => `/o${i} << /ca ${round(value)} /CA ${round(value)} >>`);
  const resources = `<< /Font << ${fonts.join(' ')} >> /ExtGState << ${states.join(' ')} >> >>`;
  const objects: (string | Buffer)[][] = [
    ['<< /Type /Catalog /Pages 2 0 R >>'],
    ['<< /Type /Pages /Kids [3 0 R] /Count 1 >>'],
    [
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${round(width)} ${round(height)}] /Resources ${resources} /Contents 4 0 R >>`,
    ],
    [`<< /Length ${stream.length} /Filter /FlateDecode >>\nstream\n`, stream, '\nendstream'],
    [`<< /Title <feff${Buffer.from(title, 'utf16le').swap16().toString('hex')}> /Producer (Penumbra) >>`],
  ];
  const parts: Buffer[] = [Buffer.from('%PDF-1.4\n%\xe2\xe3\xcf\xd3\n', 'latin1')];
  const offsets: number[] = [];
  let length = parts[0]!.length;
  const add = (piece: string | Buffer) => {
    const bytes = typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece;
    parts.push(bytes);
    length += bytes.length;
  };
  for (const [i, pieces] of objects.entries()) {
    offsets.push(length);
    add(`${i + 1} 0 obj\n`);
    for (const piece of pieces) add(piece);
    add('\nendobj\n');
  }
  const table = length;
  const entries = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`);
  add(`xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${entries.join('')}`);
  add(`trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info 5 0 R >>\nstartxref\n${table}\n%%EOF\n`);
  return Buffer.concat(parts);
}

function round(value: number): string {
  return String(Number(value.toFixed(3)));
}
