// From a volume to the network's grid and back: lggseg/prepare in JavaScript, with the same names.
//
// A browser test (tests/browser/test_try_page.py) holds both together: change one, and change the other.
// A volume is {depth, height, width, data}; data are bytes, slice by slice, row by row, three sequences a pixel.

import {LggError} from "./errors.js";
import {resizePlane} from "./resize.js";

export const FLAIR = 1; // its channel: the sequence that shows the tumour, and stands in for a missing one
const DIM = 0.3; // of the median tissue's brightness: what is darker counts as air
const MARGIN = 1.06; // side of the square over the head's longer side
const Z_RANGE = [-5, 10];

/** Where the head lies in a volume, and how bright it is: see `find_head` in lggseg/prepare/head_finder.py. */
export function findHead(volume) {
  const {depth, height, width, data} = volume;
  const air = airLevel(volume);
  const flair = new Uint8Array(depth * height * width);
  const histogram = new Float64Array(256);
  let i = 0;
  for (let d = 0; d < depth; d++) {
    const level = air[3 * d + FLAIR];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        flair[i] = Math.max(0, data[3 * i + FLAIR] - level);
        if (y % 2 === 0 && x % 2 === 0) histogram[flair[i]]++;
      }
    }
  }
  const bound = dimLevel(histogram);
  if (bound === null) return noHead(volume, air);
  const area = new Uint32Array(depth);
  for (let d = 0; d < depth; d++) {
    const end = (d + 1) * height * width;
    for (let k = d * height * width; k < end; k++) if (flair[k] > bound) area[d]++;
  }
  const most = Math.max(...area);
  const slices = [];
  for (let d = 0; d < depth; d++) if (20 * area[d] >= most) slices.push(d);
  const box = headBox(flair, bound, slices, height, width);
  const mirrored = heavierLeft(flair, depth, height, width, box);
  const levels = tissueLevels(volume, air, flair, bound, slices, box);
  return {depth, height, width, air, slices, box, mirrored, ...levels};
}

/** The sequences that show nothing, in words. */
export function missingSequences(head) {
  const words = {0: "pre-contrast", 2: "post-contrast"};
  return [0, 2].filter((s) => head.source[s] !== s).map((s) => words[s]);
}

function noHead({depth, height, width, data}, air) {
  for (let d = 0; d < depth; d++) {
    const start = 3 * d * height * width;
    for (let k = 0; k < 3 * height * width; k++) {
      if (data[start + k] > air[3 * d + (k % 3)]) {
        throw new LggError("FLAIR, the second of the three sequences, shows nothing but the others do; the tumour is " +
          "seen in FLAIR: give the sequences in the order pre-contrast, FLAIR, post-contrast");
      }
    }
  }
  return {depth, height, width, air, slices: [], box: [0, 0, Math.max(height, width)], mirrored: false,
    source: [0, 1, 2], centre: [0, 0, 0], spread: [1, 1, 1]};
}

/** Level of the air per slice and sequence: the darkest tenth of the picture's rim, without frames of one value. */
function airLevel(volume) {
  const {depth, data} = volume;
  const [top, bottom] = inner(volume, true);
  const [left, right] = inner(volume, false);
  const air = new Uint8Array(3 * depth);
  const rim = [];
  const rows = new Set([top, top + 1, bottom - 2, bottom - 1].filter((y) => y >= top && y < bottom));
  const columns = new Set([left, left + 1, right - 2, right - 1].filter((x) => x >= left && x < right));
  for (const y of rows) for (let x = left; x < right; x++) rim.push([y, x]);
  for (const x of columns) for (let y = top; y < bottom; y++) rim.push([y, x]);
  for (let d = 0; d < depth; d++) {
    for (let s = 0; s < 3; s++) {
      const counts = new Uint32Array(256);
      for (const [y, x] of rim) counts[data[3 * ((d * volume.height + y) * volume.width + x) + s]]++;
      const wanted = Math.floor(rim.length / 10);
      let seen = 0;
      let level = 0;
      while (seen + counts[level] <= wanted) seen += counts[level++];
      air[3 * d + s] = level;
    }
  }
  return air;
}

