// Where the head lies in a volume, and how bright its inside is: lggseg/prepare/head_finder.py, with the same names.
//
// A browser test (tests/browser/test_try_page.py) holds both together: change one, and change the other.
// A volume is {depth, height, width, data}; data are bytes, slice by slice, row by row, three sequences a pixel.

import {median, percentile, roundHalfEven, sum} from "../arrays.js";
import {LggError} from "../errors.js";
import {
  crossSteps,
  cropped,
  fillHoles,
  label,
  otsu,
  padded,
  squareWindow,
  squaredDistance,
  uniformFilter,
} from "./images.js";

export const FLAIR = 1; // its channel: the sequence that shows the tumour, and stands in for a missing one
const SMOOTH = 5; // pixels a side of the window that noise is averaged over
const DIM = 0.4; // of the median tissue's brightness: what is darker counts as air in a slice
const EDGE = 0.3; // of the way from air to tissue: where the head ends in the picture of all slices together
const MARGIN = 1.06; // side of the square over the head's longer side
const PEEL = 1 / 12; // of the square's side: scalp and skull, peeled off before grey values are measured
const THIN = 0.03; // of the picture's side: what is thinner, as the ghost of a scalp, is no head

/** The head in a volume: its place, the level of air, the grey values of its inside. */
export function findHead(volume) {
  const {depth, height, width} = volume;
  const [top, bottom] = contentLines(volume, true);
  const [left, right] = contentLines(volume, false);
  const shape = {depth, height: bottom - top, width: right - left};
  const smooth = [0, 1, 2].map((s) => smoothed(volume, s, top, left, shape));
  const air = airLevels(smooth, shape);
  const shown = smooth.map(isVaried);
  if (!shown[FLAIR]) return noHead(volume, air, shown);
  const signal = jointSignal(smooth, air, shown, shape);
  const bound = tissueBound(signal, shape);
  const tissue = brighter(signal, bound);
  const size = shape.height * shape.width;
  const area = Array.from({length: depth}, (_, d) =>
    countOnes(tissue.subarray(d * size, (d + 1) * size)),
  );
  const most = Math.max(...area);
  const slices = area.map((_, d) => d).filter((d) => 20 * area[d] >= most);
  const inner = headBox(signal, slices, shape);
  const mirrored = heavierLeft(smooth[FLAIR], air, tissue, inner, shape);
  const grey = greyValues(smooth, air, tissue, slices, inner[2], shape);
  const shownArea = slices.reduce((total, d) => total + area[d], 0);
  const doubts = implausible(
    shownArea / (slices.length * height * width),
    inner[2],
    [height, width],
    grey.centre[FLAIR],
  );
  return {
    depth,
    height,
    width,
    air,
    slices,
    box: [inner[0] + top, inner[1] + left, inner[2]],
    mirrored,
    ...grey,
    doubts,
  };
}

function isVaried(values) {
  for (let k = 1; k < values.length; k++) if (values[k] !== values[0]) return true;
  return false;
}

/** A mask of the values above a bound. */
function brighter(values, bound) {
  const mask = new Uint8Array(values.length);
  for (let k = 0; k < values.length; k++) if (values[k] > bound) mask[k] = 1;
  return mask;
}

function countOnes(mask) {
  let total = 0;
  for (let i = 0; i < mask.length; i++) total += mask[i];
  return total;
}

function noHead({depth, height, width}, air, shown) {
  if (shown.some(Boolean)) {
    throw new LggError(
      "FLAIR, the second of the three sequences, shows nothing but the others do; the tumour is seen in " +
        "FLAIR: give the sequences in the order pre-contrast, FLAIR, post-contrast",
    );
  }
  return {
    depth,
    height,
    width,
    air,
    slices: [],
    box: [0, 0, Math.max(height, width)],
    mirrored: false,
    source: [0, 1, 2],
    centre: [0, 0, 0],
    spread: [1, 1, 1],
    doubts: [],
  };
}

/** First and one past the last row (or column) that holds more than one value in some slice and sequence. */
function contentLines({depth, height, width, data}, alongRows) {
  const lines = alongRows ? height : width;
  const length = alongRows ? width : height;
  const at = (d, line, k) =>
    3 * ((d * height + (alongRows ? line : k)) * width + (alongRows ? k : line));
  const holdsSeveral = (line) => {
    for (let d = 0; d < depth; d++) {
      const first = at(d, line, 0);
      for (let k = 1; k < length; k++) {
        const here = at(d, line, k);
        for (let s = 0; s < 3; s++) if (data[here + s] !== data[first + s]) return true;
      }
    }
    return false;
  };
  let start = 0;
  while (start < lines && !holdsSeveral(start)) start++;
  if (start === lines) return [0, lines];
  let end = lines;
  while (!holdsSeveral(end - 1)) end--;
  return [start, end];
}

