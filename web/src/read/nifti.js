// NIfTI files: read whole or refused by name, and results on the very same grid: lggseg/scans/nifti.py.

import * as nifti from "nifti-reader-js";
import {LggError} from "../errors.js";
import {Grid} from "./grid.js";
import {checkSize} from "./sizes.js";

const READERS = { // by NIfTI's number of a type: bytes a voxel, and how a DataView reads one
  2: [1, "getUint8", Uint8Array], 4: [2, "getInt16", Int16Array], 8: [4, "getInt32", Int32Array],
  16: [4, "getFloat32", Float32Array], 64: [8, "getFloat64", Float64Array], 256: [1, "getInt8", Int8Array],
  512: [2, "getUint16", Uint16Array], 768: [4, "getUint32", Uint32Array],
};

export function isNifti(name) {
  return /\.nii(\.gz)?$/i.test(name);
}

/** A scan: slices, channels, grid and header, of the bytes of a NIfTI file (X,Y,Z) or (X,Y,Z,C). */
export function readNifti(name, buffer) {
  let header;
  try {
    if (nifti.isCompressed(buffer)) buffer = nifti.decompress(buffer);
    header = nifti.readHeader(buffer);
  } catch (error) {
    throw new LggError(`${name}: not a whole NIfTI file (${error.message}); copy or convert it again`);
  }
  if (!header) throw new LggError(`${name}: has no NIfTI header; convert the scan again, from DICOM with dcm2niix`);
  const shape = header.dims.slice(1, 1 + header.dims[0]);
  while (shape.length > 4 && shape[shape.length - 1] === 1) shape.pop();
  if (shape.length !== 3 && shape.length !== 4) {
    throw new LggError(`${name}: shape (${shape.join(", ")}); it must be (X, Y, Z) for one sequence, or (X, Y, Z, C) ` +
      "for several");
  }
  const reader = READERS[header.datatypeCode];
  if (!reader) {
    throw new LggError(`${name}: its voxels are of the type ${header.datatypeCode}; they must be real numbers: save ` +
      "the magnitude, one sequence per file");
  }
  checkSize(name, ...shape.slice(0, 3));
  checkSize(name, ...shape);
  const grid = gridOf(name, header, shape.slice(0, 3), buffer);
  const [bytes, method, Kind] = reader;
  const perChannel = shape[0] * shape[1] * shape[2];
  const count = shape.length === 4 ? shape[3] : 1;
  const start = Math.floor(header.vox_offset);
  const need = start + bytes * perChannel * count;
  if (buffer.byteLength < need) {
    throw new LggError(`${name}: cut short, ${buffer.byteLength} of ${need} bytes; copy it again`);
  }
  const view = new DataView(buffer, start);
  const scaled = header.scl_slope !== 0 && Number.isFinite(header.scl_slope) &&
    (header.scl_slope !== 1 || header.scl_inter !== 0);
  const channels = [];
  for (let c = 0; c < count; c++) {
    const voxels = scaled ? new Float32Array(perChannel) : new Kind(perChannel);
    for (let i = 0; i < perChannel; i++) {
      const value = view[method](bytes * (c * perChannel + i), header.littleEndian);
      voxels[i] = scaled ? value * header.scl_slope + header.scl_inter : value;
    }
    channels.push(grid.toSlices(voxels));
  }
  const [depth, height, width] = grid.sliceShape;
  const warnings = header.sform_code > 0 || header.qform_code > 0 ? [] : [
    `${name}: does not say how it lies in the patient; taken as stored with the axes left, front, top`];
  const names = Array.from({length: depth}, (_, d) => `slice_${d + 1}`);
  const kept = header instanceof nifti.NIFTI1 && header.littleEndian ? buffer.slice(0, 348) : null;
  return {name, depth, height, width, channels, names, grid, header: kept, truth: null, warnings};
}

/** The grid of a header: its sform, else its qform, else the voxels' sizes, as nibabel takes them. */
function gridOf(name, header, shape, buffer) {
  try {
    return new Grid(shape, affineOf(header, shape, buffer));
  } catch (error) {
    throw new LggError(`${name}: ${error.message}`);
  }
}

function affineOf(header, shape, buffer) {
  if (header.sform_code > 0) return sformOf(header, buffer);
  const size = header.pixDims.slice(1, 4);
  if (header.qform_code > 0) {
    const {quatern_b: b, quatern_c: c, quatern_d: d} = header;
    const a = Math.sqrt(Math.max(0, 1 - b * b - c * c - d * d));
    const rotation = [
      [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
      [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
      [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c]];
    const turn = header.pixDims[0] < 0 ? -1 : 1;
    const offset = [header.qoffset_x, header.qoffset_y, header.qoffset_z];
    const rows = rotation.map((row, world) => [row[0] * size[0], row[1] * size[1], turn * row[2] * size[2], offset[world]]);
    return [...rows, [0, 0, 0, 1]];
  }
  const steps = [-size[0], size[1], size[2]];
  const rows = steps.map((step, axis) => {
    const row = [0, 0, 0, -step * (shape[axis] - 1) / 2];
    row[axis] = step;
    return row;
  });
  return [...rows, [0, 0, 0, 1]];
}

/** The sform as it is stored: the reader's own `affine` is the qform in some files that have both. */
function sformOf(header, buffer) {
  const view = new DataView(buffer);
  const isFirst = header instanceof nifti.NIFTI1;
  const at = (row, column) => isFirst ? view.getFloat32(280 + 16 * row + 4 * column, header.littleEndian)
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
      for (let column = 0; column < 4; column++) view.setFloat32(280 + 16 * row + 4 * column, grid.affine[row][column], true);
    }
  }
  view.setInt16(40, channels.length > 1 ? 4 : 3, true);
  [...grid.shape, channels.length, 1, 1, 1].forEach((length, axis) => view.setInt16(42 + 2 * axis, length, true));
  view.setInt16(70, 2, true); // unsigned bytes
  view.setInt16(72, 8, true);
  view.setFloat32(108, 352, true); // the voxels' place
  view.setFloat32(112, 1, true); // slope and intercept
  view.setFloat32(116, 0, true);
  view.setFloat32(124, 0, true); // a grey window of the scan's would show a mask as black
  view.setFloat32(128, 0, true);
  new Uint8Array(buffer, 344, 4).set([0x6e, 0x2b, 0x31, 0]); // "n+1"
  channels.forEach((slices, c) => new Uint8Array(buffer, 352 + c * size, size).set(grid.fromSlices(slices)));
  return buffer;
}
