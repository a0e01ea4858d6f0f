// NIfTI files: read whole or refused by name, and results on the very same grid: lggseg/scans/nifti.py.

import * as nifti from "nifti-reader-js";
import {LggError} from "../errors.js";
import {Grid, scanOnGrid} from "./grid.js";
import {inflate, isGzip, readNumbers, TYPES} from "./numbers.js";
import {checkSize, NO_PLACE, reading, tuple} from "./sizes.js";

const TYPE_CODES = {
  // by NIfTI's number of a type
  2: "uint8",
  4: "int16",
  8: "int32",
  16: "float32",
  64: "float64",
  256: "int8",
  512: "uint16",
  768: "uint32",
  1024: "int64",
  1280: "uint64",
};

const TO_MM = {1: 1000, 3: 0.001}; // metres and microns; anything else is taken as mm

export function isNifti(name) {
  return /\.nii(\.gz)?$/i.test(name);
}

/** A scan: slices, channels, grid and header, of a NIfTI file (X,Y,Z), (X,Y,Z,C), or (X,Y,Z,1,C). */
export function readNifti(name, buffer) {
  return reading(name, "NIfTI", () => readWhole(name, buffer));
}

async function readWhole(name, given) {
  const buffer = isGzip(given) ? await inflate(given) : given;
  const header = nifti.readHeader(buffer);
  if (!header) throw new Error("no NIfTI header");
  const shape = header.dims.slice(1, 1 + header.dims[0]);
  if (shape.length < 3 || shape.length > 5 || (shape.length === 5 && shape[3] > 1)) {
    throw new LggError(`its shape is ${tuple(shape)}; it must be (X,Y,Z), or (X,Y,Z,sequences)`);
  }
  const type = TYPES[TYPE_CODES[header.datatypeCode]];
  if (!type) {
    throw new LggError(
      `its pixels are of the type ${header.datatypeCode}; save real numbers, as grey levels`,
    );
  }
  checkSize(...shape);
  const perChannel = shape[0] * shape[1] * shape[2];
  const count = shape.slice(3).reduce((product, length) => product * length, 1);
  const start = Math.floor(header.vox_offset);
  const stored = readNumbers(buffer, start, type, perChannel * count, header.littleEndian);
  const {grid, warnings} = placeOf(header, shape.slice(0, 3), buffer);
  const values = rescaled(stored, header);
  const channels = [];
  for (let c = 0; c < count; c++) {
    channels.push(grid.toSlices(values.subarray(c * perChannel, (c + 1) * perChannel)));
  }
  const kept = header instanceof nifti.NIFTI1 && header.littleEndian ? buffer.slice(0, 348) : null;
  return scanOnGrid(
    name,
    grid,
    channels,
    kept,
    warnings.map((words) => `${name}: ${words}`),
  );
}

/** Intensities of the numbers as stored: multiplied by the slope, plus the intercept, where there is a slope. */
function rescaled(stored, {scl_slope: slope, scl_inter: intercept}) {
  const isUsed = slope !== 0 && Number.isFinite(slope);
  if (!isUsed || (slope === 1 && intercept === 0)) return stored;
  return Float32Array.from(stored, (value) => value * slope + intercept);
}

/**
 * Where the voxels lie, and warnings about it.
 *
 * Where sform, qform and voxel sizes contradict each other, those count in which a head fits.
 */
function placeOf(header, shape, buffer) {
  const unit = TO_MM[header.xyzt_units & 7] ?? 1;
  const inMm = (affine) => affine.map((row, i) => (i < 3 ? row.map((value) => unit * value) : row));
  const plain = new Grid(shape, inMm(plainOf(header, shape)));
  const forms = [];
  if (header.sform_code > 0) forms.push(inMm(sformOf(header, buffer)));
  if (header.qform_code > 0) forms.push(inMm(qformOf(header)));
  if (!forms.length) throw new LggError(NO_PLACE);
  const grids = forms.map((form) => gridOrNull(shape, form)).filter(Boolean);
  if (grids.length === forms.length && areConsistent(grids, plain))
    return {grid: grids[0], warnings: []};
  const heads = grids.filter((grid) => grid.fitsHead());
  const fitting = heads.length ? heads : [new Grid(shape, forms[0])];
  const sizes = [...forms, plain.affine].map((affine) => pythonList(voxelSizes(affine)));
  const conflict = `sform, qform and voxel sizes contradict each other in size ([${sizes.join(", ")}] mm) or direction`;
  if (!areConsistent(fitting, plain.fitsHead() ? plain : fitting[0])) {
    throw new LggError(`${conflict}; convert the scan again, from DICOM with dcm2niix`);
  }
  const taken = pythonList(fitting[0].axialSpacing);
  return {
    grid: fitting[0],
    warnings: [`${conflict}; read as slices, rows and columns ${taken} mm apart, as fits a head`],
  };
}

