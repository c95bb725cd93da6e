/** How anything is shown to people: one page design, its colours, its script, and a builder of HTML and SVG that escapes. */
export { type ColourName, contrast, DARK, LIGHT, pictureStyle } from './colours.ts';
export { page, prose } from './page.ts';
export * from './svg.ts';
export { HEAD, ROW, ROW_HEAD, type TableFrameOptions, tableFrame } from './table.ts';
