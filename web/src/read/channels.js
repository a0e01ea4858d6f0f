// Which channel is which sequence, and a look at FLAIR: lggseg/scans/channels.py.

import {LggError} from "../errors.js";
import {median, sum} from "../arrays.js";
import {FLAIR, findHead} from "../prepare/head_finder.js";
import {fillHoles, label} from "../prepare/images.js";
import {toBytes} from "./intensity.js";

export const SEQUENCES = ["pre", "flair", "post"];
export const IN_WORDS = {pre: "pre-contrast T1", flair: "FLAIR", post: "post-contrast T1"};
const LABELS = 8; // so few values are no scan
const FEW = 64; // so few are worth a word

/** The order that a number of channels has unless somebody says otherwise; null where nobody can know. */
export function usualOrder(count) {
  if (count === 1) return ["flair"];
  return count === 3 ? [...SEQUENCES] : null;
}

/** Sequences by name, for channels and an order such as ["flair", "pre", null]. */
export function nameChannels(channels, order, what) {
  if (!order) {
    throw new LggError(
      `${what}: ${channels.length} sequences; say which is which, as --order flair,t1,t1ce,t2`,
    );
  }
  const flairs = order.filter((name) => name === "flair").length;
  if (
    flairs !== 1 ||
    SEQUENCES.some((name) => order.filter((other) => other === name).length > 1)
  ) {
    throw new LggError(
      `order '${order.map((name) => name ?? "skip").join(",")}': names FLAIR ${flairs} times; it ` +
        "must name FLAIR once, and no sequence twice",
    );
  }
  const named = {};
  order.forEach((name, i) => {
    if (name) named[name] = channels[i];
  });
  return named;
}

/** Warnings about sequences of few values; an error where they are those of a mask or a label map. */
export function checkLevels(named, what) {
  const warnings = [];
  for (const [name, values] of Object.entries(named)) {
    const found = new Set();
    for (const value of values) {
      if (Number.isFinite(value)) found.add(value);
      if (found.size > FEW) break;
    }
    if (found.size > 1 && found.size <= LABELS) {
      const levels = [...found]
        .sort((a, b) => a - b)
        .map((value) => Number(value.toPrecision(6)))
        .join(", ");
      throw new LggError(
        `${what}: ${IN_WORDS[name]} has only the values ${levels}, as a mask or a label map has; name ` +
          "the scan itself, or say skip for this one of several channels (--order)",
      );
    }
    if (found.size > LABELS && found.size <= FEW) {
      warnings.push(
        `${IN_WORDS[name]} has only ${found.size} values, and a scan has hundreds; it may be a map of ` +
          "regions, or was saved with too little contrast",
      );
    }
  }
  return warnings;
}

/** Refuse a sequence of bytes that is nearly all black or white. */
function checkShades(name, levels) {
  let lit = 0;
  let white = 0;
  let between = 0;
  for (const level of levels) {
    if (level > 25) lit++;
    if (level > 230) white++;
    if (level > 25 && level <= 230) between++;
  }
  if (white > 0.5 * lit && 1 - between / levels.length > 0.98) {
    throw new LggError(
      `${IN_WORDS[name]} shows little but black and white, as a mask or a map of probabilities does; ` +
        "name the scan itself",
    );
  }
}

/** A volume of three sequences a pixel, and warnings; FLAIR stands in for what is missing. */
export function compose(named, [depth, height, width]) {
  const warnings = [];
  const grey = {};
  for (const [name, values] of Object.entries(named)) {
    let broken = 0;
    for (const value of values) if (!Number.isFinite(value)) broken++;
    if (broken)
      warnings.push(`${IN_WORDS[name]}: ${broken} voxels are NaN or infinite; taken as air`);
    grey[name] = toBytes(values, [depth, height, width]);
  }
  for (const [name, levels] of Object.entries(grey)) checkShades(name, levels);
  const data = new Uint8Array(3 * depth * height * width);
  SEQUENCES.forEach((name, s) => {
    const plane = grey[name] ?? grey.flair;
    for (let i = 0; i < plane.length; i++) data[3 * i + s] = plane[i];
  });
  const missing = SEQUENCES.filter((name) => !(name in grey)).map((name) => IN_WORDS[name]);
  if (missing.length) {
    warnings.push(`no ${missing.join(" and no ")}; FLAIR stands in, as it does in the data set`);
  }
  const volume = {depth, height, width, data};
  return {volume, warnings: [...warnings, ...checkSequences(volume)]};
}

/** Warnings about a volume: sequences that show nothing, and another sequence in FLAIR's place. */
function checkSequences(volume) {
  const head = findHead(volume);
  if (!head.slices.length) {
    throw new LggError(
      "shows nothing: every slice is of one level; a wrong file, or saved wrongly",
    );
  }
  const heads = countHeads(volume);
  if (heads > 3) {
    throw new LggError(
      `shows ${heads} things of like size side by side, as a mosaic of slices does; give one picture per ` +
        "slice, or the scan as NIfTI",
    );
  }
  const warnings = [0, 2]
    .filter((s) => head.source[s] === FLAIR)
    .map((s) => `${IN_WORDS[SEQUENCES[s]]} shows nothing; FLAIR stands in`);
  warnings.push(...head.doubts);
  const odd = oddSequence(volume, head);
  if (odd !== null && odd !== FLAIR) {
    warnings.push(
      `the channel taken as ${IN_WORDS[SEQUENCES[odd]]} looks like FLAIR, and the one taken as FLAIR does ` +
        "not; check the order (pre-contrast, FLAIR, post-contrast, or --order)",
    );
  }
  return warnings;
}

