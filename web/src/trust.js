// What a mask is worth when nobody has drawn one: lggseg/measures/trust.py, with the same names.
//
// Weights and levels are the package's published tables, which come with the page as trust.json.
// A browser test (tests/browser/test_try_page.py) holds both together: change one, and change the other.

import {roundHalfEven, sum} from "./arrays.js";
import {components, count, cut, dice} from "./postprocess.js";
import {FLAIR} from "./prepare/head_finder.js";

const FAINT = 0.05; // probability below which a voxel is left out of sums
const SURE = [0.2, 0.8]; // between these probabilities a voxel is uncertain
const FAR = 3; // standard deviations from the mean at which a sign stops counting more
const ODDS = ["agreement", "soft_dice", "confidence", "continuity", "largest"]; // summed as log odds
const SIZES = ["volume", "pieces"]; // summed as logarithms

/**
 * Expected Dice with the interval in which four in five lie, and warnings: {expected, low, high, warnings}.
 *
 * found   what `signs` measured
 * head    what findHead found
 * tables  what trust.json holds: {several, one}, each {weights, levels}, for several members and for one alone, and
 *         `limits`, at which a warning is given
 */
export function trustOf(found, head, tables) {
  if (found.volume === 0) {
    return {expected: 0, low: 0, high: 0, warnings: warningsOf(found, head, 0, tables.limits)};
  }
  const {weights, levels} = Number.isNaN(found.agreement) ? tables.one : tables.several;
  const score = weightedSum(found, weights);
  const scores = levels.map((level) => level.score);
  const at = (column) =>
    interpolate(
      score,
      scores,
      levels.map((level) => level[column]),
    );
  const expected = at("expected_dice");
  const warnings = warningsOf(found, head, expected, tables.limits);
  return {expected, low: at("low"), high: at("high"), warnings};
}

/** What is odd about a scan or its mask, in words: doubts about the head, then `alarms`. */
function warningsOf(found, head, expected, limits) {
  return [...head.doubts, ...alarms(found, expected, limits)];
}

/** What is odd about a mask, in words. */
function alarms(found, expected, limits) {
  const given = [];
  if (found.slices === 0) given.push("no head was found");
  if (found.volume === 0) {
    given.push("no tumour was found");
    return given;
  }
  if (found.volume > 1) {
    given.push("the mask is larger than the head");
  } else if (found.volume > limits.LARGE) {
    given.push(`the mask covers ${roundHalfEven(100 * found.volume)} % of the head`);
  }
  if (asShown(found.agreement) < limits.DISAGREE) {
    given.push(`the members disagree (Dice ${found.agreement.toFixed(2)} between two of them)`);
  }
  if (found.largest < limits.SCATTERED) {
    given.push("tumour was found in several places: check that the right one is outlined");
  }
  if (found.rim > limits.AT_THE_RIM) given.push("much of the mask lies where skull and scalp are");
  if (found.continuity < limits.BROKEN)
    given.push("the mask jumps from slice to slice, or lies on one alone");
  if (asShown(expected) < limits.POOR) {
    given.push("a mask like this one is often wrong: compare it with the scan");
  }
  return given;
}

/** The number that a reader sees decides, so that no warning contradicts it. */
function asShown(value) {
  return Number(value.toFixed(2));
}

/** A sign that is NaN counts as average, and none counts more than FAR deviations do. */
function weightedSum(found, weights) {
  let total = 0;
  for (const {sign, mean, sd, weight} of weights) {
    const value = sign === "constant" ? 1 : scaled(sign, found[sign]);
    const distance = (value - mean) / sd;
    if (Number.isNaN(distance)) continue;
    total += weight * Math.max(-FAR, Math.min(FAR, distance));
  }
  return total;
}

/** A sign on the scale on which it is summed. */
function scaled(name, value) {
  if (ODDS.includes(name)) {
    const within = Math.max(0.02, Math.min(0.98, value));
    return Math.log(within / (1 - within));
  }
  if (SIZES.includes(name)) return Math.log(Math.max(value, 1e-4));
  return value;
}

