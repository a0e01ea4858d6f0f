// Somebody's own scan as a volume, read as what it is or refused with a word on what to do: lggseg/scans/read.py.

import {LggError} from "../errors.js";
import {checkLevels, compose, nameChannels, usualOrder} from "./channels.js";
import {squareSize} from "./grid.js";
import {isNifti, readNifti} from "./nifti.js";
import {isPicture, readPictures} from "./pictures.js";
import {checkSize} from "./sizes.js";

const MOST_OBLONG = 20; // a pixel's longer side over its shorter one: beyond it, sizes are wrong
const GUESSES = [["flair", /flair/i], ["post", /t1(ce|c|gd)|post|contrast|gad/i], ["pre", /t1|pre/i]];

/**
 * What lies in files {name, buffer}: one stack of slices with one or several channels, each with a label.
 *
 * Several NIfTI files are the sequences of one scan, one file each.
 */
export async function readStack(files) {
  const nifti = files.filter((file) => isNifti(file.name));
  const pictures = files.filter((file) => isPicture(file.name));
  if (nifti.length && pictures.length) {
    throw new LggError("scans of several kinds (pictures, NIfTI, DICOM); give one file, or files of one kind");
  }
  if (nifti.length) return joinStacks(nifti.map((file) => readNifti(file.name, file.buffer)));
  if (pictures.length) {
    const stack = await readPictures(pictures);
    stack.labels = stack.channels.map((_, i) => `channel ${i + 1}`);
    return stack;
  }
  const name = files[0]?.name ?? "nothing";
  throw new LggError(`${name}: no picture (.png, .tif, .jpg, .bmp), no NIfTI (.nii, .nii.gz) and no DICOM`);
}

/** Several files as one stack: all must have one channel and lie on the first one's voxels. */
function joinStacks(stacks) {
  const [first] = stacks;
  if (stacks.length === 1) {
    first.labels = first.channels.map((_, i) => (first.channels.length === 1 ? first.name : `channel ${i + 1}`));
    return first;
  }
  for (const stack of stacks) {
    if (stack.channels.length !== 1) {
      throw new LggError(`${stack.name}: ${stack.channels.length} channels; a sequence in a file of its own has one ` +
        "(grey). A file that holds all sequences is given alone, with --order");
    }
    const same = stack.depth === first.depth && stack.height === first.height && stack.width === first.width;
    if (!same) {
      throw new LggError(`${stack.name}: (${stack.depth}, ${stack.height}, ${stack.width}) slices, rows and columns, ` +
        `but ${first.name} has (${first.depth}, ${first.height}, ${first.width}); register and resample it to FLAIR first`);
    }
    if (!first.grid.sameAs(stack.grid)) {
      throw new LggError(`${stack.name}: does not show the same places as ${first.name}; register and resample it to ` +
        "FLAIR, and give all sequences in one format");
    }
  }
  return {...first, channels: stacks.map((stack) => stack.channels[0]), labels: stacks.map((stack) => stack.name),
    warnings: stacks.flatMap((stack) => stack.warnings)};
}

/** Which sequence each channel of a stack is, as far as its number and the files' names tell. */
export function guessOrder(stack) {
  if (!stack.joined && stack.labels.every((label) => label.startsWith("channel"))) return usualOrder(stack.labels.length);
  if (stack.labels.length === 1) return ["flair"];
  const order = stack.labels.map((label) => (GUESSES.find(([, pattern]) => pattern.test(label)) ?? [null])[0]);
  const seen = new Set();
  return order.map((name) => {
    if (name === null || seen.has(name)) return null;
    seen.add(name);
    return name;
  });
}

/** The scan that a stack is, once it is known which channel is which sequence. */
export function ownScan(stack, order) {
  const named = nameChannels(stack.channels, order, stack.name);
  const warnings = [...stack.warnings, ...checkLevels(named, stack.name)];
  const pixel = stack.grid ? stack.grid.pixel : [1, 1];
  const told = `${Number(pixel[0].toPrecision(3))} x ${Number(pixel[1].toPrecision(3))} mm`;
  let composed;
  try {
    composed = compose(named, [stack.depth, stack.height, stack.width]);
    if (Math.max(...pixel) > MOST_OBLONG * Math.min(...pixel)) {
      throw new LggError(`its axial slices have pixels of ${told}; give a scan with more slices, or put its voxel sizes ` +
        "right");
    }
  } catch (error) {
    throw error instanceof LggError ? new LggError(`${stack.name}: ${error.message}`) : error;
  }
  const square = squareSize(stack.height, stack.width, pixel);
  checkSize(stack.name, ...square);
  checkSize(stack.name, stack.depth, ...square);
  warnings.push(...composed.warnings);
  if (Math.max(...pixel) > 3 * Math.min(...pixel)) {
    warnings.push(`axial slices of this scan have pixels of ${told}; do not expect much of slices as coarse as that`);
  }
  return {name: stack.name, volume: composed.volume, names: stack.names, truth: stack.truth, pixel, grid: stack.grid,
    header: stack.header, warnings};
}
