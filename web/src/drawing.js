// The reader's own outlines, one mask a slice: brush, eraser, undo.

const STEPS = 50; // that can be undone

export class Drawing {
  constructor(height, width) {
    Object.assign(this, {height, width, masks: new Map(), past: []});
  }

  /** The mask drawn on slice `d`, or null where nothing is. */
  mask(d) {
    return this.masks.get(d) ?? null;
  }

  /** Remember slice `d` as it is, before a stroke changes it. */
  begin(d) {
    const before = this.masks.get(d);
    this.past.push([d, before ? before.slice() : null]);
    if (this.past.length > STEPS) this.past.shift();
    if (!before) this.masks.set(d, new Uint8Array(this.height * this.width));
  }

  /** Paint (value 1) or erase (0) from one place to another with a round brush of this diameter in pixels. */
  stroke(d, from, to, diameter, value) {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let i = 0; i <= steps; i++) {
      const fraction = i / steps;
      this.dab(
        d,
        from[0] + fraction * (to[0] - from[0]),
        from[1] + fraction * (to[1] - from[1]),
        diameter / 2,
        value,
      );
    }
  }

  dab(d, row, column, radius, value) {
    const mask = this.masks.get(d);
    const reach = Math.max(radius, 0.71); // the pixel itself at least
    for (
      let y = Math.max(0, Math.floor(row - reach));
      y <= Math.min(this.height - 1, row + reach);
      y++
    ) {
      for (
        let x = Math.max(0, Math.floor(column - reach));
        x <= Math.min(this.width - 1, column + reach);
        x++
      ) {
        if (Math.hypot(y + 0.5 - row, x + 0.5 - column) <= reach) mask[y * this.width + x] = value;
      }
    }
  }

  /** Take back the last stroke, and return its slice, or null where there is none. */
  undo() {
    const last = this.past.pop();
    if (!last) return null;
    const [d, before] = last;
    if (before) this.masks.set(d, before);
    else this.masks.delete(d);
    return d;
  }

  /** Remove what is drawn on slice `d`; this, too, can be undone. */
  clear(d) {
    if (!this.masks.has(d)) return;
    this.begin(d);
    this.masks.delete(d);
  }
}
