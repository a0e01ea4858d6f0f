// The scanner bench: what other scanners would have made of the same head.
// Always the same noise, so that a slider moved back gives the same picture again.

const TABLE = 2 ** 19; // so many normal numbers are drawn once and used again
let normals = null;

export const UNTOUCHED = {noise: 0, contrast: 1, shading: 0};

/** Whether these settings leave a picture as it is. */
export function isUntouched({noise, contrast, shading}) {
  return noise === 0 && contrast === 1 && shading === 0;
}

/**
 * A rough version of a volume.
 *
 * noise     Rician, its standard deviation in grey levels
 * contrast  exponent of the grey scale (gamma): under 1 lifts what is dark, over 1 lowers it
 * shading   natural logarithm of the coil's gain from one side of the picture to its middle: brighter to the right
 */
export function rough(volume, {noise, contrast, shading}) {
  if (isUntouched({noise, contrast, shading})) return volume;
  const {depth, height, width, data} = volume;
  const bent = new Float32Array(256);
  for (let level = 0; level < 256; level++) bent[level] = 255 * (level / 255) ** contrast;
  const gain = new Float32Array(width);
  for (let x = 0; x < width; x++) gain[x] = Math.exp(shading * ((2 * x + 1) / width - 1));
  normals ??= normalNumbers();
  const result = new Uint8ClampedArray(data.length);
  let place = 0;
  for (let i = 0, pixel = 0; i < data.length; pixel++) {
    const factor = gain[pixel % width];
    for (let s = 0; s < 3; s++, i++) {
      let signal = factor * bent[data[i]];
      if (noise > 0) {
        const real = signal + noise * normals[place];
        const imaginary = noise * normals[place + 1];
        signal = Math.sqrt(real * real + imaginary * imaginary);
        place = (place + 2) % (TABLE - 2);
      }
      result[i] = signal;
    }
  }
  return {depth, height, width, data: new Uint8Array(result.buffer)};
}

/** Normally distributed numbers (Box and Muller), the same in every browser. */
function normalNumbers() {
  const numbers = new Float32Array(TABLE);
  let state = 20250611;
  const uniform = () => { // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  for (let i = 0; i < TABLE; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    numbers[i] = radius * Math.cos(angle);
    numbers[i + 1] = radius * Math.sin(angle);
  }
  return numbers;
}
