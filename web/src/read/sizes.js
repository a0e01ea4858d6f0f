// What no scan is larger than: lggseg/scans/own_scan.py.

import {LggError} from "../errors.js";

const MAX_PIXELS = 4096 ** 2; // of one slice; no scanner's matrix is near it
const MAX_VOXELS = 2 ** 28; // of one sequence

/** Refuse a shape (of a slice, if it has two numbers) that holds nothing, or more than any scan. */
export function checkSize(name, ...shape) {
  const voxels = shape.reduce((product, length) => product * length, 1);
  if (shape.length === 2 && voxels > MAX_PIXELS) {
    throw new LggError(`${name}: a slice has ${shape[0]} x ${shape[1]} pixels; no scanner's has more than ` +
      `${(MAX_PIXELS / 1e6).toFixed(0)} million: crop or reduce it`);
  }
  if (!(voxels >= 1)) {
    throw new LggError(`${name}: its shape is (${shape.join(", ")}); a scan has at least one pixel along every axis`);
  }
  if (voxels > MAX_VOXELS) {
    throw new LggError(`${name}: its shape is (${shape.join(", ")}), ${(voxels / 1e6).toFixed(0)} million pixels; ` +
      `a scan has at most ${(MAX_VOXELS / 1e6).toFixed(0)} million: crop or reduce it`);
  }
}