/** Levels of one sequence within the content, averaged over SMOOTH x SMOOTH pixels of each slice. */
function smoothed({height, width, data}, sequence, top, left, shape) {
  const size = shape.height * shape.width;
  const result = new Float32Array(shape.depth * size);
  const plane = new Float32Array(size);
  for (let d = 0; d < shape.depth; d++) {
    for (let y = 0, k = 0; y < shape.height; y++) {
      const row = (d * height + y + top) * width + left;
      for (let x = 0; x < shape.width; x++, k++) plane[k] = data[3 * (row + x) + sequence];
    }
    result.set(uniformFilter(plane, shape.height, shape.width, SMOOTH), d * size);
  }
  return result;
}

/** Level of the air per slice and sequence: the darkest tenth of the picture's rim, two pixels wide. */
function airLevels(smooth, {depth, height, width}) {
  const air = new Float32Array(3 * depth);
  const rows = firstAndLastTwo(height);
  const columns = firstAndLastTwo(width);
  const rim = new Float32Array(rows.length * width + columns.length * height);
  for (let d = 0; d < depth; d++) {
    for (let s = 0; s < 3; s++) {
      let place = 0;
      for (const y of rows)
        for (let x = 0; x < width; x++) rim[place++] = smooth[s][(d * height + y) * width + x];
      for (const x of columns)
        for (let y = 0; y < height; y++) rim[place++] = smooth[s][(d * height + y) * width + x];
      air[3 * d + s] = rim.sort()[Math.floor(rim.length / 10)];
    }
  }
  return air;
}

function firstAndLastTwo(length) {
  const first = Array.from({length: Math.min(2, length)}, (_, i) => i);
  return [...first, ...first.map((i) => length - 1 - i)];
}

/** How far the sequences together are from air: 0 in air, about 1 in tissue. */
function jointSignal(smooth, air, shown, {depth, height, width}) {
  const size = height * width;
  const total = new Float32Array(depth * size);
  const distance = new Float32Array(depth * size);
  for (let s = 0; s < 3; s++) {
    const source = shown[s] ? s : FLAIR; // FLAIR counts again for a sequence that shows nothing
    const levels = smooth[source];
    let most = 0;
    for (let d = 0, k = 0; d < depth; d++) {
      const zero = air[3 * d + source];
      for (const end = k + size; k < end; k++) {
        distance[k] = Math.abs(levels[k] - zero);
        if (distance[k] > most) most = distance[k];
      }
    }
    const scale = Math.max(
      percentile(everyNth(distance, 4, {depth, height, width}).sort(), 0.9),
      0.1 * most,
    );
    for (let k = 0; k < distance.length; k++) total[k] += distance[k] / scale;
  }
  for (let k = 0; k < total.length; k++) total[k] /= 3;
  return total;
}

/** Every `step`th row and column of all slices. */
function everyNth(values, step, {depth, height, width}) {
  const rows = Math.ceil(height / step);
  const columns = Math.ceil(width / step);
  const result = new values.constructor(depth * rows * columns);
  let place = 0;
  for (let d = 0; d < depth; d++) {
    for (let y = 0; y < height; y += step) {
      for (let x = 0; x < width; x += step) result[place++] = values[(d * height + y) * width + x];
    }
  }
  return result;
}

/** Level that parts air from tissue: a fixed point, found from above. */
function tissueBound(signal, shape) {
  const sorted = everyNth(signal, 2, shape).sort();
  const levels = sorted.subarray(firstFrom(sorted, 0.01));
  if (!levels.length) return 0;
  let bound = 0.5 * levels[Math.floor(0.95 * (levels.length - 1))];
  for (let turn = 0; turn < 50; turn++) {
    const tissue = levels.subarray(firstFrom(levels, bound));
    const lower = DIM * tissue[Math.floor(tissue.length / 2)];
    if (lower >= bound) break;
    bound = lower;
  }
  return bound;
}

/** Place of the first of sorted values that is not below `level`. */
function firstFrom(sorted, level) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < level) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The square around the head, [top, left, side], for the signal of the slices that show one. */
function headBox(signal, slices, {height, width}) {
  const size = height * width;
  const often = new Float32Array(size);
  const column = new Float32Array(slices.length);
  for (let k = 0; k < size; k++) {
    for (let i = 0; i < slices.length; i++) column[i] = signal[slices[i] * size + k];
    often[k] = percentile(column.sort(), 0.75);
  }
  const bright = percentile(often.slice().sort(), 0.95);
  const parted = otsu(often.map((value) => Math.min(value, bright)));
  const air = median(often.filter((value) => value <= parted));
  const tissue = median(often.filter((value) => value > parted));
  const edge = air + EDGE * (tissue - air);
  const region = brighter(often, edge);
  const head = largestPiece(withoutThinParts(region, height, width), height, width);
  const rows = new Uint32Array(height);
  const columns = new Uint32Array(width);
  for (let k = 0; k < size; k++) {
    if (!head[k]) continue;
    rows[Math.floor(k / width)]++;
    columns[k % width]++;
  }
  const [top, bottom] = ends(rows);
  const [left, right] = ends(columns);
  let side = Math.ceil(MARGIN * Math.max(bottom - top, right - left));
  side += Math.abs(side - right + left) % 2;
  return [Math.floor((top + bottom - side) / 2), Math.floor((left + right - side) / 2), side];
}

