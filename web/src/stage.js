// The slice on show: grey values, a tint of probability, and outlines of masks.

// Okabe and Ito's colours, told apart by colour-blind readers, too; as in lggseg/colours.py.
export const COLOURS = {truth: "#009E73", network: "#D55E00", yours: "#56B4E9"};
const TINT = [230, 159, 0]; // orange

export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.pixels = new OffscreenCanvas(1, 1);
    this.view = null; // what was drawn last
  }

  /** Fit the canvas to slices of this many rows and columns, whose pixels have this height and width. */
  setSize(height, width, pixel = [1, 1]) {
    Object.assign(this, {height, width});
    this.pixels.width = width;
    this.pixels.height = height;
    this.canvas.style.aspectRatio = `${width * pixel[1]} / ${height * pixel[0]}`;
  }

  /** Row and column of the slice's pixel under a pointer. */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const y = ((event.clientY - box.top) / box.height) * this.height;
    const x = ((event.clientX - box.left) / box.width) * this.width;
    return [y, x];
  }

  /**
   * Draw a slice.
   *
   * image        bytes, three sequences a pixel; sequence 0 to 2, or 3 for all as red, green and blue
   * probability  of each pixel, or null
   * outlines     {truth, network, yours}: masks, or null
   * cross        [row, column] of a keyboard's cursor, or null
   */
  draw(view = this.view) {
    if (!view) return;
    this.view = view;
    this.drawPixels(view);
    const {canvas, context} = this;
    const scale = window.devicePixelRatio || 1;
    const shown = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
    if (!shown[0] || !shown[1]) return;
    if (canvas.width !== shown[0]) canvas.width = shown[0];
    if (canvas.height !== shown[1]) canvas.height = shown[1];
    context.imageSmoothingEnabled = false;
    context.drawImage(this.pixels, 0, 0, canvas.width, canvas.height);
    for (const name of Object.keys(COLOURS)) {
      const mask = view.outlines[name];
      if (mask) this.outline(mask, COLOURS[name], 2 * scale);
    }
    if (view.cross) this.drawCross(view.cross, scale);
  }

  drawPixels({image, sequence, probability}) {
    const context = this.pixels.getContext("2d");
    const picture = context.createImageData(this.width, this.height);
    for (let k = 0; k < this.width * this.height; k++) {
      const strength = probability ? 0.7 * probability[k] : 0;
      for (let c = 0; c < 3; c++) {
        const grey = image[3 * k + (sequence === 3 ? c : sequence)];
        picture.data[4 * k + c] = grey + strength * (TINT[c] - grey);
      }
      picture.data[4 * k + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
  }

  /** A line between the pixels of a mask and the others. */
  outline(mask, colour, thickness) {
    const {context, canvas, width, height} = this;
    const [sx, sy] = [canvas.width / width, canvas.height / height];
    const inside = (y, x) => y >= 0 && x >= 0 && y < height && x < width && mask[y * width + x] > 0;
    context.strokeStyle = colour;
    context.lineWidth = thickness;
    context.beginPath();
    for (let y = 0; y <= height; y++) {
      for (let x = 0; x <= width; x++) {
        const here = inside(y, x);
        if (here !== inside(y - 1, x)) {
          context.moveTo(x * sx, y * sy);
          context.lineTo((x + 1) * sx, y * sy);
        }
        if (here !== inside(y, x - 1)) {
          context.moveTo(x * sx, y * sy);
          context.lineTo(x * sx, (y + 1) * sy);
        }
      }
    }
    context.stroke();
  }

  drawCross([row, column], scale) {
    const {context, canvas, width, height} = this;
    const [x, y] = [
      ((column + 0.5) * canvas.width) / width,
      ((row + 0.5) * canvas.height) / height,
    ];
    for (const [colour, thickness] of [
      ["#000", 4 * scale],
      ["#fff", 2 * scale],
    ]) {
      context.strokeStyle = colour;
      context.lineWidth = thickness;
      context.beginPath();
      context.moveTo(x - 10 * scale, y);
      context.lineTo(x + 10 * scale, y);
      context.moveTo(x, y - 10 * scale);
      context.lineTo(x, y + 10 * scale);
      context.stroke();
    }
  }
}