/** The value at `place` between points whose places are sorted; beyond the ends the last one: numpy.interp. */
function interpolate(place, places, values) {
  const last = places.length - 1;
  if (place <= places[0]) return values[0];
  if (place >= places[last]) return values[last];
  const above = places.findIndex((each) => each > place);
  const below = above - 1;
  const part = (place - places[below]) / (places[above] - places[below]);
  return values[below] + part * (values[above] - values[below]);
}

/**
 * Measure what can be known about a prediction without the truth.
 *
 * members      probability of each voxel by each member, times `scale`
 * scale        of the members' numbers: what stands for 1
 * probability  their mean
 * mask         made of it
 * volume       {depth, height, width, data}, three sequences a voxel
 * head         what findHead found in it
 * threshold    probability from which a voxel counts as tumour
 */
export function signs({members, scale, probability, mask, volume, head, threshold}) {
  const {depth, height, width} = volume;
  const shape = [depth, height, width];
  const size = count(mask);
  const hasHead = head.slices.length > 0;
  const box = boxAround(probability, mask, shape);
  const inBox = (values) => cropped(values, shape, box);
  const mean = inBox(probability);
  const found = inBox(mask);
  const answers = members.map(inBox);
  const tumours = answers.map((values) => cut(values, scale * threshold)); // by each member
  const sizesOf = (tumour) => components(tumour, box.shape).sizes;
  const result = {
    agreement: agreement(tumours),
    soft_dice: softDice(mean, found),
    uncertain: average(answers.map((values) => uncertainFraction(values, scale))),
    confidence: NaN,
    volume: size / Math.max(1, headVoxels(volume, head)),
    pieces: sizesOf(cut(mean, threshold)).length,
    largest: NaN,
    continuity: NaN,
    rim: NaN,
    height: NaN,
    brightness: NaN,
    slices: head.slices.length,
    doubts: head.doubts.length,
  };
  if (size) {
    result.confidence = average(
      answers.map((values, i) => meanWithin(values, found, tumours[i]) / scale),
    );
    result.largest = average(tumours.map((tumour) => largestFraction(sizesOf(tumour))));
    result.continuity = continuity(mask, shape);
  }
  if (size && hasHead) {
    result.rim = rimFraction(mask, shape, head);
    result.height = heightInStack(mask, shape, head);
    result.brightness = brightness(volume, mask, head);
  }
  return result;
}

/** The smallest box that holds all that is not quite improbable: where it starts, and its shape. */
function boxAround(probability, mask, [depth, height, width]) {
  const first = [depth, height, width];
  const last = [-1, -1, -1];
  for (let i = 0; i < mask.length; i++) {
    if (probability[i] < FAINT && !mask[i]) continue;
    const place = [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width];
    for (let axis = 0; axis < 3; axis++) {
      first[axis] = Math.min(first[axis], place[axis]);
      last[axis] = Math.max(last[axis], place[axis]);
    }
  }
  if (last[0] < 0) return {start: [0, 0, 0], shape: [0, 0, 0]};
  return {start: first, shape: last.map((end, axis) => end - first[axis] + 1)};
}

function cropped(values, [, height, width], {start, shape}) {
  const [depth, rows, columns] = shape;
  const result = new values.constructor(depth * rows * columns);
  for (let z = 0; z < depth; z++) {
    for (let y = 0; y < rows; y++) {
      const from = ((start[0] + z) * height + start[1] + y) * width + start[2];
      result.set(values.subarray(from, from + columns), (z * rows + y) * columns);
    }
  }
  return result;
}

/** Mean of the values that are not NaN; NaN where there is none. */
function average(values) {
  const known = values.filter((value) => !Number.isNaN(value));
  return sum(known) / known.length;
}

