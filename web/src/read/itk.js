// NRRD and MetaImage, the formats of ITK, 3D Slicer and MITK: lggseg/scans/itk.py.
//
// NiiVue reads both, too, but one sequence a file, and it guesses where a file does not say how it lies.

import {LggError} from "../errors.js";
import {Grid, scanOnGrid} from "./grid.js";
import {inflate, readNumbers, TYPES} from "./numbers.js";
import {checkSize, NO_PLACE, reading, tuple} from "./sizes.js";

const HEADER = 100_000; // bytes in which a header ends
const NRRD_TYPES = {
  int8: /^(signed char|int8(_t)?)$/,
  uint8: /^(uchar|unsigned char|uint8(_t)?)$/,
  int16: /^((signed )?short( int)?|int16(_t)?)$/,
  uint16: /^(ushort|unsigned short( int)?|uint16(_t)?)$/,
  int32: /^((signed )?int|int32(_t)?)$/,
  uint32: /^(uint|unsigned int|uint32(_t)?)$/,
  int64: /^(longlong|(signed )?long long( int)?|int64(_t)?)$/,
  uint64: /^(ulonglong|unsigned long long( int)?|uint64(_t)?)$/,
  float32: /^float$/,
  float64: /^double$/,
};
const META_TYPES = {
  int8: /^MET_CHAR$/,
  uint8: /^MET_UCHAR$/,
  int16: /^MET_SHORT$/,
  uint16: /^MET_USHORT$/,
  int32: /^MET_(INT|LONG)$/,
  uint32: /^MET_U(INT|LONG)$/,
  int64: /^MET_LONG_LONG$/,
  uint64: /^MET_ULONG_LONG$/,
  float32: /^MET_FLOAT$/,
  float64: /^MET_DOUBLE$/,
};
const DOMAIN_KINDS = ["domain", "space", "time", "???", "none"]; // any other kind of axis holds sequences
const SPACES = {
  ras: "right-anterior-superior",
  las: "left-anterior-superior",
  lps: "left-posterior-superior",
};

export function isItk(name) {
  return /\.(nrrd|nhdr|mha|mhd)$/i.test(name);
}

/**
 * A scan: slices, channels and grid, of an NRRD or MetaImage file with one or several channels.
 *
 * `others` are the files {name, buffer} that came with it: a header may name one that holds the voxels.
 */
export function readItk(name, buffer, others) {
  return reading(name, "NRRD or MetaImage", async () => {
    const described = /\.(nrrd|nhdr)$/i.test(name) ? describeNrrd(buffer) : describeMeta(buffer);
    const {sizes, channelAxis} = described;
    const spatial = sizes.filter((_, axis) => axis !== channelAxis);
    const count = channelAxis === null ? 1 : sizes[channelAxis];
    checkSize(...spatial, count);
    if (spatial.length !== 3) {
      throw new LggError(`its shape is ${tuple(spatial)}; it must be (X,Y,Z), or several of these`);
    }
    const total = sizes.reduce((product, length) => product * length, 1);
    const values = await voxelsOf(described, buffer, others, total);
    const grid = new Grid(spatial, towardsRightAndFront(described));
    if (!described.hasPlace) throw new LggError(NO_PLACE);
    const channels = [];
    for (let c = 0; c < count; c++)
      channels.push(grid.toSlices(oneChannel(values, sizes, channelAxis, c)));
    return scanOnGrid(name, grid, channels);
  });
}

/** One channel of voxels whose first axis runs fastest, wherever the axis of the channels lies. */
function oneChannel(values, sizes, channelAxis, channel) {
  if (channelAxis === null) return values;
  const below = sizes.slice(0, channelAxis).reduce((product, length) => product * length, 1);
  const stride = below * sizes[channelAxis];
  const found = new values.constructor(values.length / sizes[channelAxis]);
  for (let i = 0; i < found.length; i++) {
    found[i] = values[Math.floor(i / below) * stride + channel * below + (i % below)];
  }
  return found;
}