function gridOrNull(shape, affine) {
  try {
    return new Grid(shape, affine);
  } catch {
    return null;
  }
}

/** Whether all turn the volume alike, and have voxels about as large as `plain`. */
function areConsistent(grids, plain) {
  return grids.every(
    (grid) =>
      grid.turnsLike(grids[0]) &&
      grid.spacing.every(
        (mm, axis) => Math.abs(mm - plain.spacing[axis]) <= 0.05 * plain.spacing[axis],
      ),
  );
}

function voxelSizes(affine) {
  return [0, 1, 2].map((axis) => Math.hypot(affine[0][axis], affine[1][axis], affine[2][axis]));
}

/** Numbers in at most three decimals, as Python prints a list of floats. */
function pythonList(numbers) {
  const texts = numbers
    .map((number) => Math.round(1000 * number) / 1000)
    .map((number) => (Number.isInteger(number) ? number.toFixed(1) : String(number)));
  return `[${texts.join(", ")}]`;
}

/** The voxels' sizes alone, as nibabel takes them: axes left, front and top, the middle at 0. */
function plainOf(header, shape) {
  const [x, y, z] = header.pixDims.slice(1, 4);
  const rows = [-x, y, z].map((step, axis) => {
    const row = [0, 0, 0, (-step * (shape[axis] - 1)) / 2];
    row[axis] = step;
    return row;
  });
  return [...rows, [0, 0, 0, 1]];
}

/** The qform: a rotation as a quaternion, the voxels' sizes, and the place of the first voxel. */
function qformOf(header) {
  const {quatern_b: b, quatern_c: c, quatern_d: d} = header;
  const size = header.pixDims.slice(1, 4);
  const a = Math.sqrt(Math.max(0, 1 - b * b - c * c - d * d));
  const rotation = [
    [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
    [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
    [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
  ];
  const turn = header.pixDims[0] < 0 ? -1 : 1;
  const offset = [header.qoffset_x, header.qoffset_y, header.qoffset_z];
  const rows = rotation.map((row, world) => [
    row[0] * size[0],
    row[1] * size[1],
    turn * row[2] * size[2],
    offset[world],
  ]);
  return [...rows, [0, 0, 0, 1]];
}

/** The sform as it is stored: the reader's own `affine` is the qform in some files that have both. */
function sformOf(header, buffer) {
  const view = new DataView(buffer);
  const isFirst = header instanceof nifti.NIFTI1;
  const at = (row, column) =>
    isFirst
      ? view.getFloat32(280 + 16 * row + 4 * column, header.littleEndian)
      : view.getFloat64(400 + 32 * row + 8 * column, header.littleEndian);
  const rows = [0, 1, 2].map((row) => [0, 1, 2, 3].map((column) => at(row, column)));
  return [...rows, [0, 0, 0, 1]];
}

/**
 * Bytes of a NIfTI file on a grid, with the scan's own header, if it had one.
 *
 * `channels` is a list of slices (bytes, D x H x W), one for each sequence; a mask is a list of one.
 */
export function writeNifti(channels, grid, header) {
  const size = channels[0].length;
  const buffer = new ArrayBuffer(352 + channels.length * size);
  const view = new DataView(buffer);
  if (header) {
    new Uint8Array(buffer).set(new Uint8Array(header));
  } else {
    view.setInt32(0, 348, true);
    view.setFloat32(76, 1, true);
    view.setFloat32(92, 1, true);
    grid.spacing.forEach((size, axis) => view.setFloat32(80 + 4 * axis, size, true));
    view.setUint8(123, 2); // mm
    view.setInt16(254, 1, true); // sform: scanner's coordinates
    for (let row = 0; row < 3; row++) {
      for (let column = 0; column < 4; column++)
        view.setFloat32(280 + 16 * row + 4 * column, grid.affine[row][column], true);
    }
  }
  view.setInt16(40, channels.length > 1 ? 4 : 3, true);
  [...grid.shape, channels.length, 1, 1, 1].forEach((length, axis) =>
    view.setInt16(42 + 2 * axis, length, true),
  );
  view.setInt16(70, 2, true); // unsigned bytes
  view.setInt16(72, 8, true);
  view.setFloat32(108, 352, true); // the voxels' place
  view.setFloat32(112, 1, true); // slope and intercept
  view.setFloat32(116, 0, true);
  view.setFloat32(124, 0, true); // a grey window of the scan's would show a mask as black
  view.setFloat32(128, 0, true);
  new Uint8Array(buffer, 344, 4).set([0x6e, 0x2b, 0x31, 0]); // "n+1"
  channels.forEach((slices, c) =>
    new Uint8Array(buffer, 352 + c * size, size).set(grid.fromSlices(slices)),
  );
  return buffer;
}
