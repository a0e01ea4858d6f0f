// The rules that hold for all formats: lggseg/scans/own_scan.py.

import {LggError} from "../errors.js";

const MAX_PIXELS = 4096 ** 2; // of one slice; no scanner's matrix is near it
const MAX_VOXELS = 2 ** 28; // a hundred times the largest scan of the data set

export const NO_PLACE =
  "does not say how it lies in the patient, so left, front and top are not known; convert it again " +
  "from DICOM by dcm2niix, or give its slices as pictures, front of the head up";

/** Refuse a shape (of a slice, if it has two numbers) that holds nothing, or more than any scan. */
export function checkSize(...shape) {
  const pixels = shape.reduce((product, length) => product * length, 1);
  const [most, where] = shape.length === 2 ? [MAX_PIXELS, "in a slice"] : [MAX_VOXELS, "in all"];
  if (pixels >= 1 && pixels <= most) return;
  throw new LggError(
    `its shape is ${tuple(shape)}; a scan has at least one pixel along every axis, and at most ` +
      `${(most / 1e6).toFixed(0)} million ${where}: crop it`,
  );
}

/** Do something with a file, and name it in what goes wrong; a damaged one makes libraries throw nearly anything. */
export async function reading(name, kind, action) {
  try {
    return await action();
  } catch (error) {
    if (error instanceof LggError) throw new LggError(`${name}: ${error.message}`);
    throw new LggError(
      `${name}: cannot be read as ${kind} (${error.message}); copy or export it again, or give NIfTI`,
    );
  }
}

/** Numbers as Python prints a tuple. */
export function tuple(numbers) {
  return `(${numbers.join(", ")})`;
}

/** A number in at most three digits, as Python's format ".3g" has it. */
export function short(number) {
  return String(Number(number.toPrecision(3)));
}
