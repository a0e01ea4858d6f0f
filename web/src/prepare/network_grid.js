// From a volume to the network's grid and back: lggseg/prepare/network_grid.py, with the same names.

import {toByte} from "../arrays.js";
import {resizePlane} from "../resize.js";

const Z_RANGE = [-5, 10];

/** Slice `d` on the grid, three planes of size x size bytes one after the other; beyond the picture is air. */
export function sliceToGrid(volume, head, d, size) {
  const {height, width, data} = volume;
  const [top, left, side] = head.box;
  const grid = new Uint8Array(3 * size * size);
  const square = new Uint8Array(side * side);
  for (let s = 0; s < 3; s++) {
    const source = head.source[s];
    square.fill(toByte(head.air[3 * d + source]));
    for (let y = Math.max(0, top); y < Math.min(height, top + side); y++) {
      for (let x = Math.max(0, left); x < Math.min(width, left + side); x++) {
        const column = head.mirrored ? side - 1 - (x - left) : x - left;
        square[(y - top) * side + column] = data[3 * ((d * height + y) * width + x) + source];
      }
    }
    grid.set(resizePlane(square, side, side, size, size, true), s * size * size);
  }
  return grid;
}

/**
 * A row of slices on the grid as z-scores, float32: grey level less air, less the inner head's mean, over its deviation.
 *
 * `gridOf(row)` gives a slice on the grid; `context` neighbours on either side become further channels.
 */
export function standardise(gridOf, head, row, context, size) {
  const plane = size * size;
  const scores = new Float32Array(3 * (2 * context + 1) * plane);
  let place = 0;
  for (let offset = -context; offset <= context; offset++) {
    const near = Math.max(0, Math.min(head.slices.length - 1, row + offset));
    const grid = gridOf(near);
    for (let s = 0; s < 3; s++) {
      const zero = Math.fround(head.air[3 * head.slices[near] + head.source[s]] + head.centre[s]);
      for (let k = 0; k < plane; k++) {
        const score = (grid[s * plane + k] - zero) / head.spread[s];
        scores[place++] = Math.max(Z_RANGE[0], Math.min(Z_RANGE[1], score));
      }
    }
  }
  return scores;
}

/** The middle channels of z-scores, for a network that takes fewer neighbours than there are. */
export function middleChannels(scores, wanted, size) {
  const given = scores.length / (size * size);
  const first = (given - wanted) / 2;
  return scores.slice(first * size * size, (first + wanted) * size * size);
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
