// Where a volume's voxels lie in the patient, and the way to axial slices and back: lggseg/scans/grid.py.

import {LggError} from "../errors.js";
import {roundHalfEven} from "../arrays.js";
import {resizePlane} from "../resize.js";
import {checkSize, short} from "./sizes.js";

// mm, least and most: of a pixel (or of the distance of slices), and of a head within its slice (or along their stack).
const IN_SLICE = [
  [0.2, 3],
  [100, 300],
];
const IN_STACK = [
  [0.5, 15],
  [60, 300],
];
const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];

/** `shape` [X, Y, Z] of a volume, and `affine` (rows of 4) from voxel numbers to mm towards right, front and top. */
export class Grid {
  constructor(shape, affine) {
    this.shape = shape;
    this.affine = affine;
    this.spacing = [0, 1, 2].map((axis) =>
      Math.hypot(affine[0][axis], affine[1][axis], affine[2][axis]),
    );
    if (
      !affine.slice(0, 3).flat().every(Number.isFinite) ||
      Math.abs(determinant(affine)) < 1e-12
    ) {
      const rows = affine
        .slice(0, 3)
        .map((row) => `[${row.map((value) => Math.round(value * 1000) / 1000).join(", ")}]`);
      throw new LggError(
        `its affine [${rows.join(", ")}] does not place voxels in space; convert the scan again, ` +
          "from DICOM with dcm2niix",
      );
    }
    this.axes = this.closestAxes();
    // The file's axes in the order slice, row, column; each is walked upwards, backwards and leftwards.
    this.order = [this.axes[2], this.axes[1], this.axes[0]];
    const wanted = [true, false, false];
    this.forwards = this.order.map((axis, i) => affine[[2, 1, 0][i]][axis] > 0 === wanted[i]);
  }

  /** The file's axes closest to right-left, front-back and top-bottom, each used once. */
  closestAxes() {
    const along = (world, axis) => Math.abs(this.affine[world][axis]) / this.spacing[axis];
    const fit = (axes) => along(0, axes[0]) + along(1, axes[1]) + along(2, axes[2]);
    return ORDERS.reduce((best, axes) => (fit(axes) > fit(best) ? axes : best));
  }

  /** Height and width in mm of an axial slice's pixel. */
  get pixel() {
    return [this.spacing[this.axes[1]], this.spacing[this.axes[0]]];
  }

  /** Volume of a voxel in ml. */
  get voxel() {
    return Math.abs(determinant(this.affine)) / 1000;
  }

  /** Distance of axial slices, height and width of their pixels, in mm. */
  get axialSpacing() {
    return this.order.map((axis) => this.spacing[axis]);
  }

  /** Whether it is as large as scans of heads are; the stack runs along the axis on which voxels are longest. */
  fitsHead() {
    const spacing = this.axialSpacing;
    const rounded = spacing.map((mm) => Math.round(10 * mm));
    const stack = rounded.indexOf(Math.max(...rounded));
    return spacing.every((mm, axis) => {
      const limits = axis === stack ? IN_STACK : IN_SLICE;
      const lengths = [mm, mm * this.sliceShape[axis]];
      return lengths.every(
        (length, i) => length >= 0.999 * limits[i][0] && length <= 1.001 * limits[i][1],
      );
    });
  }

  /** Refuse a grid that no head fits, or of which nothing is told: the identity is no scanner's. */
  checkHead() {
    const isIdentity = this.affine.every((row, i) =>
      row.every((value, k) => value === (i === k ? 1 : 0)),
    );
    if (!isIdentity && this.fitsHead()) return;
    const hint = isIdentity
      ? "; its affine is the identity, which is written where none is known"
      : "";
    const size = this.axialSpacing.map(short).join(" x ");
    throw new LggError(
      `has ${this.sliceShape.join(" x ")} voxels of ${size} mm; a head ` +
        "has 100 to 300 mm a side within its slices and 60 to 300 along their stack, pixels of 0.2 to 3 mm and slices of " +
        "0.5 to 15 mm: give all slices of the scan, with true voxel sizes in mm, as dcm2niix converts them from DICOM" +
        hint,
    );
  }

  /** Whether the axes of both run the same ways. */
  turnsLike(other) {
    return String([this.order, this.forwards]) === String([other.order, other.forwards]);
  }