/** First and one past the last row (or column) that is not of one value in every slice and sequence. */
function inner({depth, height, width, data}, alongRows) {
  const lines = alongRows ? height : width;
  const length = alongRows ? width : height;
  const varied = (line) => {
    for (let d = 0; d < depth; d++) {
      const at = (k) => {
        const y = alongRows ? line : k;
        const x = alongRows ? k : line;
        return 3 * ((d * height + y) * width + x);
      };
      const first = at(0);
      for (let k = 1; k < length; k++) {
        const here = at(k);
        for (let s = 0; s < 3; s++) if (data[here + s] !== data[first + s]) return true;
      }
    }
    return false;
  };
  let start = 0;
  while (start < lines && !varied(start)) start++;
  if (start === lines) return [0, lines];
  let end = lines;
  while (!varied(end - 1)) end--;
  return [start, end];
}

/** Level that parts air from tissue: a fixed point found from above; null where there is no tissue. */
function dimLevel(histogram) {
  const counts = histogram.slice();
  counts[0] = 0;
  if (counts.every((count) => count === 0)) return null;
  let level = 0.5 * quantile(counts, 0.95);
  for (let turn = 0; turn < 50; turn++) {
    const above = counts.map((count, k) => (k > level ? count : 0));
    const next = DIM * quantile(above, 0.5);
    if (next >= level) break;
    level = next;
  }
  return level;
}

/** Quantile of whole levels with these counts, each level spread over half a level to either side. */
export function quantile(histogram, share) {
  let total = 0;
  for (const count of histogram) total += count;
  const wanted = share * total;
  let seen = 0;
  for (let k = 0; k < histogram.length; k++) {
    if (histogram[k] > 0 && seen + histogram[k] >= wanted) return k - 0.5 + (wanted - seen) / histogram[k];
    seen += histogram[k];
  }
  return histogram.length - 0.5;
}

/** The square around the head: [top, left, side]; it may reach beyond the picture. */
function headBox(flair, bound, slices, height, width) {
  const rows = new Uint32Array(height);
  const columns = new Uint32Array(width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let often = 0;
      for (const d of slices) if (flair[(d * height + y) * width + x] > bound) often++;
      if (4 * often >= slices.length) {
        rows[y]++;
        columns[x]++;
      }
    }
  }
  const [top, bottom] = ends(rows);
  const [left, right] = ends(columns);
  let side = Math.ceil(MARGIN * Math.max(bottom - top, right - left));
  side += (((side - right + left) % 2) + 2) % 2;
  return [Math.floor((top + bottom - side) / 2), Math.floor((left + right - side) / 2), side];
}

function ends(counts) {
  const enough = Math.max(20, Math.max(...counts));
  let first = 0;
  while (first < counts.length && 20 * counts[first] < enough) first++;
  if (first === counts.length) return [0, counts.length];
  let last = counts.length;
  while (20 * counts[last - 1] < enough) last--;
  return [first, last];
}

function heavierLeft(flair, depth, height, width, box) {
  let weight = 0;
  for (let d = 0; d < depth; d++) {
    for (let y = 0; y < height; y += 4) {
      for (let x = 0; x < width; x++) weight += flair[(d * height + y) * width + x] * (2 * x + 1 - 2 * box[1] - box[2]);
    }
  }
  return weight < 0;
}

