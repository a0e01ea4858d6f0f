// The U-Net's own picture: a box for each activation, a switch for each skip connection, and the stack step by step.

const THUMB = 64; // pixels a side

export class Inside {
  /** `onSkips` is called with the factors (1 or 0) of the skip connections, the finest first. */
  constructor(parts, onSkips) {
    Object.assign(this, parts); // net, step, stepText, stackText, mapsTitle, maps
    this.onSkips = onSkips;
    this.levels = null; // activations by name
    this.step.addEventListener("input", () => this.showStep());
  }

  /** Build the picture of a member of a network: `entry` is its part of networks.json. */
  setNetwork(entry) {
    this.entry = entry;
    this.skips = Array(entry.depth - 1).fill(1);
    this.selected = "encoder_1";
    this.net.replaceChildren();
    for (let level = 1; level < entry.depth; level++) {
      this.net.append(
        this.box(`encoder_${level}`),
        this.skip(level),
        this.box(`up_${level}`),
        this.box(`decoder_${level}`),
      );
    }
    const bottom = this.box("bottom");
    bottom.classList.add("try-bottom");
    this.net.append(bottom);
    this.step.max = this.steps().length - 1;
    this.step.value = 0;
    this.levels = null;
    this.showStep();
  }

  box(name) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.level = name;
    button.setAttribute("aria-pressed", String(name === this.selected));
    const picture = document.createElement("canvas");
    picture.width = picture.height = THUMB;
    picture.setAttribute("aria-hidden", "true");
    const caption = document.createElement("span");
    caption.textContent = title(name);
    button.append(picture, caption);
    button.addEventListener("click", () => this.select(name));
    return button;
  }

  skip(level) {
    const label = document.createElement("label");
    label.className = "try-skip";
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    box.dataset.skip = level;
    box.addEventListener("change", () => {
      this.skips[level - 1] = box.checked ? 1 : 0;
      label.classList.toggle("try-cut", !box.checked);
      this.onSkips(this.skips);
    });
    label.append(box, `skip ${level}`);
    return label;
  }

  /** Show new activations, {name: {channels, side, data}}. */
  setActivations(levels) {
    this.levels = levels;
    for (const button of this.net.querySelectorAll("button")) {
      const {channels, side, data} = levels[button.dataset.level];
      button.querySelector("span").textContent =
        `${title(button.dataset.level)} ${channels} × ${side}²`;
      drawPlane(button.querySelector("canvas"), meanOf(data, channels, side), side);
    }
    this.showMaps();
    this.showStep();
  }

  select(name) {
    this.selected = name;
    for (const button of this.net.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.level === name));
    }
    this.showMaps();
  }

  /** All channels of the selected activation, side by side. */
  showMaps() {
    if (!this.levels) return;
    const {channels, side, data} = this.levels[this.selected];
    const columns = Math.ceil(Math.sqrt(2 * channels));
    const rows = Math.ceil(channels / columns);
    this.maps.width = columns * (side + 1) - 1;
    this.maps.height = rows * (side + 1) - 1;
    const context = this.maps.getContext("2d");
    for (let c = 0; c < channels; c++) {
      const plane = data.subarray(c * side * side, (c + 1) * side * side);
      context.putImageData(
        greyPicture(plane, side),
        (c % columns) * (side + 1),
        Math.floor(c / columns) * (side + 1),
      );
    }
    const text =
      `${title(this.selected)}: ${channels} channels of ${side} × ${side} pixels, each from its smallest value ` +
      "(black) to its largest (white)";
    this.mapsTitle.textContent = `${text}.`;
    this.maps.setAttribute("aria-label", text);
  }

  /** What happens in the forward pass, step by step: the box, what is said of it, and the stack afterwards. */
  steps() {
    const size = (name) => {
      const found = this.levels?.[name];
      return found ? ` (${found.channels} × ${found.side} × ${found.side})` : "";
    };
    const last = this.entry.depth - 1;
    const stack = [];
    const steps = [];
    for (let level = 1; level <= last; level++) {
      stack.push(level);
      steps.push({
        box: `encoder_${level}`,
        stack: [...stack],
        text:
          `Encoder block ${level} answers${size(`encoder_${level}`)}. Its forward hook pushes the answer on the stack; ` +
          "pooling halves it on the way down.",
      });
    }
    steps.push({
      box: "bottom",
      stack: [...stack],
      text: `The bottom block answers${size("bottom")}. It has no hook: nothing is pushed.`,
    });
    for (let level = last; level >= 1; level--) {
      stack.pop();
      const cut = this.skips[level - 1]
        ? ""
        : " You have cut this one: zeros are joined in its place.";
      steps.push({
        box: `up_${level}`,
        stack: [...stack],
        text:
          `Up-convolution ${level} doubles height and width${size(`up_${level}`)}. Its hook pops what encoder block ` +
          `${level} pushed${size(`encoder_${level}`)}, the newest on the stack, and joins both.${cut}`,
      });
      steps.push({
        box: `decoder_${level}`,
        stack: [...stack],
        text: `Decoder block ${level} answers${size(`decoder_${level}`)}.`,
      });
    }
    return steps;
  }

  showStep() {
    if (!this.entry) return;
    const steps = this.steps();
    const {box, stack, text} = steps[Number(this.step.value)];
    this.step.nextElementSibling.textContent = `${Number(this.step.value) + 1} / ${steps.length}`;
    this.stepText.textContent = text;
    const names = stack
      .map((level) => `encoder ${level}`)
      .reverse()
      .join(", ");
    this.stackText.textContent = stack.length
      ? `On the stack, the newest first: ${names}.`
      : "The stack is empty.";
    for (const button of this.net.querySelectorAll("button")) {
      button.classList.toggle("try-now", button.dataset.level === box);
    }
  }
}

function title(name) {
  return name.replace("_", " ");
}

function meanOf(data, channels, side) {
  const mean = new Float32Array(side * side);
  for (let c = 0; c < channels; c++)
    for (let k = 0; k < mean.length; k++) mean[k] += data[c * mean.length + k] / channels;
  return mean;
}

function greyPicture(plane, side) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of plane) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const picture = new ImageData(side, side);
  for (let k = 0; k < plane.length; k++) {
    const grey = high > low ? (255 * (plane[k] - low)) / (high - low) : 0;
    picture.data.fill(grey, 4 * k, 4 * k + 3);
    picture.data[4 * k + 3] = 255;
  }
  return picture;
}

function drawPlane(canvas, plane, side) {
  const whole = new OffscreenCanvas(side, side);
  whole.getContext("2d").putImageData(greyPicture(plane, side), 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = side > THUMB;
  context.drawImage(whole, 0, 0, THUMB, THUMB);
}
