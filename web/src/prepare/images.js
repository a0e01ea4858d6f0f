// Filters on planes (height, width) of numbers or of 0 and 1, as scipy.ndimage has them.

/** Levels averaged over a window of `size` x `size` pixels; beyond the border its own pixels go on. */
export function uniformFilter(plane, height, width, size) {
  const reach = (size - 1) / 2;
  const result = new Float32Array(plane.length);
  const along = (from, to, lines, length, lineStep, step) => {
    for (let line = 0; line < lines; line++) {
      const start = line * lineStep;
      const last = length - 1;
      let total = 0;
      for (let i = -reach; i <= reach; i++)
        total += from[start + Math.max(0, Math.min(last, i)) * step];
      for (let i = 0; i < length; i++) {
        to[start + i * step] = total / size;
        total +=
          from[start + Math.min(last, i + reach + 1) * step] -
          from[start + Math.max(0, i - reach) * step];
      }
    }
  };
  const down = new Float32Array(plane.length);
  along(plane, down, width, height, 1, width);
  along(down, result, height, width, width, 1);
  return result;
}

/** Where every pixel (or, to grow, any pixel) of a window of `size` x `size` is 1; beyond the border all is 0. */
export function squareWindow(mask, height, width, size, grow) {
  const reach = (size - 1) / 2;
  const wanted = grow ? 1 : size;
  const along = (from, lines, length, lineStep, step) => {
    const to = new Uint8Array(from.length);
    const at = (line, i) => (i < 0 || i >= length ? 0 : from[line * lineStep + i * step]);
    for (let line = 0; line < lines; line++) {
      let total = 0;
      for (let i = -reach; i <= reach; i++) total += at(line, i);
      for (let i = 0; i < length; i++) {
        to[line * lineStep + i * step] = total >= wanted ? 1 : 0;
        total += at(line, i + reach + 1) - at(line, i - reach);
      }
    }
    return to;
  };
  return along(along(mask, width, height, 1, width), height, width, width, 1);
}

/** A mask with a margin of `size` pixels all round: 0, or the border's own pixels. */
export function padded(mask, height, width, size, repeatEdge) {
  const wide = width + 2 * size;
  const result = new Uint8Array((height + 2 * size) * wide);
  for (let y = 0; y < height + 2 * size; y++) {
    for (let x = 0; x < wide; x++) {
      const row = Math.max(0, Math.min(height - 1, y - size));
      const column = Math.max(0, Math.min(width - 1, x - size));
      const isInside = row === y - size && column === x - size;
      if (isInside || repeatEdge) result[y * wide + x] = mask[row * width + column];
    }
  }
  return result;
}

/** The inverse of `padded`. */
export function cropped(mask, height, width, size) {
  const result = new Uint8Array(height * width);
  for (let y = 0; y < height; y++) {
    const start = (y + size) * (width + 2 * size) + size;
    result.set(mask.subarray(start, start + width), y * width);
  }
  return result;
}

/** A mask grown (or shrunk) by one pixel in the four directions, several times; beyond the border all is 0. */
export function crossSteps(mask, height, width, times, grow) {
  let now = mask;
  for (let turn = 0; turn < times; turn++) {
    const next = new Uint8Array(now.length);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const k = y * width + x;
        const above = y > 0 ? now[k - width] : 0;
        const below = y < height - 1 ? now[k + width] : 0;
        const left = x > 0 ? now[k - 1] : 0;
        const right = x < width - 1 ? now[k + 1] : 0;
        next[k] = grow
          ? now[k] | above | below | left | right
          : now[k] & above & below & left & right;
      }
    }
    now = next;
  }
  return now;
}

/** Numbers of the connected pieces of a mask (four neighbours), 1, 2, ... in the order of their first pixels. */
export function label(mask, height, width) {
  const labels = new Uint32Array(mask.length);
  const sizes = [];
  const queue = [];
  let number = 0;
  const visit = (k) => {
    // an index beyond the plane holds nothing
    if (mask[k] && !labels[k]) {
      labels[k] = number;
      queue.push(k);
    }
  };
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || labels[start]) continue;
    number = sizes.length + 1;
    let size = 0;
    visit(start);
    while (queue.length) {
      const k = queue.pop();
      const x = k % width;
      size++;
      visit(k - width);
      visit(k + width);
      if (x > 0) visit(k - 1);
      if (x < width - 1) visit(k + 1);
    }
    sizes.push(size);
  }
  return {labels, sizes};
}

/** A mask with its holes filled: what is 0 and not connected to the border becomes 1. */
export function fillHoles(mask, height, width) {
  const empty = mask.map((value) => 1 - value);
  const {labels} = label(empty, height, width);
  const outside = new Set([0]);
  for (let y = 0; y < height; y++)
    for (const x of [0, width - 1]) outside.add(labels[y * width + x]);
  for (let x = 0; x < width; x++)
    for (const y of [0, height - 1]) outside.add(labels[y * width + x]);
  const filled = new Uint8Array(mask.length);
  for (let k = 0; k < mask.length; k++) if (mask[k] || !outside.has(labels[k])) filled[k] = 1;
  return filled;
}

/** Squared distance of each pixel to the nearest 0 of a mask (Felzenszwalb and Huttenlocher 2012). */
export function squaredDistance(mask, height, width) {
  const far = 1e12;
  const result = new Float64Array(mask.length);
  for (let k = 0; k < mask.length; k++) if (mask[k]) result[k] = far;
  const along = (lines, length, lineStep, step) => {
    const values = new Float64Array(length);
    const centres = new Int32Array(length); // of the parabolas that are lowest somewhere
    const starts = new Float64Array(length + 1); // from where on each one is
    for (let line = 0; line < lines; line++) {
      for (let i = 0; i < length; i++) values[i] = result[line * lineStep + i * step];
      let last = 0;
      centres[0] = 0;
      starts[0] = -Infinity;
      starts[1] = Infinity;
      for (let i = 1; i < length; i++) {
        let cross;
        for (;;) {
          const c = centres[last];
          cross = (values[i] + i * i - values[c] - c * c) / (2 * (i - c));
          if (cross > starts[last]) break;
          last--;
        }
        last++;
        centres[last] = i;
        starts[last] = cross;
        starts[last + 1] = Infinity;
      }
      let k = 0;
      for (let i = 0; i < length; i++) {
        while (starts[k + 1] < i) k++;
        const away = i - centres[k];
        result[line * lineStep + i * step] = away * away + values[centres[k]];
      }
    }
  };
  along(width, height, 1, width);
  along(height, width, width, 1);
  return result;
}

/** Level that parts dark from bright (Otsu 1979), as skimage.filters.threshold_otsu finds it with 256 bins. */
export function otsu(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (!(high > low)) return low;
  const bins = 256;
  const counts = new Float64Array(bins);
  for (const value of values)
    counts[Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins))]++;
  const centre = (bin) => low + ((bin + 0.5) * (high - low)) / bins;
  let total = 0;
  counts.forEach((count, bin) => {
    total += count * centre(bin);
  });
  let weight = 0;
  let below = 0;
  let best = 0;
  let most = -1;
  for (let bin = 0; bin < bins - 1; bin++) {
    weight += counts[bin];
    below += counts[bin] * centre(bin);
    const rest = values.length - weight;
    const between = weight * rest * (below / weight - (total - below) / rest) ** 2;
    if (between > most) [best, most] = [bin, between];
  }
  return centre(best);
}
