// A scan as pictures, one per slice or a TIFF of several pages, and masks beside them: lggseg/scans/pictures.py.

import {decode as decodePng} from "fast-png";
import {decode as decodeTiff} from "tiff";
import {median} from "../arrays.js";
import {LggError} from "../errors.js";
import {checkSize, reading, tuple} from "./sizes.js";

const SUFFIX = /\.(tiff?|png|jpe?g|bmp)$/i;
const MASK = /(?<![a-z])(?:masks?|seg|segmentations?|labels?|annotations?|(?:ground)?truth|gt|roi)(?![a-z])/gi;
const READINGS = [/(\d+)/, /(-?\d+)/, /(\d+(?:[.,]\d+)?)/, /(-?\d+(?:[.,]\d+)?)/]; // of numbers in names
const SIGN = /(?:^|[^a-z0-9])-\d|-\d+[.,]\d/i; // more than a dash after a word
const SURE = 30; // pixels of either value from which on a slice of two values is a mask

export function isPicture(name) {
  return SUFFIX.test(name);
}

function stem(name) {
  return name.replace(/^.*\//, "").replace(/\.[^.]*$/, "");
}

/** By a word in the name, such as NAME_mask.png or labels.png. */
export function isMask(name) {
  return stem(name).search(MASK) >= 0;
}

/** A name as file systems compare it that know neither case nor two ways to write an accent. */
function plain(name) {
  return name.normalize("NFC").toLowerCase();
}

/** What the names of a slice and its mask share, such as 7 of 7.png, 7_mask.png, mask_7.png. */
function sliceName(name) {
  return plain(stem(name).replace(MASK, "")).replace(/^[_\-. ]+|[_\-. ]+$/g, "");
}

/** Slices in the order of their numbers, with 1 channel (grey) or 3, and the truth where every slice has its mask. */
export async function readPictures(files) {
  const masks = files.filter((file) => isMask(file.name));
  const {slices, warnings} = inOrder(files.filter((file) => !isMask(file.name)));
  const pages = [];
  for (const file of slices) pages.push(await readPages(file));
  checkAlike(slices, pages);
  const all = pages.flat();
  const {height, width} = all[0];
  await reading(slices[0].name, "a picture", () => checkSize(all.length, height, width));
  const names = slices.length === all.length ? slices.map((file) => stem(file.name))
    : all.map((_, page) => `${stem(slices[0].name)}_${page + 1}`);
  const truth = masks.length ? await readTruth(slices, masks, pages) : null;
  return {name: slices[0].name, depth: all.length, height, width, channels: channelsOf(all), names, grid: null,
    header: null, truth, warnings};
}

/** Every picture must have the first one's size, channels and type, a name of its own, and none may be a mask. */
function checkAlike(files, pages) {
  const seen = new Map();
  const all = pages.flat();
  files.forEach((file, i) => {
    const name = plain(stem(file.name));
    const copy = pages.slice(0, i).findIndex((other) => isSame(other[0].data, pages[i][0].data));
    let wrong = "";
    if (seen.has(name)) {
      wrong = `two slices of one name, this and ${seen.get(name).name}; rename one, or take it out`;
    } else if (pages[i].length > 1 && files.length > 1) {
      wrong = "holds several slices; give it alone, or one picture per slice";
    } else if (kind(pages[i]) !== kind(pages[0])) {
      wrong = `${kind(pages[i])}, but ${files[0].name} is ${kind(pages[0])}; all slices of a scan are alike: give one scan alone`;
    } else if (copy >= 0) {
      wrong = `shows the very same picture as ${files[copy].name}; take the copy out`;
    } else if (pages[i].every((page) => hasTwoValues(page)) && !all.every((page) => hasTwoValues(page, 0))) {
      wrong = "has two values, as a mask has, and other slices have more; take the masks out";
    }
    if (wrong) throw new LggError(`${file.name}: ${wrong}`);
    seen.set(name, file);
  });
}

/** Whether two pictures hold the same levels, and more than one. */
function isSame(one, other) {
  return one.length === other.length && one.every((level, k) => level === other[k]) && one.some((level) => level !== one[0]);
}

/** Type and shape, as NumPy tells them. */
function kind(pages) {
  const [{height, width, channels, data}] = pages;
  const type = data.constructor.name.replace("Array", "").replace("Clamped", "").toLowerCase();
  return `${type} ${tuple([pages.length, height, width, ...(channels === 1 ? [] : [channels])])}`;
}

/** Whether there are two values in a picture, each so often: fewer are specks on an empty slice. */
function hasTwoValues({data}, each = SURE) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of data) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  let lit = 0;
  for (const value of data) {
    if (value === high) lit++;
    else if (value !== low) return false;
  }
  return lit >= each && lit <= data.length - each;
}

