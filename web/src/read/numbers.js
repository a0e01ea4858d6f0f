// Voxels as files store them: numbers of a type, in either order of bytes, compressed or not.

/** Types of numbers, by NumPy's names: how many bytes each has, and how a DataView reads one. */
export const TYPES = {
  uint8: {bytes: 1, read: "getUint8", Kind: Uint8Array},
  int8: {bytes: 1, read: "getInt8", Kind: Int8Array},
  uint16: {bytes: 2, read: "getUint16", Kind: Uint16Array},
  int16: {bytes: 2, read: "getInt16", Kind: Int16Array},
  uint32: {bytes: 4, read: "getUint32", Kind: Uint32Array},
  int32: {bytes: 4, read: "getInt32", Kind: Int32Array},
  uint64: {bytes: 8, read: "getBigUint64", Kind: Float64Array},
  int64: {bytes: 8, read: "getBigInt64", Kind: Float64Array},
  float32: {bytes: 4, read: "getFloat32", Kind: Float32Array},
  float64: {bytes: 8, read: "getFloat64", Kind: Float64Array},
};

/**
 * Numbers that lie in a buffer, one behind the other.
 *
 * buffer        ArrayBuffer
 * start         of the first number, in bytes
 * type          one of TYPES
 * count         how many
 * littleEndian  whether the lowest byte comes first
 */
export function readNumbers(buffer, start, type, count, littleEndian) {
  const need = start + type.bytes * count;
  if (buffer.byteLength < need) {
    throw new Error(`cut short, ${buffer.byteLength} of ${need} bytes`);
  }
  const view = new DataView(buffer, start);
  const values = new type.Kind(count);
  for (let i = 0; i < count; i++) {
    values[i] = Number(view[type.read](type.bytes * i, littleEndian));
  }
  return values;
}

/** Whether bytes are compressed by gzip. */
export function isGzip(buffer) {
  const start = new Uint8Array(buffer, 0, Math.min(2, buffer.byteLength));
  return start[0] === 0x1f && start[1] === 0x8b;
}

/** Bytes that gzip or zlib has compressed; an error where their checksum does not fit. */
export async function inflate(buffer) {
  const format = isGzip(buffer) ? "gzip" : "deflate"; // the browser's name for zlib
  const bytes = new Blob([buffer]).stream().pipeThrough(new DecompressionStream(format));
  try {
    return await new Response(bytes).arrayBuffer();
  } catch (error) {
    throw new Error(`its compressed data are damaged, ${error.message}`);
  }
}
