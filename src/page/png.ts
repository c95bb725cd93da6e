import sharp from 'sharp';

/**
 * An SVG file's picture as PNG, 254 dots per inch of its declared size.
 * @returns undefined where this machine has no fonts: a figure without its labels would mislead
 */
export async function pngOf(svg: string): Promise<Uint8Array | undefined> {
  if (!(await drawsText())) return undefined;
  return await sharp(Buffer.from(svg), { density: 254 })
    .png({ compressionLevel: 9, palette: true })
    .toBuffer();
}

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
