// A scan as pictures, one per slice or a TIFF of several pages, and masks beside them: lggseg/scans/pictures.py.

import {decode as decodePng} from "fast-png";
import {decode as decodeTiff} from "tiff";
import {median} from "../arrays.js";
import {LggError} from "../errors.js";
import {checkSize, reading, tuple} from "./sizes.js";

const MOST_COLOURS = 1.25 * 3 * 256; // on a line through the colours
const ENOUGH = 20; // pixels of each colour, that tell a colour map from the few levels of an empty slice
const SUFFIX = /\.(tiff?|png|jpe?g|bmp)$/i;
const MASK =
  /(?<![a-z])(?:masks?|seg|segmentations?|labels?|annotations?|(?:ground)?truth|gt|roi)(?![a-z])/gi;
const READINGS = [
  /(\d+)/,
  /([-+]?\d+)/,
  /(\d+(?:[.,]\d+)?(?:e[-+]?\d+)?)/,
  /([-+]?\d+(?:[.,]\d+)?(?:e[-+]?\d+)?)/,
]; // of numbers in names
const SIGN = /(?:^|[^a-z0-9])-\d|-\d+[.,]\d/i; // more than a dash after a word
const MOST_PIXELS = 178_956_970; // that Pillow unpacks
const TIFF_BYTES = {
  1: 1,
  2: 1,
  3: 2,
  4: 4,
  5: 8,
  6: 1,
  7: 1,
  8: 2,
  9: 4,
  10: 8,
  11: 4,
  12: 8,
  13: 4,
}; // of a tag's types
const SIZES_OF_PIXELS = [279, 325]; // tags: bytes of each strip, of each tile
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
  const byName = (one, other) => (one.name < other.name ? -1 : 1);
  const masks = files.filter((file) => isMask(file.name)).sort(byName);
  const slices = files.filter((file) => !isMask(file.name)).sort(byName);
  const pages = new Map();
  for (const file of slices) pages.set(file, await readPages(file));
  checkAlike(
    slices,
    slices.map((file) => pages.get(file)),
  );
  const [{height, width}] = pages.get(slices[0]);
  const depth = [...pages.values()].flat().length;
  await reading(slices[0].name, "a picture", () => checkSize(depth, height, width));
  const drawn = masks.length ? await readTruth(slices, masks, pages) : null;
  const {order, warnings} = inOrder(slices);
  const all = order.flatMap((file) => pages.get(file));
  const channels = channelsOf(all);
  if (channels.length === 3 && followsColourMap(channels)) {
    throw new LggError(
      `${order[0].name}: its colours are those of a colour map, such as jet or hot, and not three sequences; save the grey levels themselves`,
    );
  }
  const names =
    order.length === all.length
      ? order.map((file) => stem(file.name))
      : all.map((_, page) => `${stem(order[0].name)}_${page + 1}`);
  const truth = drawn ? asMask(order.flatMap((file) => drawn.get(file))) : null;
  return {
    name: order[0].name,
    depth,
    height,
    width,
    channels,
    names,
    grid: null,
    header: null,
    truth,
    warnings,
  };
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
    } else if (
      pages[i].every((page) => hasTwoValues(page)) &&
      !all.every((page) => hasTwoValues(page, 0))
    ) {
      wrong = "has two values, as a mask has, and other slices have more; take the masks out";
    } else if (copy >= 0) {
      wrong = `shows the very same picture as ${files[copy].name}; take the copy out`;
    } else if (isPainted(pages[i])) {
      wrong = "is grey but for some coloured pixels, such as an outline; give it without them";
    }
    if (wrong) throw new LggError(`${file.name}: ${wrong}`);
    seen.set(name, file);
  });
}

/** Whether nearly all that is lit in colours is grey, but not all of it. */
function isPainted(pages) {
  if (pages[0].channels < 3) return false;
  let brightest = 0;
  for (const {data} of pages) for (const level of data) brightest = Math.max(brightest, level);
  let lit = 0;
  let grey = 0;
  for (const {data} of pages) {
    for (let i = 0; i < data.length; i += 3) {
      const high = Math.max(data[i], data[i + 1], data[i + 2]);
      if (high <= 0.05 * brightest) continue;
      const low = Math.min(data[i], data[i + 1], data[i + 2]);
      lit++;
      if (high - low <= 0.03 * brightest) grey++;
    }
  }
  return lit >= 100 && grey > 0.9 * lit && grey < lit;
}