/**
 * Files by the numbers in their names, and a warning where these do not make one even row.
 *
 * A minus is a sign, and a point a decimal one, where this reading alone gives numbers that differ, or even steps.
 */
function inOrder(files) {
  const orders = new Map();
  for (const pattern of READINGS) {
    const order = [...files].sort((one, other) => compareParts(parts(one, pattern), parts(other, pattern)) ||
      (one.name < other.name ? -1 : 1));
    const table = changingNumbers(order, pattern);
    const allNegative = table[0].some((_, column) => table.every((row) => row[column] < 0 || Object.is(row[column], -0)));
    if (allNegative && !SIGN.test(stem(files[0].name))) continue; // a dash before each number
    const different = new Set(table.map(String)).size === files.length;
    const score = (different ? 1 : 0) + (isEven(table) ? 1 : 0);
    const key = order.map((file) => file.name).join("\n");
    if (!orders.has(key) || score > orders.get(key).score) orders.set(key, {order, pattern, score});
  }
  const best = Math.max(...[...orders.values()].map(({score}) => score));
  const chosen = [...orders.values()].filter(({score}) => score === best);
  if (chosen.length > 1) {
    throw new LggError(`${files[0].name}: the numbers in the names of the slices can be read in several ways, with or ` +
      "without signs and decimals; rename them to 001, 002 and so on");
  }
  return {slices: chosen[0].order, warnings: oddNames(chosen[0].order, chosen[0].pattern)};
}

/** The words and numbers of a file's name in turn, so that slice_2 comes before slice_10. */
function parts(file, pattern) {
  return stem(file.name).split(pattern).map((part, i) => (i % 2 ? Number(part.replace(",", ".")) : part));
}

function compareParts(one, other) {
  for (let i = 0; i < Math.min(one.length, other.length); i++) {
    if (one[i] !== other[i]) return one[i] < other[i] ? -1 : 1;
  }
  return one.length - other.length;
}

/** Of each name the numbers that change; none where some names have more. */
function changingNumbers(files, pattern) {
  const table = files.map((file) => parts(file, pattern).filter((_, i) => i % 2));
  if (table.some((row) => row.length !== table[0].length)) return files.map(() => []);
  const changes = table[0].map((value, column) => table.some((row) => row[column] !== value));
  return table.map((row) => row.filter((_, column) => changes[column]));
}

/** Whether one number changes, by the same step from file to file. */
function isEven(table) {
  if (table[0].length !== 1) return false;
  const steps = table.slice(1).map((row, i) => row[0] - table[i][0]);
  return Math.max(...steps) - Math.min(...steps) < 1e-6;
}

/** A warning where names differ in more than numbers, or these have a gap or come twice. */
function oddNames(files, pattern) {
  const words = files.map((file) => String(parts(file, pattern).filter((_, i) => i % 2 === 0)));
  const other = files.find((_, i) => words[i] !== words[0]);
  if (other) {
    return [`${files[0].name} and ${other.name} are named in two ways, and taken as slices of one scan, in the order of ` +
      "their names; give one scan alone"];
  }
  const table = changingNumbers(files, pattern);
  if (table[0].length !== 1 || isEven(table)) return [];
  const steps = table.slice(1).map((row, i) => row[0] - table[i][0]);
  const usual = median(steps);
  const odd = steps.findIndex((step) => Math.abs(step - usual) > 1e-6);
  return [`${files[odd].name} and ${files[odd + 1].name} are neighbours, and their numbers are not as far apart as those of ` +
    "other slices; a slice may be lost, or there twice"];
}

