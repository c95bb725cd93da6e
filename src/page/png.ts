import sharp from 'sharp';

/**
 * An SVG file's picture as PNG, {@link DPI} dots per inch of the width in mm that it declares.
 * @returns undefined where this machine has no fonts: a figure without its labels would mislead
 */
export async function pngOf(svg: string): Promise<Uint8Array | undefined> {
  if (!(await drawsText())) return undefined;
  const mm = Number(/ width="([\d.]+)mm"/.exec(svg)?.[1] ?? WIDEST_MM);
  const width = Math.round((mm * DPI) / 25.4);
  return await sharp(Buffer.from(svg), { density: DPI })
    .resize({ width })
    .png({ compressionLevel: 9, palette: true })
    .toBuffer();
}

const DPI = 254;
const WIDEST_MM = 178;

let known: Promise<boolean> | undefined;

/** Whether letters leave ink. */
function drawsText(): Promise<boolean> {
  known ??= (async () => {
    const svg =
      '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20" fill="#fff"/><text x="2" y="16" font-family="Helvetica, Arial, sans-serif" font-size="16">Ag</text></svg>';
    const { data } = await sharp(Buffer.from(svg)).greyscale().raw().toBuffer({ resolveWithObject: true });
    return data.some((value) => value < 128);
  })();
  return known;
}