  /** Number of slices, rows and columns. */
  get sliceShape() {
    return this.order.map((axis) => this.shape[axis]);
  }

  /** Call `visit` with each voxel's place in the file, whose first axis runs fastest, in the order of the slices. */
  forEachPlace(visit) {
    const strides = [1, this.shape[0], this.shape[0] * this.shape[1]];
    const [depth, height, width] = this.sliceShape;
    const at = (axis, i, length) =>
      strides[this.order[axis]] * (this.forwards[axis] ? i : length - 1 - i);
    for (let d = 0; d < depth; d++) {
      for (let y = 0; y < height; y++) {
        const row = at(0, d, depth) + at(1, y, height);
        for (let x = 0; x < width; x++) visit(row + at(2, x, width));
      }
    }
  }

  /** Voxels as in the file, to axial slices: front up, the patient's left on the right. */
  toSlices(voxels) {
    const slices = new voxels.constructor(voxels.length);
    let i = 0;
    this.forEachPlace((place) => {
      slices[i++] = voxels[place];
    });
    return slices;
  }

  /** The inverse of `toSlices`. */
  fromSlices(slices) {
    const voxels = new slices.constructor(slices.length);
    let i = 0;
    this.forEachPlace((place) => {
      voxels[place] = slices[i++];
    });
    return voxels;
  }

  /** Whether the slices of both have one shape and show the same places, to a tenth of a voxel. */
  sameAs(other) {
    if (String(this.sliceShape) !== String(other.sliceShape)) return false;
    const allowed = 0.1 * Math.min(...this.spacing);
    const others = other.corners();
    return this.corners().every((corner, i) =>
      corner.every((value, k) => Math.abs(value - others[i][k]) <= allowed),
    );
  }

  /** Places in mm of the corner voxels, in the order of the axial slices. */
  corners() {
    const ends = this.order.map((axis, i) => {
      const both = [0, this.shape[axis] - 1];
      return this.forwards[i] ? both : both.reverse();
    });
    const found = [];
    for (const d of ends[0])
      for (const y of ends[1])
        for (const x of ends[2]) {
          const voxel = [0, 0, 0];
          voxel[this.order[0]] = d;
          voxel[this.order[1]] = y;
          voxel[this.order[2]] = x;
          found.push(
            [0, 1, 2].map(
              (world) =>
                this.affine[world][3] +
                voxel.reduce((total, value, axis) => total + value * this.affine[world][axis], 0),
            ),
          );
        }
    return found;
  }
}

function determinant([a, b, c]) {
  return (
    a[0] * (b[1] * c[2] - b[2] * c[1]) -
    a[1] * (b[0] * c[2] - b[2] * c[0]) +
    a[2] * (b[0] * c[1] - b[1] * c[0])
  );
}

/** Rows and columns of a slice whose pixels have become as high and wide as their shorter side. */
export function squareSize(height, width, pixel) {
  const side = Math.min(...pixel);
  return [roundHalfEven((height * pixel[0]) / side), roundHalfEven((width * pixel[1]) / side)];
}

/** A volume with pixels of this height and width, resampled to square ones. */
export function toSquare(volume, pixel) {
  const {depth, height, width, data} = volume;
  const [newHeight, newWidth] = squareSize(height, width, pixel);
  if (newHeight === height && newWidth === width) return volume;
  checkSize(depth, newHeight, newWidth);
  const result = new Uint8Array(3 * depth * newHeight * newWidth);
  const plane = new Uint8Array(height * width);
  for (let d = 0; d < depth; d++) {
    for (let s = 0; s < 3; s++) {
      for (let k = 0; k < plane.length; k++) plane[k] = data[3 * (d * plane.length + k) + s];
      const resized = resizePlane(plane, height, width, newHeight, newWidth, false);
      for (let k = 0; k < resized.length; k++)
        result[3 * (d * resized.length + k) + s] = resized[k];
    }
  }
  return {depth, height: newHeight, width: newWidth, data: result};
}

/** A scan from a file that holds one volume: its slices are numbered, and no mask lies beside them. */
export function scanOnGrid(name, grid, channels, header = null, warnings = []) {
  const [depth, height, width] = grid.sliceShape;
  const names = Array.from({length: depth}, (_, d) => `slice_${d + 1}`);
  return {name, depth, height, width, channels, names, grid, header, truth: null, warnings};
}
