// Bilinear resizing that averages where it shrinks, as torch.nn.functional.interpolate does with antialias=True.
// Rows and columns are resized one after the other. Pixels are areas: corners are not aligned.

/** For each new pixel the first old one that it is made of, and the weights of that and the following ones. */
export function resizeWeights(from, to, antialias) {
  const scale = from / to;
  const reach = antialias && scale > 1 ? scale : 1; // half the width of the triangle
  const rows = [];
  for (let i = 0; i < to; i++) {
    const centre = scale * (i + 0.5);
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(from, Math.floor(centre + reach + 0.5));
    const weights = [];
    let total = 0;
    for (let j = first; j < end; j++) {
      const weight = Math.max(0, 1 - Math.abs((j + 0.5 - centre) / reach));
      weights.push(weight);
      total += weight;
    }
    rows.push({first, weights: Float64Array.from(weights, (weight) => weight / total)});
  }
  return rows;
}

/**
 * One plane (height, width) resized to (newHeight, newWidth).
 *
 * Bytes stay bytes, rounded after each of the two steps as PyTorch does; anything else becomes Float32Array.
 */
export function resizePlane(plane, height, width, newHeight, newWidth, antialias) {
  const isBytes = plane instanceof Uint8Array;
  const Kind = isBytes ? Uint8Array : Float32Array;
  const half = isBytes ? 0.5 : 0; // an array of bytes cuts off what lies behind the point
  if (height === newHeight && width === newWidth) return Kind.from(plane);
  const columns = resizeWeights(width, newWidth, antialias);
  const wide = new Kind(height * newWidth);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < newWidth; x++) {
      const {first, weights} = columns[x];
      let total = 0;
      for (let k = 0; k < weights.length; k++) total += weights[k] * plane[y * width + first + k];
      wide[y * newWidth + x] = total + half;
    }
  }
  const rows = resizeWeights(height, newHeight, antialias);
  const result = new Kind(newHeight * newWidth);
  for (let y = 0; y < newHeight; y++) {
    const {first, weights} = rows[y];
    for (let x = 0; x < newWidth; x++) {
      let total = 0;
      for (let k = 0; k < weights.length; k++)
        total += weights[k] * wide[(first + k) * newWidth + x];
      result[y * newWidth + x] = total + half;
    }
  }
  return result;
}
