/** Whether a browser tells a page what it has drawn. */

const SIDE = 8;
const COLOUR = [40, 120, 200, 255];

/**
 * Whether what is read of a canvas is what was drawn there. Some browsers tell noise in its place,
 * so that nobody is recognised by how theirs draws. They may be allowed to at any time.
 */
export function truthful() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const pen = canvas.getContext("2d");
  if (!pen) return false;
  pen.fillStyle = `rgb(${COLOUR.slice(0, 3).join()})`;
  pen.fillRect(0, 0, SIDE, SIDE);
  const { data } = pen.getImageData(0, 0, SIDE, SIDE);
  // A level more or less, as some make it, is seen by nobody.
  return data.every((level, at) => Math.abs(level - Number(COLOUR[at % 4])) <= 1);
}