/** Whether the colours lie on a line, as those that a colour map gives: no more colours than levels of all channels. */
function followsColourMap([red, green, blue]) {
  if (red.BYTES_PER_ELEMENT > 1) return false;
  const counts = new Map();
  for (let i = 0; i < red.length; i++) {
    const colour = (red[i] << 16) | (green[i] << 8) | blue[i];
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
    if (counts.size > MOST_COLOURS) return false;
  }
  const levels = [red, green, blue].map((channel) => new Set(channel).size);
  const commonest = Math.max(...counts.values());
  const onALine =
    Math.min(...levels) > 1 && counts.size <= 1.25 * (levels[0] + levels[1] + levels[2]);
  return onALine && red.length - commonest >= ENOUGH * counts.size;
}

/** Whether two pictures hold the same levels, and more than one. */
function isSame(one, other) {
  return (
    one.length === other.length &&
    one.every((level, k) => level === other[k]) &&
    one.some((level) => level !== one[0])
  );
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
 * Files by the numbers in their names, and a warning where these have a gap.
 *
 * A minus is a sign, and a point a decimal one, where this reading alone gives an order, or even steps.
 */
function inOrder(files) {
  if (files.length === 1) return {order: files, warnings: []};
  const orders = new Map();
  for (const pattern of READINGS) {
    const numbers = sliceNumbers(files, pattern);
    if (!numbers) continue;
    const order = [...files].sort((one, other) => numbers.get(one) - numbers.get(other));
    const steps = order.slice(1).map((file, i) => numbers.get(file) - numbers.get(order[i]));
    const key = order.map((file) => file.name).join("\n");
    if (!orders.has(key) || rangeOf(steps) < rangeOf(orders.get(key).steps))
      orders.set(key, {order, steps});
  }
  const all = [...orders.values()];
  const even = all.filter(({steps}) => rangeOf(steps) < 1e-6);
  const left = even.length ? even : all;
  if (left.length !== 1) {
    const what = left.length ? "can be read in several ways" : "do not give one number to each";
    throw new LggError(
      `${files[0].name}: the numbers in the names of the slices ${what}, so their order is open; give one ` +
        "scan alone, and rename its slices to 001, 002 and so on",
    );
  }
  const [{order, steps}] = left;
  return {order, warnings: even.length ? [] : gapIn(order, steps)};
}

/** The first number in names that differs in all, by file; null where there is none, or where words differ. */
function sliceNumbers(files, pattern) {
  const parts = files.map((file) => plain(stem(file.name)).split(pattern));
  const words = parts.map((row) => String(row.filter((_, i) => i % 2 === 0)));
  if (words.some((each) => each !== words[0])) return null;
  for (let column = 1; column < parts[0].length; column += 2) {
    const numbers = parts.map((row) => Number(row[column].replace(",", ".")));
    const allNegative = numbers.every((value) => value < 0 || Object.is(value, -0));
    const isDash = allNegative && !SIGN.test(stem(files[0].name)); // before each number
    if (new Set(numbers).size === files.length && !isDash) {
      return new Map(files.map((file, i) => [file, numbers[i]]));
    }
  }
  return null;
}

function rangeOf(values) {
  return Math.max(...values) - Math.min(...values);
}

function gapIn(order, steps) {
  const usual = median(steps);
  const odd = steps.findIndex((step) => Math.abs(step - usual) > 1e-6);
  return [
    `${order[odd].name} and ${order[odd + 1].name} are neighbours, and their numbers are not as far apart as those of ` +
      "other slices; a slice may be lost",
  ];
}

/** The pages' channels, each slice after slice; three equal channels are one. */
function channelsOf(pages) {
  const size = pages[0].width * pages[0].height;
  const count = pages[0].channels;
  const channels = Array.from(
    {length: count},
    () => new pages[0].data.constructor(pages.length * size),
  );
  pages.forEach(({data}, d) => {
    for (let k = 0; k < size; k++)
      for (let c = 0; c < count; c++) channels[c][d * size + k] = data[count * k + c];
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
  const isTiff =
    (bytes[0] === 0x49 && bytes[1] === 0x49) || (bytes[0] === 0x4d && bytes[1] === 0x4d);
  return isTiff ? fromTiff(buffer) : fromBrowser(bytes);
}

function fromPng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  checkPicture(view.getUint32(20), view.getUint32(16));
  const png = decodePng(bytes, {checkCrc: true});
  const {width, height, palette} = png;
  if (png.depth === 1 && !palette) throw oneBit();
  const size = width * height;
  if (palette) return {width, height, channels: 3, data: fromPalette(png, size)};
  const alpha = png.channels === 2 || png.channels === 4;
  if (alpha && png.depth === 16)
    throw new LggError("has 16 bits and transparency; save it without");
  const channels = png.channels >= 3 ? 3 : 1;
  const values = png.depth < 8 ? spread(png, size) : png.data;
  const data = new values.constructor(size * channels);
  for (let k = 0; k < size; k++) {
    if (alpha && values[png.channels * k + channels] !== 255) throw transparent();
    for (let c = 0; c < channels; c++) data[channels * k + c] = values[png.channels * k + c];
  }
  return {width, height, channels, data};
}

/** Refuse a picture that is larger than any slice; Pillow has words of its own for the largest. */
function checkPicture(height, width) {
  const pixels = height * width;
  if (pixels > MOST_PIXELS) {
    throw new LggError(
      `Image size (${pixels} pixels) exceeds limit of ${MOST_PIXELS} pixels; no scan has slices as large: ` +
        "crop or shrink it",
    );
  }
  checkSize(height, width);
}

function transparent() {
  return new LggError(
    "is partly transparent, and what shows there depends on the viewer; save it without transparency",
  );
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
  checkUsed(new DataView(buffer));
  return decodeTiff(buffer).map((page) => {
    const {width, height} = page;
    const samples = page.samplesPerPixel ?? 1;
    if (samples !== 1 && samples !== 3) {
      throw new LggError(
        `has ${samples} channels, and a viewer shows 1 or 3; save each sequence on its own, without ` +
          "transparency, and name them by --flair, --pre and --post",
      );
    }
    let data = page.data;
    if (page.sampleFormat === 2 && data instanceof Uint16Array) data = Int16Array.from(data);
    if (page.palette) {
      data = Uint8Array.from(
        Array.from(data).flatMap((number) => page.palette[number].map((level) => level >> 8)),
      );
      return {width, height, channels: 3, data};
    }
    return {width, height, channels: samples, data};
  });
}

/** Refuse a TIFF file of which most belongs to no page. */
function checkUsed(view) {
  const {used, ofFirst} = tiffUse(view);
  const left = view.byteLength - used;
  if (left > 1000 && left > 0.5 * ofFirst) {
    throw new LggError(
      `${left} bytes of it belong to no page: its list of pages ends too early; save it again, or one ` +
        "picture per slice",
    );
  }
}

/** How many bytes the pages of a TIFF file use for pixels and for tags, and the first page's pixels alone. */
function tiffUse(view) {
  const little = view.getUint8(0) === 0x49;
  let used = 0;
  let ofFirst = null;
  let page = view.getUint32(4, little);
  while (page) {
    const count = view.getUint16(page, little);
    let pixels = 0;
    for (let i = 0; i < count; i++) {
      const entry = page + 2 + 12 * i;
      const type = view.getUint16(entry + 2, little);
      const bytes = (TIFF_BYTES[type] ?? 1) * view.getUint32(entry + 4, little);
      used += 20 + bytes;
      const isSizes = SIZES_OF_PIXELS.includes(view.getUint16(entry, little));
      if (isSizes) pixels += sumOfTag(view, entry, type, bytes, little);
    }
    used += pixels;
    ofFirst ??= pixels;
    page = view.getUint32(page + 2 + 12 * count, little);
  }
  return {used, ofFirst};
}

/** Sum of a tag's numbers, which stand in the tag itself where they have at most four bytes. */
function sumOfTag(view, entry, type, bytes, little) {
  const start = bytes <= 4 ? entry + 8 : view.getUint32(entry + 8, little);
  const isShort = type === 3;
  let total = 0;
  for (let place = start; place < start + bytes; place += isShort ? 2 : 4) {
    total += isShort ? view.getUint16(place, little) : view.getUint32(place, little);
  }
  return total;
}

/** JPEG and BMP, which every browser reads. */
async function fromBrowser(bytes) {
  const size = jpegSize(bytes) ?? bmpSize(bytes);
  if (!size) throw new Error("neither PNG, TIFF, JPEG nor BMP");
  checkPicture(...size);
  const bitmap = await createImageBitmap(new Blob([bytes]), {colorSpaceConversion: "none"});
  const {width, height} = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(3 * width * height);
  for (let k = 0; k < width * height; k++)
    for (let c = 0; c < 3; c++) data[3 * k + c] = pixels[4 * k + c];
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
    if (isFrame)
      return [
        (bytes[place + 5] << 8) + bytes[place + 6],
        (bytes[place + 7] << 8) + bytes[place + 8],
      ];
    place += 2 + (bytes[place + 2] << 8) + bytes[place + 3];
  }
  throw new Error("a JPEG without a picture");
}

function bmpSize(bytes) {
  if (bytes[0] !== 0x42 || bytes[1] !== 0x4d) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return [Math.abs(view.getInt32(22, true)), view.getInt32(18, true)];
}

/** The pages of each slice's mask, by the slice's file. */
async function readTruth(files, masks, pages) {
  const shapeOf = (found) => tuple([found.length, found[0].height, found[0].width]);
  const owners = new Map(files.map((file) => [sliceName(file.name), file]));
  const truth = new Map();
  for (const mask of masks) {
    const owner = owners.get(sliceName(mask.name));
    let wrong = "";
    if (!owner) {
      wrong = "a mask without its slice; a slice NAME.png has its mask in NAME_mask.png";
    } else if (truth.has(owner)) {
      wrong = "the slice has a second mask; take one out";
    } else {
      truth.set(owner, await readMask(mask));
      const [is, wanted] = [shapeOf(truth.get(owner)), shapeOf(pages.get(owner))];
      if (is !== wanted) wrong = `${is} slices, rows and columns; its slice ${wanted}`;
    }
    if (wrong) throw new LggError(`${mask.name}: ${wrong}`);
  }
  const lost = files.filter((file) => !truth.has(file));
  if (lost.length) {
    throw new LggError(
      `${lost[0].name}: ${lost.length} of ${files.length} slices have no mask, and others have one; give ` +
        "every slice one (black where there is no tumour), or take them out",
    );
  }
  return truth;
}

/** Pages of masks as one mask, slice after slice. */
function asMask(pages) {
  const size = pages[0].width * pages[0].height;
  const mask = new Uint8Array(pages.length * size);
  pages.forEach(({data, channels}, d) => {
    for (let k = 0; k < size; k++) mask[d * size + k] = data[channels * k] > 0 ? 1 : 0;
  });
  return mask;
}

/** The pages of a mask: 0 and 255, 0 and 1, or single bits. */
function readMask({name, buffer}) {
  return reading(name, "a picture", async () => {
    const bytes = new Uint8Array(buffer);
    if (bytes[0] === 0x89 && bytes[1] === 0x50) {
      const {depth, width, height, data} = decodePng(bytes, {checkCrc: true});
      if (depth === 1)
        return [{width, height, channels: 1, data: unpack(data, 1, width, height, width * height)}];
    }
    const pages = await pagesOf(buffer);
    for (const page of pages) {
      const values = [...new Set(page.data)].sort((a, b) => a - b);
      const fits = [
        [0, 255],
        [0, 1],
      ].some((allowed) => values.every((value) => allowed.includes(value)));
      if (!fits) {
        throw new LggError(
          `it has the values [${values.slice(0, 6).join(", ")}]; a mask holds 0 and 255 (or 0 and 1) ` +
            "only: save it without smoothing or lossy compression",
        );
      }
    }
    return pages;
  });
}
