// A scan as pictures, one per slice or a TIFF of several pages, and masks beside them: lggseg/scans/pictures.py.

import {decode as decodePng} from "fast-png";
import {decode as decodeTiff} from "tiff";
import {LggError} from "../errors.js";
import {checkSize} from "./sizes.js";

const SUFFIX = /\.(tiff?|png|jpe?g|bmp)$/i;

export function isPicture(name) {
  return SUFFIX.test(name);
}

function stem(name) {
  return name.replace(/^.*\//, "").replace(/\.[^.]*$/, "");
}

export function isMask(name) {
  return /_mask$/i.test(stem(name));
}

/** Slices in the order of their numbers, with 1 channel (grey) or 3, and the truth where every slice has its mask. */
export async function readPictures(files) {
  const byNumber = new Intl.Collator("en", {numeric: true});
  const slices = files.filter((file) => !isMask(file.name)).sort((a, b) => byNumber.compare(a.name, b.name));
  const masks = files.filter((file) => isMask(file.name));
  if (!slices.length) throw new LggError(`${files[0].name}: is a mask by its name; name the picture beside it`);
  const pages = [];
  for (const file of slices) pages.push(await readPages(file));
  const several = slices.findIndex((_, i) => pages[i].length > 1);
  if (slices.length > 1 && several >= 0) {
    throw new LggError(`${slices[several].name}: holds several slices, and there are other pictures beside it; give ` +
      "one stack, or one picture per slice");
  }
  const all = pages.flat();
  const names = slices.length > 1 || all.length === 1 ? slices.map((file) => stem(file.name))
    : all.map((_, page) => `${stem(slices[0].name)}_${page + 1}`);
  checkAlike(slices, all);
  const [height, width] = [all[0].height, all[0].width];
  checkSize(slices[0].name, all.length, height, width);
  const truth = masks.length ? await readTruth(slices, masks, all) : null;
  return {name: slices[0].name, depth: all.length, height, width, channels: channelsOf(all), names, grid: null,
    header: null, truth, warnings: []};
}

/** Every picture must have the first one's size, channels and type. */
function checkAlike(files, pages) {
  const first = pages[0];
  pages.forEach((page, i) => {
    const name = (files[i] ?? files[0]).name;
    if (page.height !== first.height || page.width !== first.width) {
      throw new LggError(`${name}: (${page.height}, ${page.width}) pixels, but ${files[0].name} has (${first.height}, ` +
        `${first.width}); all slices of a scan must have one size: put each scan into a folder of its own`);
    }
    if (page.channels !== first.channels || page.data.constructor !== first.data.constructor) {
      throw new LggError(`${name}: ${kind(page)}, but ${files[0].name} is ${kind(first)}; all slices of a scan must be ` +
        "of one kind: export them together");
    }
  });
}

function kind({channels, data}) {
  return `${channels === 1 ? "grey" : "colour"} ${data.constructor.name.replace("Array", "").toLowerCase()}`;
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
async function readPages({name, buffer}) {
  try {
    const bytes = new Uint8Array(buffer);
    if (bytes[0] === 0x89 && bytes[1] === 0x50) return [fromPng(name, bytes)];
    if ((bytes[0] === 0x49 && bytes[1] === 0x49) || (bytes[0] === 0x4d && bytes[1] === 0x4d)) return fromTiff(name, buffer);
    return [await fromBrowser(name, bytes)];
  } catch (error) {
    if (error instanceof LggError) throw error;
    throw new LggError(`${name}: cannot be read as a picture (${error.message}); export it again, as 8- or 16-bit PNG ` +
      "or TIFF, or as NIfTI");
  }
}

function fromPng(name, bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  checkSize(name, view.getUint32(20), view.getUint32(16));
  const png = decodePng(bytes, {checkCrc: true});
  const {width, height, palette} = png;
  if (png.depth === 1 && !palette) throw new LggError(`${name}: has 1 bit a pixel, as a mask has; a scan has at least 8`);
  const size = width * height;
  if (palette) return {width, height, channels: 3, data: fromPalette(name, png, size)};
  const alpha = png.channels === 2 || png.channels === 4;
  const channels = png.channels >= 3 ? 3 : 1;
  const opaque = png.depth === 16 ? 65535 : 255;
  const values = png.depth < 8 ? spread(png, size) : png.data;
  const data = new values.constructor(size * channels);
  for (let k = 0; k < size; k++) {
    if (alpha && values[png.channels * k + channels] !== opaque) throw transparent(name);
    for (let c = 0; c < channels; c++) data[channels * k + c] = values[png.channels * k + c];
  }
  return {width, height, channels, data};
}

function transparent(name) {
  return new LggError(`${name}: is partly transparent, and what shows there depends on the viewer; save it without ` +
    "transparency");
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

function fromPalette(name, png, size) {
  const numbers = unpack(png.data, png.depth, png.width, png.height, size);
  const data = new Uint8Array(3 * size);
  for (let k = 0; k < size; k++) {
    const colour = png.palette[numbers[k]];
    if (colour.length === 4 && colour[3] !== 255) throw transparent(name);
    data.set(colour.slice(0, 3), 3 * k);
  }
  return data;
}

function fromTiff(name, buffer) {
  const described = decodeTiff(buffer, {ignoreImageData: true});
  for (const page of described) {
    checkSize(name, page.height, page.width);
    if (page.bitsPerSample === 1) throw new LggError(`${name}: has 1 bit a pixel, as a mask has; a scan has at least 8`);
  }
  checkSize(name, described.length, described[0].height, described[0].width);
  return decodeTiff(buffer).map((page) => {
    const {width, height} = page;
    const samples = page.samplesPerPixel ?? 1;
    if (samples > 4 || (samples === 4 && !page.alpha) || (samples === 2 && !page.alpha)) {
      throw new LggError(`${name}: has ${samples} channels, and a viewer shows 3; save each sequence as a picture of ` +
        "its own, and name them by --flair, --pre and --post");
    }
    let data = page.data;
    if (page.sampleFormat === 2 && data instanceof Uint16Array) data = Int16Array.from(data);
    if (page.palette) {
      data = Uint8Array.from(Array.from(data).flatMap((number) => page.palette[number].map((level) => level >> 8)));
      return {width, height, channels: 3, data};
    }
    const channels = samples >= 3 ? 3 : 1;
    if (samples !== channels) data = data.filter((_, i) => i % samples < channels);
    return {width, height, channels, data};
  });
}

/** JPEG and BMP, which every browser reads. */
async function fromBrowser(name, bytes) {
  const size = jpegSize(bytes) ?? bmpSize(bytes);
  if (!size) throw new Error("neither PNG, TIFF, JPEG nor BMP");
  checkSize(name, ...size);
  const bitmap = await createImageBitmap(new Blob([bytes]), {colorSpaceConversion: "none"});
  const {width, height} = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(3 * width * height);
  for (let k = 0; k < width * height; k++) for (let c = 0; c < 3; c++) data[3 * k + c] = pixels[4 * k + c];
  return {width, height, channels: 3, data};
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
async function readTruth(slices, masks, pages) {
  const owners = new Map(slices.map((file) => [stem(file.name).toLowerCase(), file]));
  const found = new Map();
  for (const mask of masks) {
    const owner = stem(mask.name).toLowerCase().replace(/_mask$/, "");
    if (!owners.has(owner)) {
      throw new LggError(`${mask.name}: a mask without its slice; a slice NAME.png has its mask in NAME_mask.png: ` +
        "rename it, or take it out");
    }
    found.set(owner, mask);
  }
  const lost = [...owners.keys()].filter((owner) => !found.has(owner));
  if (lost.length) {
    throw new LggError(`${owners.get(lost[0]).name}: ${lost.length} of ${slices.length} slices have no mask, and the ` +
      "others have one; give every slice a mask (black where there is no tumour), or take the masks out");
  }
  const {width, height} = pages[0];
  const truth = new Uint8Array(pages.length * width * height);
  let d = 0;
  for (const owner of owners.keys()) {
    for (const page of await readMask(found.get(owner))) {
      if (page.width !== width || page.height !== height) {
        throw new LggError(`${found.get(owner).name}: (${page.height}, ${page.width}) pixels, but its slice has ` +
          `(${height}, ${width}); a mask lies on its slice's own pixels`);
      }
      for (let k = 0; k < width * height; k++) truth[d * width * height + k] = page.data[page.channels * k] > 0 ? 1 : 0;
      d++;
    }
  }
  return truth;
}

/** The pages of a mask: 0 and 255, 0 and 1, or single bits. */
async function readMask(file) {
  const bytes = new Uint8Array(file.buffer);
  const isPng = bytes[0] === 0x89 && bytes[1] === 0x50;
  if (isPng) {
    const png = decodePng(bytes, {checkCrc: true});
    if (png.depth === 1) return [{...png, channels: 1, data: unpack(png.data, 1, png.width, png.height, png.width * png.height)}];
  }
  const pages = await readPages(file);
  for (const page of pages) {
    const values = [...new Set(page.data)].sort((a, b) => a - b);
    const fits = [[0, 255], [0, 1]].some((allowed) => values.every((value) => allowed.includes(value)));
    if (!fits) {
      throw new LggError(`${file.name}: has the values [${values.slice(0, 6).join(", ")}]; a mask holds 0 and 255 (or ` +
        "0 and 1) only: save it without smoothing or lossy compression");
    }
  }
  return pages;
}
