"use strict";
// Draws what SliceViewer.render draws, from the slices and masks stored in the page. No library, no network.

const page = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const canvas = $("picture"), brush = canvas.getContext("2d");
const spare = document.createElement("canvas"), tool = spare.getContext("2d");
let shown = null;  // the patient on show, unpacked

// ---- from stored text to arrays and pictures

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpackMask(text) {  // eight pixels a byte, the first one highest
  const bytes = await unpack(text);
  return Uint8Array.from({length: 8 * bytes.length}, (_, i) => bytes[i >> 3] >> (7 - (i & 7)) & 1);
}

async function decode(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

async function load(index) {
  document.querySelector("main").setAttribute("aria-busy", "true");
  const stored = page.cases[index], maybe = (how, text) => text === null ? null : how(text);
  const [sprites, truth, levels, mask] = await Promise.all([
    Promise.all(stored.sprites.map(decode)), maybe(unpackMask, stored.truth), maybe(unpack, stored.levels),
    maybe(unpackMask, stored.mask)]);
  if (index !== $("patient").selectedIndex) return;  // another one was chosen meanwhile
  shown = {...stored, sprites, truth, levels, mask};
  $("slice").max = shown.depth;
  $("slice").value = shown.start + 1;
  canvas.width = shown.width * shown.scale;
  canvas.height = shown.height * shown.scale;
  draw();
  document.querySelector("main").setAttribute("aria-busy", "false");
}

// ---- what there is to draw on the present slice

function slice(volume) {
  const size = shown.height * shown.width, start = ($("slice").value - 1) * size;
  return volume.subarray(start, start + size);
}

function predicted() {  // the stored mask where there is one for this threshold, else the map cut at it
  const step = Number($("threshold").value);
  if (shown.mask && step === page.own) return slice(shown.mask);
  return shown.levels && slice(shown.levels).map(level => level > step);
}

function masks() {
  const both = {truth: shown.truth && slice(shown.truth), prediction: predicted()};
  return Object.entries(both).filter(([name, mask]) => mask && $(name).value !== "off");
}

function dice(one, other) {
  let common = 0, sum = 0;
  for (let i = 0; i < one.length; i++) { common += one[i] & other[i]; sum += one[i] + other[i]; }
  return sum ? 2 * common / sum : NaN;
}

// ---- drawing: the rules of lggseg.viewer.overlay

function drawSlice() {
  const k = $("slice").value - 1, {width, height, columns} = shown;
  brush.globalCompositeOperation = "source-over";
  brush.fillStyle = "#000";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.globalCompositeOperation = "lighter";
  brush.imageSmoothingEnabled = true;
  for (const [sprite, colour] of shown.sequences[$("sequence").value]) {  // a grey picture, dyed, is added
    spare.width = width;
    spare.height = height;
    tool.drawImage(shown.sprites[sprite], k % columns * width, Math.floor(k / columns) * height, width, height,
                   0, 0, width, height);
    tool.globalCompositeOperation = "multiply";
    tool.fillStyle = colour;
    tool.fillRect(0, 0, width, height);
    brush.drawImage(spare, 0, 0, canvas.width, canvas.height);
  }
}

function around(mask, margin) {  // the box of what is not 0, in pixels of the slice; empty without any
  const {width, height} = shown, box = {left: width, right: 0, top: height, bottom: 0};
  for (let i = mask.indexOf(1); i >= 0; i = mask.indexOf(1, i + 1)) {
    const x = i % width, y = (i - x) / width;
    box.left = Math.min(box.left, x - margin);
    box.right = Math.max(box.right, x + 1 + margin);
    box.top = Math.min(box.top, y - margin);
    box.bottom = Math.max(box.bottom, y + 1 + margin);
  }
  return box;
}

function paint(name, box, scale, weight) {  // weight(x, y) 0..1 is the colour's opacity; `scale` points a pixel
  const left = box.left * scale, width = box.right * scale - left;
  const top = box.top * scale, height = box.bottom * scale - top;
  if (width <= 0) return;
  const pixels = new ImageData(width, height), [red, green, blue] = page.colours[name];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i += 4) {
      const opacity = weight(left + x, top + y);
      if (opacity > 0) pixels.data.set([red, green, blue, Math.round(255 * opacity)], i);
    }
  }
  spare.width = width;
  spare.height = height;
  tool.putImageData(pixels, 0, 0);
  const larger = shown.scale / scale;
  brush.globalCompositeOperation = "source-over";
  brush.imageSmoothingEnabled = false;
  brush.drawImage(spare, left * larger, top * larger, width * larger, height * larger);
}

function boundary(mask, outside) {  // whether a point of the picture lies on the line inside, or outside, the mask
  const {width: across, scale} = shown, {width, height} = canvas, far = lineWidth();
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height &&
    mask[Math.floor(y / scale) * across + Math.floor(x / scale)] === 1;
  return (x, y) => inside(x, y) !== outside && (inside(x - far, y) === outside || inside(x + far, y) === outside ||
    inside(x, y - far) === outside || inside(x, y + far) === outside);
}

