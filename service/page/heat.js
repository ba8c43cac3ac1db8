/** A class activation map as a picture to be laid over a face. */

/** @typedef {{canvas: HTMLCanvasElement, width: number, height: number, blank: boolean}} Heat */

/** Maps have a few places on each side. Larger pictures are none, and are not unpacked. */
const LARGEST = 256;
const KEPT = 200;
const PNG = "\x89PNG\r\n\x1a\n";

/** From the weakest to the strongest place: red, green, blue, and opacity of 1; as in the legend's
 * strip, and none of the verdicts' colours. */
const WEAK = [214, 190, 255, 0.3];
const STRONG = [98, 0, 190, 0.72];

/** @type {Map<string, Promise<Heat | null>>} */
const known = new Map();

/**
 * The map in a base64 PNG; null where it holds none.
 * @param {string} base64
 */
export function heat(base64) {
  let found = known.get(base64);
  if (!found) {
    if (known.size >= KEPT) known.clear();
    found = unpack(base64).catch(() => null);
    known.set(base64, found);
  }
  return found;
}

/**
 * @param {string} base64
 * @returns {Promise<Heat | null>}
 */
async function unpack(base64) {
  const head = atob(base64.slice(0, 32));
  const [width, height] = [side(head, 16), side(head, 20)];
  if (!head.startsWith(PNG) || !width || !height || width > LARGEST || height > LARGEST) {
    return null;
  }
  const image = new Image();
  image.src = `data:image/png;base64,${base64}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d");
  if (!pen) return null;
  pen.drawImage(image, 0, 0);
  const picture = pen.getImageData(0, 0, width, height);
  const { data } = picture;
  let blank = true;
  for (let at = 0; at < data.length; at += 4) {
    const level = Number(data[at]) / 255;
    if (level) blank = false;
    const [red, green, blue, opacity] = WEAK.map(
      (weak, part) => weak + (Number(STRONG[part]) - weak) * level,
    );
    // Black is where the authors of the maps draw nothing.
    data.set([Number(red), Number(green), Number(blue), level && Number(opacity) * 255], at);
  }
  pen.putImageData(picture, 0, 0);
  return { canvas, width, height, blank };
}

/**
 * A side of the picture as its head names it.
 * @param {string} head
 * @param {number} at
 */
function side(head, at) {
  return [0, 1, 2, 3].reduce((sum, place) => sum * 256 + (head.charCodeAt(at + place) || 0), 0);
}