/** Source, centre and spread of each sequence where FLAIR shows tissue. */
function tissueLevels({height, width, data}, air, flair, bound, slices, box) {
  const histograms = [0, 1, 2].map(() => new Float64Array(256));
  const [top, left, side] = box;
  for (const d of slices) {
    for (let y = Math.max(0, top); y < Math.min(height, top + side); y += 2) {
      for (let x = Math.max(0, left); x < Math.min(width, left + side); x += 2) {
        const k = (d * height + y) * width + x;
        if (flair[k] <= bound) continue;
        for (let s = 0; s < 3; s++) histograms[s][Math.max(0, data[3 * k + s] - air[3 * d + s])]++;
      }
    }
  }
  const found = histograms.map(centreAndSpread);
  const source = found.map(([, spread], s) => (spread === 0 ? FLAIR : s));
  const centre = source.map((s) => Math.fround(found[s][0]));
  const spread = source.map((s) => Math.fround(found[s][1]));
  return {source, centre, spread};
}

/** Median, and interquartile range over 1.349; spread 0 where all is air. */
function centreAndSpread(histogram) {
  if (histogram.every((count, level) => level === 0 || count === 0)) return [0, 0];
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(histogram, share));
  return [middle, Math.max((high - low) / 1.349, 0.05 * middle)];
}

/** Slice `d` on the grid: levels above air, three planes of size x size bytes one after the other. */
export function sliceToGrid(volume, head, d, size) {
  const {height, width, data} = volume;
  const [top, left, side] = head.box;
  const grid = new Uint8Array(3 * size * size);
  const square = new Uint8Array(side * side);
  for (let s = 0; s < 3; s++) {
    square.fill(0);
    const source = head.source[s];
    const air = head.air[3 * d + source];
    for (let y = Math.max(0, top); y < Math.min(height, top + side); y++) {
      for (let x = Math.max(0, left); x < Math.min(width, left + side); x++) {
        const level = data[3 * ((d * height + y) * width + x) + source] - air;
        const column = head.mirrored ? side - 1 - (x - left) : x - left;
        square[(y - top) * side + column] = Math.max(0, level);
      }
    }
    grid.set(resizePlane(square, side, side, size, size, true), s * size * size);
  }
  return grid;
}

/**
 * Rows of slices on the grid as z-scores, float32, one after the other.
 *
 * `rowsOfGrid(row)` gives a slice on the grid; `context` neighbours on either side become further channels.
 */
export function standardise(rowsOfGrid, count, head, row, context, size) {
  const plane = size * size;
  const scores = new Float32Array(3 * (2 * context + 1) * plane);
  let place = 0;
  for (let offset = -context; offset <= context; offset++) {
    const grid = rowsOfGrid(Math.max(0, Math.min(count - 1, row + offset)));
    for (let s = 0; s < 3; s++) {
      const centre = head.centre[s];
      const spread = head.spread[s];
      for (let k = 0; k < plane; k++) {
        const score = (grid[s * plane + k] - centre) / spread;
        scores[place++] = Math.max(Z_RANGE[0], Math.min(Z_RANGE[1], score));
      }
    }
  }
  return scores;
}

/** Probability of one slice, size x size on the grid, on the volume's own pixels: float32 (height, width). */
export function fromGrid(probability, head, size) {
  const {height, width} = head;
  const [top, left, side] = head.box;
  const square = resizePlane(probability, size, size, side, side, side < size);
  const full = new Float32Array(height * width);
  for (let y = Math.max(0, top); y < Math.min(height, top + side); y++) {
    for (let x = Math.max(0, left); x < Math.min(width, left + side); x++) {
      const column = head.mirrored ? side - 1 - (x - left) : x - left;
      full[y * width + x] = square[(y - top) * side + column];
    }
  }
  return full;
}

/** The slices with a head nearest to slice `d`, whose mean it gets where it shows none itself; [] at the ends. */
export function neighboursWithHead(head, d) {
  const {slices} = head;
  if (slices.includes(d)) return [d];
  const below = slices.filter((each) => each < d);
  const above = slices.filter((each) => each > d);
  return below.length && above.length ? [below[below.length - 1], above[0]] : [];
}