/** Mean Dice between the masks of two members; NaN for a single one. */
function agreement(masks) {
  let total = 0;
  let pairs = 0;
  for (let one = 0; one < masks.length; one++) {
    for (let other = one + 1; other < masks.length; other++) {
      const overlap = dice(masks[one], masks[other]);
      total += Number.isNaN(overlap) ? 1 : overlap; // both are empty
      pairs++;
    }
  }
  return total / pairs;
}

/** Mean of the values that lie in two masks at once; NaN where there is none. */
function meanWithin(values, one, other) {
  let total = 0;
  let number = 0;
  for (let i = 0; i < values.length; i++) {
    if (!one[i] || !other[i]) continue;
    total += values[i];
    number++;
  }
  return total / number;
}

/** Dice that calibrated probabilities promise a mask. */
function softDice(probability, mask) {
  let within = 0;
  let total = count(mask);
  for (let i = 0; i < mask.length; i++) {
    if (mask[i]) within += probability[i];
    if (probability[i] >= FAINT) total += probability[i];
  }
  return (2 * within) / total;
}

/** Voxels from 0.2 to 0.8, over all from 0.2 up. */
function uncertainFraction(values, scale) {
  let possible = 0;
  let sure = 0;
  for (const value of values) {
    if (value >= scale * SURE[0]) possible++;
    if (value >= scale * SURE[1]) sure++;
  }
  return (possible - sure) / Math.max(1, possible);
}

/** Voxels of the largest component, as a fraction of all; NaN where there is none. */
function largestFraction(sizes) {
  return sizes.length ? Math.max(...sizes) / sum(sizes) : NaN;
}

/**
 * Dice between the masks of neighbouring slices, all pairs together.
 *
 * 0 for a mask on one slice of several; NaN for an empty mask, and for a scan of one slice.
 */
function continuity(mask, [depth, height, width]) {
  const size = height * width;
  const slices = Array.from({length: depth}, (_, d) => mask.subarray(d * size, (d + 1) * size));
  const areas = slices.map(count);
  const first = areas.findIndex((area) => area > 0);
  const last = areas.findLastIndex((area) => area > 0);
  if (first < 0 || depth === 1) return NaN;
  if (first === last) return 0;
  let both = 0;
  let total = 0;
  for (let d = first + 1; d <= last; d++) {
    for (let k = 0; k < size; k++) if (slices[d][k] && slices[d - 1][k]) both++;
    total += areas[d] + areas[d - 1];
  }
  return (2 * both) / total;
}

/** Voxels whose FLAIR is nearer to the head's than to air's. */
function headVoxels({height, width, data}, head) {
  const size = height * width;
  let found = 0;
  for (const d of head.slices) {
    const bound = head.air[3 * d + FLAIR] + head.centre[FLAIR] / 2;
    for (let k = d * size; k < (d + 1) * size; k++) if (data[3 * k + FLAIR] > bound) found++;
  }
  return found;
}

/** Fraction of a mask beyond four fifths of the way from the middle of the head's square to its sides. */
function rimFraction(mask, [, height, width], head) {
  const [top, left, side] = head.box;
  let beyond = 0;
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    const row = Math.floor(i / width) % height;
    const column = i % width;
    const down = (2 * (row - top) + 1) / side - 1;
    const across = (2 * (column - left) + 1) / side - 1;
    if (Math.hypot(down, across) > 0.8) beyond++;
  }
  return beyond / count(mask);
}

/** Middle of a mask in the stack of the head's slices: 0 the first, 1 the last. */
function heightInStack(mask, [, height, width], head) {
  const first = head.slices[0];
  const last = head.slices[head.slices.length - 1];
  let total = 0;
  for (let i = 0; i < mask.length; i++) if (mask[i]) total += Math.floor(i / (height * width));
  return (total / count(mask) - first) / Math.max(1, last - first);
}

/** Mean z-score of FLAIR within a mask. */
function brightness({height, width, data}, mask, head) {
  let total = 0;
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    const d = Math.floor(i / (height * width));
    total += data[3 * i + FLAIR] - head.air[3 * d + FLAIR];
  }
  return (total / count(mask) - head.centre[FLAIR]) / head.spread[FLAIR];
}