/** The region without parts thinner than THIN; the region itself if nothing is left. */
function withoutThinParts(region, height, width) {
  const size = 2 * roundHalfEven((THIN * Math.min(height, width)) / 2) + 1;
  const [tall, wide] = [height + 2 * size, width + 2 * size];
  const eroded = squareWindow(padded(region, height, width, size, true), tall, wide, size, false);
  const opened = cropped(squareWindow(eroded, tall, wide, size, true), height, width, size);
  return opened.includes(1) ? opened : region;
}

function largestPiece(region, height, width) {
  const {labels, sizes} = label(region, height, width);
  if (sizes.length < 2) return region;
  const largest = sizes.indexOf(Math.max(...sizes)) + 1;
  return Uint8Array.from(labels, (number) => (number === largest ? 1 : 0));
}

/** First and one past the last row that holds at least a twentieth of the fullest row's pixels. */
function ends(counts) {
  const enough = Math.max(20, Math.max(...counts));
  let first = 0;
  while (first < counts.length && 20 * counts[first] < enough) first++;
  if (first === counts.length) return [0, counts.length];
  let last = counts.length;
  while (20 * counts[last - 1] < enough) last--;
  return [first, last];
}

/** Whether FLAIR's tissue weighs more on the left of the box's middle than on the right. */
function heavierLeft(flair, air, tissue, box, {height, width}) {
  const size = height * width;
  let weight = 0;
  for (let k = 0; k < flair.length; k++) {
    if (!tissue[k]) continue;
    const x = k % width;
    weight +=
      (flair[k] - air[3 * Math.floor(k / size) + FLAIR]) * (2 * x + 1 - 2 * box[1] - box[2]);
  }
  return weight < 0;
}

/** Source, centre and spread of each sequence, measured in the inner head. */
function greyValues(smooth, air, tissue, slices, side, {height, width}) {
  const rows = Math.ceil(height / 2);
  const columns = Math.ceil(width / 2);
  const size = rows * columns;
  const halved = (values, d) =>
    everyNth(values.subarray(d * height * width, (d + 1) * height * width), 2, {
      depth: 1,
      height,
      width,
    });
  const inside = innerHead(
    slices.map((d) => halved(tissue, d)),
    rows,
    columns,
    side / 2,
  );
  const centre = [0, 0, 0];
  const spread = [0, 0, 0];
  const count = inside.reduce((total, one) => total + countOnes(one), 0);
  const values = new Float32Array(count);
  for (let s = 0; s < 3; s++) {
    let place = 0;
    slices.forEach((d, i) => {
      const levels = halved(smooth[s], d);
      for (let k = 0; k < size; k++) if (inside[i][k]) values[place++] = levels[k] - air[3 * d + s];
    });
    const mean = sum(values) / count;
    let squares = 0;
    for (let k = 0; k < count; k++) squares += (values[k] - mean) ** 2;
    centre[s] = Math.fround(mean);
    if (isVaried(values))
      spread[s] = Math.fround(Math.max(Math.sqrt(squares / count), 0.05 * Math.abs(mean)));
  }
  const source = spread.map((value, s) => (value > 0 ? s : FLAIR));
  return {source, centre: source.map((s) => centre[s]), spread: source.map((s) => spread[s])};
}

/** The brain without scalp and skull, roughly: tissue of each slice, filled, then peeled. */
function innerHead(tissue, height, width, side) {
  const [tall, wide] = [height + 6, width + 6];
  const inside = tissue.map((one) => {
    const grown = crossSteps(padded(one, height, width, 3, false), tall, wide, 3, true);
    const closed = cropped(crossSteps(grown, tall, wide, 3, false), height, width, 3);
    const filled = fillHoles(
      closed.map((value, k) => value | one[k]),
      height,
      width,
    );
    const bound = (PEEL * side) ** 2;
    return brighter(squaredDistance(filled, height, width), bound);
  });
  return inside.some((one) => one.includes(1)) ? inside : tissue;
}

/** What is odd about a head, and what to do, in words. */
function implausible(fraction, side, size, centre) {
  const doubts = [];
  const percent = roundHalfEven(100 * fraction);
  if (percent < 5)
    doubts.push(`tissue fills only ${percent} % of the picture: crop the scan to the head`);
  if (percent > 80) {
    doubts.push(
      `tissue fills ${percent} % of the picture, so air cannot be told from it: give the scan with air around ` +
        "the head",
    );
  } else if (side >= MARGIN * Math.max(...size)) {
    doubts.push(
      "the head is as large as the picture: give the scan with air around the head, and check whether that air " +
        "is noisy",
    );
  }
  if (centre <= 0)
    doubts.push(
      "air is not darker than tissue in FLAIR: check whether its grey levels are inverted",
    );
  return doubts;
}