/** The pages' channels, each slice after slice; three equal channels are one. */
function channelsOf(pages) {
  const size = pages[0].width * pages[0].height;
  const count = pages[0].channels;
  const channels = Array.from({length: count}, () => new pages[0].data.constructor(pages.length * size));
  pages.forEach(({data}, d) => {
    for (let k = 0; k < size; k++) for (let c = 0; c < count; c++) channels[c][d * size + k] = data[count * k + c];
  });
  const differ = channels.some((channel) => channel.some((value, i) => value !== channels[0][i]));
  return differ ? channels : [channels[0]];
}

/** The pages of a picture file: {width, height, channels (1 or 3), data}. */
function readPages({name, buffer}) {
  return reading(name, "a picture", () => pagesOf(buffer));
}

function pagesOf(buffer) {
  const bytes = new Uint8Array(buffer);
  if (bytes[0] === 0x89 && bytes[1] === 0x50) return [fromPng(bytes)];
  const isTiff = (bytes[0] === 0x49 && bytes[1] === 0x49) || (bytes[0] === 0x4d && bytes[1] === 0x4d);
  return isTiff ? fromTiff(buffer) : fromBrowser(bytes);
}

function fromPng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  checkSize(view.getUint32(20), view.getUint32(16));
  const png = decodePng(bytes, {checkCrc: true});
  const {width, height, palette} = png;
  if (png.depth === 1 && !palette) throw oneBit();
  const size = width * height;
  if (palette) return {width, height, channels: 3, data: fromPalette(png, size)};
  const alpha = png.channels === 2 || png.channels === 4;
  if (alpha && png.depth === 16) throw new LggError("has 16 bits and transparency; save it without");
  const channels = png.channels >= 3 ? 3 : 1;
  const values = png.depth < 8 ? spread(png, size) : png.data;
  const data = new values.constructor(size * channels);
  for (let k = 0; k < size; k++) {
    if (alpha && values[png.channels * k + channels] !== 255) throw transparent();
    for (let c = 0; c < channels; c++) data[channels * k + c] = values[png.channels * k + c];
  }
  return {width, height, channels, data};
}

function transparent() {
  return new LggError("is partly transparent, and what shows there depends on the viewer; save it without transparency");
}

function oneBit() {
  return new LggError("has 1 bit a pixel, as a mask has; a scan has at least 8: name the scan");
}

/** Grey pixels of 2 or 4 bits as bytes. */
function spread({data, depth, width, height}, size) {
  return unpack(data, depth, width, height, size).map((value) => (value * 255) / (2 ** depth - 1));
}

/** One number a pixel, of rows that hold several pixels a byte. */
function unpack(data, depth, width, height, size) {
  if (depth === 8 || data.length === size) return Uint8Array.from(data);
  const perRow = Math.ceil((width * depth) / 8);
  const values = new Uint8Array(size);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      const shift = 8 - depth - (bit % 8);
      values[y * width + x] = (data[y * perRow + (bit >> 3)] >> shift) & (2 ** depth - 1);
    }
  }
  return values;
}

function fromPalette(png, size) {
  const numbers = unpack(png.data, png.depth, png.width, png.height, size);
  const data = new Uint8Array(3 * size);
  for (let k = 0; k < size; k++) {
    const colour = png.palette[numbers[k]];
    if (colour.length === 4 && colour[3] !== 255) throw transparent();
    data.set(colour.slice(0, 3), 3 * k);
  }
  return data;
}

function fromTiff(buffer) {
  const described = decodeTiff(buffer, {ignoreImageData: true});
  for (const page of described) {
    checkSize(page.height, page.width);
    if (page.bitsPerSample === 1) throw oneBit();
  }
  checkSize(described.length, described[0].height, described[0].width);
  return decodeTiff(buffer).map((page) => {
    const {width, height} = page;
    const samples = page.samplesPerPixel ?? 1;
    if (samples !== 1 && samples !== 3) {
      throw new LggError(`has ${samples} channels, and a viewer shows 1 or 3; save each sequence on its own, without ` +
        "transparency, and name them by --flair, --pre and --post");
    }
    let data = page.data;
    if (page.sampleFormat === 2 && data instanceof Uint16Array) data = Int16Array.from(data);
    if (page.palette) {
      data = Uint8Array.from(Array.from(data).flatMap((number) => page.palette[number].map((level) => level >> 8)));
      return {width, height, channels: 3, data};
    }
    return {width, height, channels: samples, data};
  });
}