/** The affine of NIfTI, towards right, front and top, of ITK's, towards left, back and top. */
function towardsRightAndFront({directions, origin}) {
  const rows = [0, 1, 2].map((world) => {
    const sign = world < 2 ? -1 : 1;
    const row = directions.map((direction) => sign * direction[world]);
    return [...row, sign * origin[world]];
  });
  return [...rows, [0, 0, 0, 1]];
}

/** The voxels' numbers, of the file itself or of the one that its header names. */
async function voxelsOf(
  {type, littleEndian, compressed, dataFile, start, skip},
  buffer,
  others,
  total,
) {
  let data = buffer.slice(start);
  if (dataFile !== null) {
    const wanted = dataFile.replace(/^.*[/\\]/, "");
    const file = others.find((each) => each.name.replace(/^.*\//, "") === wanted);
    if (!file) throw new LggError(`its voxels lie in ${wanted}; give both files at once`);
    data = file.buffer;
  }
  if (compressed) data = await inflate(data);
  const first = skip < 0 ? data.byteLength - type.bytes * total : skip; // -1: the voxels end the file
  if (first < 0) throw new Error(`cut short, ${data.byteLength} of ${type.bytes * total} bytes`);
  return readNumbers(data, first, type, total, littleEndian);
}

function typeOf(name, patterns) {
  const found = Object.keys(TYPES).find((type) => patterns[type].test(name));
  if (!found)
    throw new LggError(`its pixels are of the type ${name}; save real numbers, as grey levels`);
  return TYPES[found];
}

function numbersOf(text) {
  return (text.match(/[-+.\w]+/g) ?? []).map(Number);
}

/** Bytes of the header as text, one character a byte. */
function beginning(buffer) {
  return new TextDecoder("latin1").decode(buffer.slice(0, HEADER));
}

// ---------------------------------------------------------------- NRRD

/** What the header of an NRRD file says. */
function describeNrrd(buffer) {
  const text = beginning(buffer);
  const end = /\r?\n\r?\n/.exec(text);
  const head = end ? text.slice(0, end.index) : text; // a header alone, with its voxels in another file
  if (!head.startsWith("NRRD")) throw new Error("no NRRD header");
  const fields = {};
  for (const line of head.split(/\r?\n/).slice(1)) {
    const parts = /^([^#:]+): *(.*)$/.exec(line);
    if (parts) fields[parts[1].toLowerCase().replace(/ /g, "")] = parts[2].trim();
  }
  for (const needed of ["type", "sizes", "encoding"]) {
    if (!fields[needed]) throw new Error(`its header has no line "${needed}"`);
  }
  const type = typeOf(fields.type.toLowerCase(), NRRD_TYPES);
  if (type.bytes > 1 && !fields.endian) throw new Error('its header has no line "endian"');
  const encoding = fields.encoding.toLowerCase();
  if (!["raw", "gzip", "gz"].includes(encoding)) {
    throw new LggError(
      `its voxels are written as ${encoding}; this page reads raw and gzip: save it so`,
    );
  }
  if (Number(fields.lineskip ?? 0) !== 0)
    throw new LggError("its voxels begin behind lines of text; save it without");
  const sizes = numbersOf(fields.sizes);
  return {
    type,
    sizes,
    compressed: encoding !== "raw",
    littleEndian: fields.endian?.toLowerCase() !== "big",
    dataFile: fields.datafile ?? null,
    start: end ? end.index + end[0].length : buffer.byteLength,
    skip: Number(fields.byteskip ?? 0),
    ...placeNrrd(fields, sizes),
  };
}

/** Which axis holds sequences, where the others lead, and whether the file says how it lies. */
function placeNrrd(fields, sizes) {
  const kinds = fields.kinds?.toLowerCase().split(/\s+/) ?? [];
  const vectors = fields.spacedirections?.match(/none|\([^)]*\)/gi) ?? [];
  const spacings = numbersOf(fields.spacings ?? "");
  let channelAxis = sizes.findIndex(
    (_, axis) => kinds[axis] && !DOMAIN_KINDS.includes(kinds[axis]),
  );
  const isList = channelAxis < 0 && sizes.length === 4; // of volumes
  if (channelAxis < 0) channelAxis = isList ? 3 : null;
  const directions = [];
  sizes.forEach((_, axis) => {
    if (axis === channelAxis) return;
    const step = [0, 0, 0];
    step[directions.length] = Number.isFinite(spacings[axis]) ? spacings[axis] : 1;
    const given = vectors[axis]?.startsWith("(") ? numbersOf(vectors[axis]).slice(0, 3) : step;
    directions.push(given);
  });
  const said = fields.space?.toLowerCase().replace(/ /g, "-") ?? "";
  const space = SPACES[said] ?? said;
  const origin = fields.spaceorigin ? numbersOf(fields.spaceorigin).slice(0, 3) : [0, 0, 0];
  // ITK counts towards left and back.
  const signs = [space.startsWith("right") ? -1 : 1, space.includes("anterior") ? -1 : 1, 1];
  const turned = (vector) => vector.map((value, world) => signs[world] * value);
  const byItk = isList && kinds.length > 3; // ITK names the space of three axes alone
  const hasPlace = space.includes("superior") || byItk;
  return {channelAxis, directions: directions.map(turned), origin: turned(origin), hasPlace};
}

// ---------------------------------------------------------------- MetaImage

/** What the header of a MetaImage file says. */
function describeMeta(buffer) {
  const text = beginning(buffer);
  const last = /^ElementDataFile *= *(.*?) *\r?(\n|$)/m.exec(text);
  if (!last) throw new Error('its header has no line "ElementDataFile"');
  const fields = {};
  for (const line of text.slice(0, last.index).split(/\r?\n/)) {
    const parts = /^(\w+) *= *(.*)$/.exec(line);
    if (parts) fields[parts[1]] = parts[2].trim();
  }
  for (const needed of ["DimSize", "ElementType"]) {
    if (!fields[needed]) throw new Error(`its header has no line "${needed}"`);
  }
  const isTrue = (value) => /^(true|1|yes)$/i.test(value ?? "");
  if (fields.BinaryData !== undefined && !isTrue(fields.BinaryData)) {
    throw new LggError("its voxels are written as text; this page reads binary data: save it so");
  }
  if (/^LIST|%/.test(last[1]))
    throw new LggError("its voxels lie in several files; save them in one");
  const shape = numbersOf(fields.DimSize);
  const interleaved = Number(fields.ElementNumberOfChannels ?? 1);
  const isList = interleaved === 1 && shape.length === 4;
  let sizes = shape;
  let channelAxis = isList ? 3 : null;
  if (interleaved > 1) {
    sizes = [interleaved, ...shape];
    channelAxis = 0;
  }
  return {
    type: typeOf(fields.ElementType, META_TYPES),
    sizes,
    channelAxis,
    compressed: isTrue(fields.CompressedData),
    littleEndian: !isTrue(fields.ElementByteOrderMSB ?? fields.BinaryDataByteOrderMSB),
    dataFile: /^LOCAL$/i.test(last[1]) ? null : last[1],
    start: last.index + last[0].length,
    skip: Number(fields.HeaderSize ?? 0),
    ...placeMeta(fields, shape.length),
    hasPlace: true,
  };
}

/** Where the axes lead: each row of the matrix is the direction of one axis. */
function placeMeta(fields, dimensions) {
  const matrix = numbersOf(fields.TransformMatrix ?? fields.Rotation ?? fields.Orientation ?? "");
  const steps = numbersOf(fields.ElementSpacing ?? fields.ElementSize ?? "");
  const origin = numbersOf(fields.Offset ?? fields.Position ?? fields.Origin ?? "0 0 0").slice(
    0,
    3,
  );
  const directions = [0, 1, 2].map((axis) => {
    let row = [0, 1, 2].map((world) => (world === axis ? 1 : 0));
    if (matrix.length) row = matrix.slice(dimensions * axis, dimensions * axis + 3);
    return row.map((value) => (steps[axis] ?? 1) * value);
  });
  return {directions, origin};
}