function lineWidth() {
  return Math.max(1, Math.floor(canvas.width / 256));
}

function drawMasks() {
  const {width, levels, scale} = shown, opacity = Number($("opacity").value), drawn = masks();
  for (const [name, mask] of drawn) {
    if ($(name).value === "fill") paint(name, around(mask, 0), 1, (x, y) => 0.4 * opacity * mask[y * width + x]);
  }
  if (levels && $("prediction").value === "probability") {
    const steps = page.thresholds.map(Number), map = slice(levels);
    const shade = steps.map((step, i) => 0.8 * opacity * (step + (steps[i + 1] ?? 1)) / 2);
    const shaded = map.map(level => shade[level - 1] > 0.01);
    paint("prediction", around(shaded, 0), 1, (x, y) => shaded[y * width + x] * shade[map[y * width + x] - 1]);
  }
  for (const [name, mask] of drawn) {  // lines last, so that no fill hides them
    const line = boundary(mask, name === "prediction");
    paint(name, around(mask, Math.ceil(lineWidth() / scale)), scale, (x, y) => line(x, y) ? opacity : 0);
  }
}

// ---- words

function caption() {
  const words = [`slice ${$("slice").value} of ${shown.depth}`], prediction = predicted();
  if (shown.truth && prediction) {
    const score = dice(prediction, slice(shown.truth));
    words.push(`slice Dice ${isNaN(score) ? "undefined (both empty)" : score.toFixed(2)}`);
  }
  const sequence = $("sequence").value;
  if (shown.missing.includes(sequence)) words.push(`${sequence} is missing: FLAIR shown`);
  return [...words, ...shown.notes].join(" · ");
}

function tell() {
  const threshold = page.thresholds[$("threshold").value], own = page.thresholds[page.own];
  $("heading").textContent = shown.heading;
  $("caption").textContent = caption();
  canvas.setAttribute("aria-label", `${shown.heading}, ${$("sequence").value}, ${caption()}`);
  $("slice").setAttribute("aria-valuetext", `slice ${$("slice").value} of ${shown.depth}`);
  $("opacity-value").textContent = Number($("opacity").value).toFixed(2);
  $("threshold-value").textContent = threshold;
  $("threshold").setAttribute("aria-valuetext", threshold);
  $("processed").hidden = !(shown.levels && shown.mask);
  $("processed").textContent = threshold === own
    ? `At ${own} the prediction is post-processed: weak components are removed.`
    : `At ${threshold} the map is only cut. Weak components were removed at ${own} alone.`;
  $("legend").replaceChildren(...masks().flatMap(([name]) => {
    const entry = document.createElement("span"), mark = document.createElement("i");
    mark.style.background = `rgb(${page.colours[name]})`;
    entry.append(mark, page.names[name]);
    return [entry, " "];
  }));
}

function draw() {
  if (!shown) return;
  drawSlice();
  drawMasks();
  tell();
}

// ---- controls

function turn(steps) {
  $("slice").value = Number($("slice").value) + steps;  // the slider keeps to its ends
  draw();
}

function fill(id, options, chosen) {
  $(id).replaceChildren(...options.map(name => new Option(name, name, false, name === chosen)));
}

function start() {
  const graded = page.cases.some(stored => stored.levels), styles = ["contour", "fill", "off"];
  fill("patient", page.cases.map(stored => stored.patient), page.cases[0].patient);
  fill("sequence", Object.keys(page.cases[0].sequences), page.sequence);
  fill("truth", styles, page.styles.truth);
  fill("prediction", graded ? [...styles, "probability"] : styles, page.styles.prediction);
  $("threshold").max = page.thresholds.length - 1;
  $("threshold").value = page.own;
  $("opacity").value = page.opacity;
  $("patient").parentNode.hidden = page.cases.length === 1;
  $("truth").parentNode.hidden = page.cases.every(stored => stored.truth === null);
  $("prediction").parentNode.hidden = page.cases.every(stored => stored.levels === null && stored.mask === null);
  $("threshold").parentNode.hidden = !graded;
  for (const id of ["slice", "sequence", "truth", "prediction", "opacity", "threshold"]) {
    $(id).addEventListener("input", draw);
  }
  $("patient").addEventListener("input", () => show($("patient").selectedIndex));
  $("back").addEventListener("click", () => turn(-1));
  $("on").addEventListener("click", () => turn(1));
  $("largest").addEventListener("click", () => { $("slice").value = shown.largest + 1; draw(); });
  document.addEventListener("keydown", event => {
    const steps = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!steps || event.target.matches("input, select") || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    turn(steps);
  });
  show(0);
}

function show(index) {
  load(index).catch(error => { $("caption").textContent = `This browser cannot show the slices: ${error.message}`; });
}

start();
