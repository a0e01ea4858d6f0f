// From probabilities to a mask, and what a mask is worth: lggseg's postprocess and metrics in JavaScript.

/** Mask (1 is tumour) where a probability reaches the threshold, without weak 3D components. */
export function postprocess(probability, shape, threshold, minComponentShare) {
  const mask = cut(probability, threshold);
  if (minComponentShare > 0) removeWeak(mask, probability, shape, threshold, minComponentShare);
  return mask;
}

/** Mask of the values that reach a bound. */
export function cut(values, bound) {
  const mask = new Uint8Array(values.length);
  for (let i = 0; i < mask.length; i++) if (values[i] >= bound) mask[i] = 1;
  return mask;
}

/** Remove components that weigh too little; each weighs the sum of its probability above the threshold. */
function removeWeak(mask, probability, shape, threshold, least) {
  const {labels, sizes} = components(mask, shape);
  const weights = new Float64Array(sizes.length + 1);
  for (let i = 0; i < mask.length; i++)
    if (mask[i]) weights[labels[i]] += probability[i] - threshold;
  const enough = least * Math.max(...weights);
  for (let i = 0; i < mask.length; i++) if (mask[i] && weights[labels[i]] < enough) mask[i] = 0;
}

/** Components (26 neighbours) of a mask: each voxel's number, from 1 on, and how many voxels each has. */
export function components(mask, [depth, height, width]) {
  const labels = new Uint32Array(mask.length);
  const sizes = [];
  const queue = [];
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || labels[start]) continue;
    const label = sizes.length + 1;
    let size = 0;
    labels[start] = label;
    queue.push(start);
    while (queue.length) {
      const here = queue.pop();
      size++;
      const x = here % width;
      const y = Math.floor(here / width) % height;
      const z = Math.floor(here / (width * height));
      for (let nz = Math.max(0, z - 1); nz <= Math.min(depth - 1, z + 1); nz++) {
        for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
          for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
            const next = (nz * height + ny) * width + nx;
            if (mask[next] && !labels[next]) {
              labels[next] = label;
              queue.push(next);
            }
          }
        }
      }
    }
    sizes.push(size);
  }
  return {labels, sizes};
}

/** Dice of two masks: NaN where both are empty, since then there is nothing to overlap. */
export function dice(first, second) {
  let both = 0;
  let total = 0;
  for (let i = 0; i < first.length; i++) {
    if (first[i] && second[i]) both++;
    total += (first[i] ? 1 : 0) + (second[i] ? 1 : 0);
  }
  return total === 0 ? NaN : (2 * both) / total;
}

/** A mask (height, width) grown by one pixel in the four directions, or shrunk. */
export function moveBorder(mask, height, width, grow) {
  const moved = new Uint8Array(mask.length);
  const at = (y, x) => (y < 0 || x < 0 || y >= height || x >= width ? 0 : mask[y * width + x]);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const around = [at(y, x), at(y - 1, x), at(y + 1, x), at(y, x - 1), at(y, x + 1)];
      const hit = grow ? around.some((value) => value > 0) : around.every((value) => value > 0);
      moved[y * width + x] = hit ? 1 : 0;
    }
  }
  return moved;
}

/** Number of pixels of a mask. */
export function count(mask) {
  let total = 0;
  for (let i = 0; i < mask.length; i++) if (mask[i]) total++;
  return total;
}
