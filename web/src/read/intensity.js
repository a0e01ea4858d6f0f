// From any range of intensities to bytes: lggseg/scans/intensity.py.

import {percentile, roundHalfEven} from "../arrays.js";

const SATURATED = 0.995; // fraction of the foreground from which on everything is white

/** Intensities of one sequence, slice by slice, as bytes; bytes stay as they are. */
export function toBytes(values, [depth, height, width]) {
  if (values instanceof Uint8Array) return values;
  const floats = Float32Array.from(values);
  const bytes = new Uint8Array(floats.length);
  const {shown, around} = foregroundMask(floats, [depth, height, width]);
  const sorted = floats.filter((_, i) => shown[i]).sort();
  if (!sorted.length) return bytes;
  const [black, white] = levels(sorted, around);
  for (let i = 0; i < floats.length; i++) {
    const scaled = shown[i] ? (floats[i] - black) / (white - black) : 0;
    bytes[i] = roundHalfEven(255 * Math.max(0, Math.min(1, scaled)));
  }
  return bytes;
}

/** Where values show something, and the constant around it, if there is one. */
function foregroundMask(values, shape) {
  const shown = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) shown[i] = Number.isFinite(values[i]) ? 1 : 0;
  const around = constantAround(values, shape);
  if (around !== null) hide(shown, values, around);
  for (let turn = 0; turn < 2; turn++) {
    const padding = lowestPlateau(values.filter((_, i) => shown[i]).sort());
    if (padding !== null) hide(shown, values, padding);
  }
  return {shown, around};
}

function hide(shown, values, level) {
  for (let i = 0; i < values.length; i++) if (values[i] === level) shown[i] = 0;
}

/** The value that at least half of the volume's six faces hold, or null. */
function constantAround(values, [depth, height, width]) {
  const counts = new Map();
  let total = 0;
  const add = (d, y, x) => {
    const value = values[(d * height + y) * width + x];
    counts.set(value, (counts.get(value) ?? 0) + 1);
    total++;
  };
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) for (const d of [0, depth - 1]) add(d, y, x);
  for (let d = 0; d < depth; d++)
    for (let x = 0; x < width; x++) for (const y of [0, height - 1]) add(d, y, x);
  for (let d = 0; d < depth; d++)
    for (let y = 0; y < height; y++) for (const x of [0, width - 1]) add(d, y, x);
  let best = null;
  let most = 0;
  for (const [value, count] of counts) {
    if (count > most || (count === most && value < best)) [best, most] = [value, count];
  }
  return 2 * most >= total ? best : null;
}

/** The lowest of sorted values, if it is a padding; else null. */
function lowestPlateau(sorted) {
  if (!sorted.length) return null;
  const lowest = sorted[0];
  let same = 1;
  while (same < sorted.length && sorted[same] === lowest) same++;
  const rest = sorted.subarray(same);
  const fraction = same / sorted.length;
  if (!rest.length || fraction < 0.001) return null;
  const low = percentile(rest, 0.001);
  const high = percentile(rest, SATURATED);
  const isPadding = low - lowest > 0.1 * (high - low) || (lowest < 0 && fraction >= 0.01);
  return isPadding ? lowest : null;
}

/** The levels that become black and white, for all values of a picture, sorted, and the constant around it. */
function levels(sorted, around) {
  const darkest = percentile(sorted, 0.005);
  const high = percentile(sorted, SATURATED);
  const air = around !== null && around >= 0 ? around : 0;
  let black = darkest;
  const below = sorted.findIndex((value) => value >= air);
  const fraction = (below < 0 ? sorted.length : below) / sorted.length;
  if (fraction < 0.1) black = darkest - air < 0.5 * (high - air) ? air : darkest;
  const start = sorted.findIndex((value) => value > black + 0.1 * (high - black));
  const white = start < 0 ? high : percentile(sorted.subarray(start), SATURATED);
  return white > black ? [black, white] : [white - 1, white];
}
