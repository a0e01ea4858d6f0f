// Small helpers for arrays of numbers, named as in NumPy.

/** Sum of a typed array. */
export function sum(values) {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
}

/** The value at `fraction` (0 to 1) of sorted values, between neighbours if need be: numpy.percentile. */
export function percentile(sorted, fraction) {
  const place = fraction * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/** Median of values in any order. */
export function median(values) {
  return percentile(Float64Array.from(values).sort(), 0.5);
}

/** Round as NumPy and PyTorch do: halves to the even neighbour. */
export function roundHalfEven(value) {
  const rounded = Math.round(value);
  const isHalf = Math.abs(value % 1) === 0.5;
  return isHalf && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** A byte nearest to a number. */
export function toByte(value) {
  return Math.max(0, Math.min(255, roundHalfEven(value)));
}
