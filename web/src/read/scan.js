// Somebody's own scan as a volume, read as what it is or refused with a word on what to do: lggseg/scans/read.py.

import {LggError} from "../errors.js";
import {checkLevels, compose, nameChannels, usualOrder} from "./channels.js";
import {isItk, readItk} from "./itk.js";
import {isNifti, readNifti} from "./nifti.js";
import {isMask, isPicture, readPictures} from "./pictures.js";
import {reading, short, tuple} from "./sizes.js";

const GUESSES = [
  ["flair", /flair/i],
  ["post", /t1(ce|c|gd)|post|contrast|gad/i],
  ["pre", /t1|pre/i],
];

/**
 * What lies in files {name, buffer}: one stack of slices with one or several channels, each with a label.
 *
 * Several NIfTI, NRRD or MetaImage files are the sequences of one scan, one file each.
 */
export async function readStack(files) {
  const nifti = files.filter((file) => isNifti(file.name));
  const itk = files.filter((file) => isItk(file.name));
  const pictures = files.filter((file) => isPicture(file.name));
  const slices = pictures.filter((file) => !isMask(file.name));
  const name = files[0]?.name ?? "nothing";
  const kinds = Object.entries({nifti, itk, pictures: slices})
    .filter(([, some]) => some.length)
    .map(([kind]) => kind);
  if (kinds.length > 1) {
    throw new LggError(
      `${name}: holds scans of several kinds (${kinds.join(", ")}); name one file, or a folder of one`,
    );
  }
  if (pictures.length && !slices.length) {
    throw new LggError(
      `${pictures[0].name}: ${pictures[0].name} is a mask by its name; name the pictures of the scan`,
    );
  }
  if (nifti.length || itk.length) {
    const stacks = [];
    for (const file of nifti) stacks.push(await readNifti(file.name, file.buffer));
    for (const file of itk) stacks.push(await readItk(file.name, file.buffer, files));
    return joinStacks(stacks);
  }
  if (slices.length) {
    const stack = await readPictures(pictures);
    stack.labels = stack.channels.map((_, i) => `channel ${i + 1}`);
    return stack;
  }
  throw new LggError(
    `${name}: no picture there (.png, .tif, .jpg, .bmp), no NIfTI, NRRD, MetaImage and no DICOM; convert ` +
      "it to NIfTI, as by mri_convert (.mgz), dcm2niix (.par) or nibabel (.img, .npy), a picture to PNG, and " +
      "unpack archives",
  );
}

/** Several files as one stack: all must have one channel and lie on the first one's voxels. */
function joinStacks(stacks) {
  const [first] = stacks;
  if (stacks.length === 1) {
    first.labels = first.channels.map((_, i) =>
      first.channels.length === 1 ? first.name : `channel ${i + 1}`,
    );
    return first;
  }
  const shapeOf = ({depth, height, width}) => tuple([depth, height, width]);
  for (const stack of stacks) {
    let wrong = "";
    if (stack.channels.length !== 1) {
      wrong = `${stack.channels.length} channels; a sequence in a file of its own has one (grey)`;
    } else if (shapeOf(stack) !== shapeOf(first)) {
      wrong = `${shapeOf(stack)} slices, rows and columns, but ${first.name} has ${shapeOf(first)}`;
    } else if (!first.grid.sameAs(stack.grid)) {
      wrong = `does not show the same places as ${first.name}`;
    }
    if (wrong) {
      throw new LggError(
        `${stack.name}: ${wrong}; register and resample it to FLAIR, in the same format, or give one file ` +
          "that holds all sequences, with --order",
      );
    }
  }
  return {
    ...first,
    channels: stacks.map((stack) => stack.channels[0]),
    labels: stacks.map((stack) => stack.name),
    warnings: stacks.flatMap((stack) => stack.warnings),
  };
}

/** Which sequence each channel of a stack is, as far as its number and the files' names tell. */
export function guessOrder(stack) {
  if (stack.labels.every((label) => label.startsWith("channel")))
    return usualOrder(stack.labels.length);
  if (stack.labels.length === 1) return ["flair"];
  const seen = new Set();
  return stack.labels.map((label) => {
    const name = (GUESSES.find(([, pattern]) => pattern.test(label)) ?? [null])[0];
    if (name === null || seen.has(name)) return null;
    seen.add(name);
    return name;
  });
}

/** The scan that a stack is, once it is known which channel is which sequence. */
export async function ownScan(stack, order) {
  const named = nameChannels(stack.channels, order, stack.name);
  const warnings = [...stack.warnings, ...checkLevels(named, stack.name)];
  const composed = await reading(stack.name, "a scan", () => {
    stack.grid?.checkHead();
    return compose(named, [stack.depth, stack.height, stack.width]);
  });
  warnings.push(...composed.warnings);
  const pixel = stack.grid ? stack.grid.pixel : [1, 1];
  if (Math.max(...pixel) > 3 * Math.min(...pixel)) {
    warnings.push(
      `its axial slices have pixels of ${short(pixel[0])} x ${short(pixel[1])} mm; do not expect much of slices ` +
        "as coarse as that",
    );
  }
  return {
    name: stack.name,
    volume: composed.volume,
    names: stack.names,
    truth: stack.truth,
    pixel,
    grid: stack.grid,
    header: stack.header,
    warnings,
  };
}
