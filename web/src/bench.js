// The scanner bench: what another scanner would have made of the same head. lggseg/prepare/scanner.py in JavaScript.
//
// Noise is always the same, so that a slider moved back gives the same picture again.

const FLAIR = 1;
const BINS = 16; // of a histogram, per grey level
const TABLE = 2 ** 19; // so many normal numbers are drawn once and used again
let normals = null;

export const UNTOUCHED = {contrast: 1, gamma: 1, shading: 0, motion: 0, noise: 0};

/** A rough version of a volume: one change after the other, those that are not wanted left out. */
export function rough(volume, settings) {
  const changes = {contrast, gamma, shading, motion: ghosts, noise: ricianNoise};
  let data = volume.data;
  for (const [name, change] of Object.entries(changes)) {
    if (settings[name] !== UNTOUCHED[name]) data = change({...volume, data}, settings[name]);
  }
  return {...volume, data};
}

/** Stretch or squeeze FLAIR's grey levels above the median of the tissue; what is darker stays as it is. */
function contrast({data}, factor) {
  const counts = new Float64Array(256);
  for (let i = FLAIR; i < data.length; i += 3) counts[data[i]]++;
  const bright = levelAt(counts, 0.99);
  const tissue = counts.map((count, level) => (level > 0.2 * bright ? count : 0));
  const middle = levelAt(tissue, 0.5);
  const bent = Float32Array.from(
    {length: 256},
    (_, level) => level + (factor - 1) * Math.max(0, level - middle),
  );
  const result = data.slice();
  const levels = new Float32Array(data.length / 3);
  for (let k = 0; k < levels.length; k++) levels[k] = bent[data[3 * k + FLAIR]];
  dimToFit(levels, result, FLAIR);
  return result;
}

/** Bend grey levels by a power, as exporters do: below 1 brightens the dark end, above 1 darkens it. */
function gamma({data}, power) {
  const bent = Uint8Array.from({length: 256}, (_, level) =>
    Math.round(255 * (level / 255) ** power),
  );
  return data.map((level) => bent[level]);
}

/** Multiply by a coil's sensitivity, from exp(-strength) on the picture's left to exp(strength) on its right. */
function shading({width, data}, strength) {
  const factor = Float32Array.from({length: width}, (_, x) =>
    Math.exp(strength * (width > 1 ? (2 * x) / (width - 1) - 1 : 0)),
  );
  const result = new Uint8Array(data.length);
  const levels = new Float32Array(data.length / 3);
  for (let s = 0; s < 3; s++) {
    for (let k = 0; k < levels.length; k++) levels[k] = data[3 * k + s] * factor[k % width];
    dimToFit(levels, result, s);
  }
  return result;
}

/** Add the ghosts of a head that moved: weak copies of each slice, a quarter of its height up and down. */
function ghosts({height, width, data}, amplitude) {
  const shift = Math.round(0.25 * height);
  const size = height * width;
  const result = new Uint8Array(data.length);
  const levels = new Float32Array(data.length / 3);
  for (let s = 0; s < 3; s++) {
    for (let k = 0; k < levels.length; k++) {
      const slice = k - (k % size);
      const y = Math.floor((k % size) / width);
      const x = k % width;
      const above = slice + ((y - shift + height) % height) * width + x;
      const below = slice + ((y + shift) % height) * width + x;
      levels[k] = data[3 * k + s] + amplitude * (data[3 * above + s] + data[3 * below + s]);
    }
    dimToFit(levels, result, s);
  }
  return result;
}

/** The noise of magnitude MRI: normal noise in both parts of a complex number, of which the modulus is shown. */
function ricianNoise({data}, sigma) {
  normals ??= normalNumbers();
  const result = new Uint8ClampedArray(data.length);
  let place = 0;
  for (let i = 0; i < data.length; i++) {
    const real = data[i] + sigma * normals[place];
    const imaginary = sigma * normals[place + 1];
    result[i] = Math.sqrt(real * real + imaginary * imaginary);
    place = (place + 2) % (TABLE - 2);
  }
  return new Uint8Array(result.buffer);
}

/** Put levels into one sequence of a picture, dimmed as a whole if their brightest thousandth would pass 255. */
function dimToFit(levels, picture, sequence) {
  const counts = new Float64Array(256 * BINS * 4);
  for (const level of levels)
    counts[Math.min(counts.length - 1, Math.max(0, Math.round(BINS * level)))]++;
  const bright = levelAt(counts, 0.999) / BINS;
  const factor = bright > 255 ? 255 / bright : 1;
  for (let k = 0; k < levels.length; k++) {
    picture[3 * k + sequence] = Math.max(0, Math.min(255, Math.round(factor * levels[k])));
  }
}

/** The level below which this fraction of the counted levels lies. */
function levelAt(counts, fraction) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  let level = 0;
  while (level < counts.length - 1 && seen + counts[level] <= fraction * (total - 1))
    seen += counts[level++];
  return level;
}

/** Normally distributed numbers (Box and Muller), the same in every browser. */
function normalNumbers() {
  const numbers = new Float32Array(TABLE);
  let state = 20250611;
  const uniform = () => {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  for (let i = 0; i < TABLE; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    numbers[i] = radius * Math.cos(angle);
    numbers[i + 1] = radius * Math.sin(angle);
  }
  return numbers;
}