/** How many bright regions of like size the brightest slice of FLAIR shows. */
function countHeads({depth, height, width, data}) {
  const size = height * width;
  let brightest = null;
  let most = -1;
  for (let d = 0; d < depth; d++) {
    const plane = new Float32Array(size);
    for (let k = 0; k < size; k++) plane[k] = data[3 * (d * size + k) + FLAIR];
    const light = sum(plane);
    if (light > most) [brightest, most] = [plane, light];
  }
  const smooth = gaussianBlur(brightest, height, width, Math.max(1, Math.max(height, width) / 128));
  const mean = sum(smooth) / size;
  const regions = Uint8Array.from(smooth, (level) => (level > mean ? 1 : 0));
  const {sizes} = label(fillHoles(regions, height, width), height, width);
  const largest = Math.max(0, ...sizes);
  return sizes.filter((pixels) => pixels > 0.3 * largest).length;
}

/** The channel whose brain has another contrast than the other two, or null where that is unclear. */
function oddSequence(volume, head) {
  const {data} = volume;
  for (const s of [0, 2]) {
    let same = true;
    for (let i = 0; i < data.length && same; i += 3) same = data[i + s] === data[i + FLAIR];
    if (same) return null;
  }
  if (head.source.some((source, s) => source !== s)) return null;
  const levels = matter(volume, head);
  if (levels[0].length < 500) return null;
  const pairs = [
    [0, 1],
    [0, 2],
    [1, 2],
  ];
  const alike = pairs.map(([a, b]) => correlation(levels[a], levels[b]));
  const ranked = [0, 1, 2].sort((a, b) => alike[b] - alike[a]);
  return alike[ranked[0]] - alike[ranked[1]] >= 0.05 ? 2 - ranked[0] : null;
}

/** Levels of brain matter around the middle of the head, without their local mean, for each sequence. */
function matter({height, width, data}, head) {
  const [top, left, side] = head.box;
  const step = Math.ceil(side / 100);
  const ends = Math.floor(head.slices.length / 5);
  const slices = head.slices.slice(ends, head.slices.length - ends);
  const rows = Math.ceil(height / step);
  const columns = Math.ceil(width / step);
  const size = rows * columns;
  const inside = new Uint8Array(size);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const reach = Math.hypot(y * step - top - side / 2, x * step - left - side / 2);
      inside[y * columns + x] = reach < 0.28 * side ? 1 : 0;
    }
  }
  const planes = slices.map((d) =>
    [0, 1, 2].map((s) => {
      const plane = new Float32Array(size);
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++) {
          const level = data[3 * ((d * height + y * step) * width + x * step) + s];
          plane[y * columns + x] = level - head.air[3 * d + s];
        }
      }
      return plane;
    }),
  );
  const middle = [0, 1, 2].map((s) =>
    median(planes.flatMap((three) => [...three[s].filter((_, k) => inside[k])])),
  );
  const found = [[], [], []];
  for (const three of planes) {
    const where = new Float32Array(size);
    for (let k = 0; k < size; k++) {
      const fits = three.every(
        (plane, s) => plane[k] > 0.75 * middle[s] && plane[k] < 1.5 * middle[s],
      );
      where[k] = inside[k] && fits ? 1 : 0;
    }
    const weight = gaussianBlur(where, rows, columns, side / step / 13);
    three.forEach((plane, s) => {
      const local = gaussianBlur(
        plane.map((level, k) => level * where[k]),
        rows,
        columns,
        side / step / 13,
      );
      for (let k = 0; k < size; k++)
        if (where[k]) found[s].push(plane[k] - local[k] / (weight[k] + 1e-6));
    });
  }
  return found;
}

function correlation(first, second) {
  const mean = (values) => values.reduce((total, value) => total + value, 0) / values.length;
  const [a, b] = [mean(first), mean(second)];
  let both = 0;
  let one = 0;
  let other = 0;
  for (let i = 0; i < first.length; i++) {
    both += (first[i] - a) * (second[i] - b);
    one += (first[i] - a) ** 2;
    other += (second[i] - b) ** 2;
  }
  return both / Math.sqrt(one * other) || 0;
}

/** A plane blurred by a Gaussian, mirrored at its borders, as scipy.ndimage.gaussian_filter does. */
function gaussianBlur(plane, height, width, sigma) {
  const reach = Math.floor(4 * sigma + 0.5);
  const weights = Array.from({length: 2 * reach + 1}, (_, k) =>
    Math.exp(-((k - reach) ** 2) / (2 * sigma * sigma)),
  );
  const total = weights.reduce((a, b) => a + b, 0);
  const mirror = (i, length) => {
    const place = ((i % (2 * length)) + 2 * length) % (2 * length);
    return place < length ? place : 2 * length - 1 - place;
  };
  const along = (values, lines, length, stride, step) => {
    const result = new Float32Array(values.length);
    for (let line = 0; line < lines; line++) {
      for (let i = 0; i < length; i++) {
        let value = 0;
        for (let k = -reach; k <= reach; k++)
          value += weights[k + reach] * values[line * stride + mirror(i + k, length) * step];
        result[line * stride + i * step] = value / total;
      }
    }
    return result;
  };
  return along(along(plane, height, width, width, 1), width, height, 1, width);
}