/** JPEG and BMP, which every browser reads. */
async function fromBrowser(bytes) {
  const size = jpegSize(bytes) ?? bmpSize(bytes);
  if (!size) throw new Error("neither PNG, TIFF, JPEG nor BMP");
  checkSize(...size);
  const bitmap = await createImageBitmap(new Blob([bytes]), {colorSpaceConversion: "none"});
  const {width, height} = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(3 * width * height);
  for (let k = 0; k < width * height; k++) for (let c = 0; c < 3; c++) data[3 * k + c] = pixels[4 * k + c];
  return [{width, height, channels: 3, data}];
}

/** Height and width in a JPEG's header, or null where the bytes are no JPEG. */
function jpegSize(bytes) {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return null;
  let place = 2;
  while (place + 9 < bytes.length) {
    if (bytes[place] !== 0xff) return null;
    const marker = bytes[place + 1];
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return [(bytes[place + 5] << 8) + bytes[place + 6], (bytes[place + 7] << 8) + bytes[place + 8]];
    place += 2 + (bytes[place + 2] << 8) + bytes[place + 3];
  }
  throw new Error("a JPEG without a picture");
}

function bmpSize(bytes) {
  if (bytes[0] !== 0x42 || bytes[1] !== 0x4d) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return [Math.abs(view.getInt32(22, true)), view.getInt32(18, true)];
}

/** The masks of all slices. */
async function readTruth(files, masks, pages) {
  const shapeOf = (found) => tuple([found.length, found[0].height, found[0].width]);
  const owners = new Map(files.map((file, i) => [sliceName(file.name), pages[i]]));
  const found = new Map();
  for (const mask of masks) {
    const name = sliceName(mask.name);
    let wrong = "";
    if (!owners.has(name)) {
      wrong = "a mask without its slice; a slice NAME.png has its mask in NAME_mask.png";
    } else if (found.has(name)) {
      wrong = "the slice has a second mask; take one out";
    } else {
      found.set(name, await readMask(mask));
      const [is, wanted] = [shapeOf(found.get(name)), shapeOf(owners.get(name))];
      if (is !== wanted) wrong = `${is} slices, rows and columns; its slice ${wanted}`;
    }
    if (wrong) throw new LggError(`${mask.name}: ${wrong}`);
  }
  if (found.size < files.length) {
    const lost = files.find((file) => !found.has(sliceName(file.name)));
    throw new LggError(`${lost.name}: ${files.length - found.size} of ${files.length} slices have no mask, and others have ` +
      "one; give every slice one (black where there is no tumour), or take them out");
  }
  const all = [...owners.keys()].flatMap((name) => found.get(name));
  const size = all[0].width * all[0].height;
  const truth = new Uint8Array(all.length * size);
  all.forEach(({data, channels}, d) => {
    for (let k = 0; k < size; k++) truth[d * size + k] = data[channels * k] > 0 ? 1 : 0;
  });
  return truth;
}

/** The pages of a mask: 0 and 255, 0 and 1, or single bits. */
function readMask({name, buffer}) {
  return reading(name, "a picture", async () => {
    const bytes = new Uint8Array(buffer);
    if (bytes[0] === 0x89 && bytes[1] === 0x50) {
      const {depth, width, height, data} = decodePng(bytes, {checkCrc: true});
      if (depth === 1) return [{width, height, channels: 1, data: unpack(data, 1, width, height, width * height)}];
    }
    const pages = await pagesOf(buffer);
    for (const page of pages) {
      const values = [...new Set(page.data)].sort((a, b) => a - b);
      const fits = [[0, 255], [0, 1]].some((allowed) => values.every((value) => allowed.includes(value)));
      if (!fits) {
        throw new LggError(`it has the values [${values.slice(0, 6).join(", ")}]; a mask holds 0 and 255 (or 0 and 1) ` +
          "only: save it without smoothing or lossy compression");
      }
    }
    return pages;
  });
}
