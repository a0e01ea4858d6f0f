// The page "Try it": what the reader does, and what is shown. All that takes time runs in worker.js.

import {UNTOUCHED} from "./bench.js";
import {Drawing} from "./drawing.js";
import {dicomToNifti, isDicom} from "./dicom.js";
import {Inside} from "./inside.js";
import {count, dice, moveBorder} from "./postprocess.js";
import {COLOURS, Stage} from "./stage.js";

const SEQUENCES = {pre: "pre-contrast T1", flair: "FLAIR", post: "post-contrast T1"};
const root = document.getElementById("try");
const part = (name) => document.getElementById(`try-${name}`);
const stage = new Stage(part("slice"));
const inside = new Inside(
  {
    net: part("net"),
    step: part("step"),
    stepText: part("step-text"),
    stackText: part("stack"),
    mapsTitle: part("maps-title"),
    maps: part("maps"),
  },
  newestOnly((skips) => change("setSkips", {skips})),
);

let networks = [];
let scan = null; // what the worker says of the scan on show
let network = null; // the one that predicts
let slice = null; // what the worker says of the slice on show
let found = null; // what can be said of the whole mask
let drawing = null;
let pending = 0; // changes that a reader has made and that are not yet answered
let cross = null; // row and column of the keyboard's cursor while drawing

// ---------------------------------------------------------------- talking to the worker

const worker = new Worker(new URL("worker.js", import.meta.url), {type: "module"});
const waiting = new Map();
let calls = 0;

/** Ask the worker for something; its answer comes later. */
function ask(call, values = {}, transfer = []) {
  const id = ++calls;
  worker.postMessage({id, call, values}, transfer);
  return new Promise((resolve, reject) => waiting.set(id, {resolve, reject}));
}

worker.onmessage = ({data}) => {
  if (data.event) return events[data.event](data);
  const {resolve, reject} = waiting.get(data.id);
  waiting.delete(data.id);
  if (data.error === undefined) resolve(data.result);
  else reject(Object.assign(new Error(data.error), {known: data.known}));
};

const events = {
  loading({done, total}) {
    progress(
      `Loading the network: ${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`,
      done / total,
    );
  },
  predicted({d, done, total}) {
    progress(`Predicted ${done} of ${total} slices`, done / total);
    if (slice && d === slice.d) refresh();
  },
  complete(result) {
    found = result;
    progress(`All ${scan.depth} slices are predicted, in ${result.seconds.toFixed(1)} s.`);
    refresh();
    if (part("volume").open) drawVolume();
  },
  failed({message}) {
    complain(message);
  },
};

/** Tell the reader what is going on, and which fraction of it is done; without one nothing goes on any more. */
function progress(text, fraction = null) {
  part("status").textContent = text;
  part("progress").hidden = fraction === null;
  if (fraction !== null) part("progress").value = fraction;
}

function complain(message) {
  part("error").textContent = message;
  part("error").hidden = !message;
}

/** Run what a reader asked for, and tell in the page what is wrong with it. */
async function attempt(action) {
  complain("");
  root.setAttribute("aria-busy", "true");
  try {
    await action();
  } catch (error) {
    complain(error.message);
    progress(scan ? `${scan.name} is on show.` : "Choose a picture.");
    if (!error.known) console.error(error);
  } finally {
    root.setAttribute("aria-busy", "false");
  }
}

/** Keep only the newest of many calls that a slider makes: the next is sent when the last has been answered. */
function newestOnly(action) {
  let busy = false;
  let next = null;
  return async (...values) => {
    next = values;
    if (busy) return;
    busy = true;
    pending++;
    showBusy();
    try {
      while (next) {
        const now = next;
        next = null;
        await action(...now);
      }
    } finally {
      busy = false;
      pending--;
      showBusy();
    }
  };
}

/** Tell programs, as screen readers, whether what is shown is about to change. */
function showBusy() {
  part("work").setAttribute("aria-busy", String(!found || pending > 0));
}

// ---------------------------------------------------------------- choosing

function setUpPhantoms(phantoms) {
  phantoms.forEach(({title}, number) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = title;
    button.addEventListener("click", () =>
      attempt(async () => {
        progress("Loading the phantom");
        takeScan(await ask("openPhantom", {number}));
        mark(button);
      }),
    );
    part("phantoms").append(button);
  });
}

function mark(chosen) {
  for (const button of part("phantoms").children)
    button.setAttribute("aria-pressed", String(button === chosen));
}

function setUpNetworks() {
  networks.forEach((entry, i) => {
    const label = document.createElement("label");
    const radio = document.createElement("input");
    Object.assign(radio, {type: "radio", name: "try-network", value: entry.name, checked: i === 0});
    radio.addEventListener("change", () => attempt(() => takeNetwork(entry.name)));
    label.append(radio, `${entry.title} (${sizeWords(entry.members)})`);
    part("networks").append(label);
  });
}

/** How much is loaded for a network: its first member at once, the others when a reader asks for them. */
function sizeWords([first, ...others]) {
  const size = `${(first.bytes / 1e6).toFixed(1)} MB`;
  return others.length ? `${size}; ${others.length} more members on request` : size;
}

async function takeNetwork(name) {
  progress("Loading the network", 0);
  network = await ask("loadNetwork", {name});
  part("licence").textContent = network.note;
  part("members-label").hidden = network.members.length === 1;
  Object.assign(part("members"), {max: network.members.length, value: 1});
  part("threshold").value = network.recipe.threshold;
  inside.setNetwork(network.members[0]);
  showOutputs();
  progress(scan ? "Predicting" : "Choose a picture.");
  if (scan) await refresh();
}

async function openFiles(list) {
  const files = [...list].filter((file) => !file.name.startsWith("."));
  if (!files.length) return;
  progress("Reading");
  const dicom = [];
  for (const file of files) if (await isDicom(file)) dicom.push(file);
  let given;
  if (dicom.length) {
    progress(`Reading ${dicom.length} DICOM files`);
    given = await dicomToNifti(dicom);
  } else {
    given = [];
    for (const file of files)
      given.push({name: file.webkitRelativePath || file.name, buffer: await file.arrayBuffer()});
  }
  const result = await ask(
    "openFiles",
    {files: given},
    given.map((file) => file.buffer),
  );
  mark(null);
  if (result.undecided) {
    part("work").hidden = true;
    showChannels(result.labels, result.order);
    progress("Say which of these is which sequence.");
  } else {
    takeScan(result);
  }
}

/** A choice for each channel: which sequence it is. */
function showChannels(labels, order) {
  part("channels").hidden = labels.length < 2;
  part("channels").replaceChildren();
  labels.forEach((text, i) => {
    const label = document.createElement("label");
    const select = document.createElement("select");
    for (const [value, words] of [...Object.entries(SEQUENCES), ["", "not used"]])
      select.add(new Option(words, value));
    select.value = order[i] ?? "";
    select.addEventListener("change", () =>
      attempt(async () => {
        const wanted = [...part("channels").querySelectorAll("select")].map(
          (each) => each.value || null,
        );
        takeScan(await ask("setOrder", {order: wanted}));
      }),
    );
    label.append(`${text} is `, select);
    part("channels").append(label);
  });
}

function takeScan(result) {
  scan = result;
  found = null;
  drawing = new Drawing(scan.height, scan.width);
  cross = null;
  showChannels(scan.labels, scan.order);
  for (const [name, value] of Object.entries(UNTOUCHED)) part(name).value = value;
  Object.assign(part("number"), {max: scan.depth, value: scan.start + 1});
  part("truth-label").hidden = !scan.hasTruth;
  showWarnings(scan.warnings);
  for (const name of ["work", "inside", "volume"]) part(name).hidden = false;
  stage.setSize(scan.height, scan.width, scan.pixel);
  showOutputs();
  progress("Predicting", 0);
  refresh();
}

function showWarnings(sentences) {
  const items = sentences.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  });
  part("warnings").replaceChildren(...items);
}

// ---------------------------------------------------------------- showing

const refresh = newestOnly(async () => {
  slice = await ask("show", {d: Number(part("number").value) - 1});
  draw();
  showFound();
  showScores();
  if (part("inside").open && slice.probability) await lookInside();
});

/** Draw the slice on show with all that is switched on. */
function draw() {
  if (!slice) return;
  const isDrawing = part("draw").open && part("drawing").getAttribute("aria-pressed") === "true";
  const hidden = isDrawing && part("blind").checked;
  const outlines = {
    truth: !hidden && scan.hasTruth && part("truth").checked ? slice.truth : null,
    network: !hidden && part("outline").checked ? slice.mask : null,
    yours: part("draw").open ? drawing.mask(slice.d) : null,
  };
  stage.draw({
    image: slice.image,
    sequence: Number(part("sequence").value),
    probability: part("tint").checked ? slice.probability : null,
    outlines,
    cross: isDrawing ? cross : null,
  });
  showLegend(outlines);
  const name = scan.names[slice.d];
  part("title").textContent = `${scan.name}, slice ${slice.d + 1} of ${scan.depth}`;
  part("slice").setAttribute(
    "aria-label",
    `${part("sequence").selectedOptions[0].text} of ${name}` +
      (slice.mask ? `; the network marks ${count(slice.mask)} pixels` : ""),
  );
}

function showLegend(outlines) {
  const words = {truth: "truth", network: "network", yours: "yours"};
  const entries = Object.keys(words)
    .filter((name) => outlines[name])
    .map((name) => {
      const entry = document.createElement("span");
      const line = document.createElement("i");
      line.style.borderTopColor = COLOURS[name];
      entry.append(line, words[name]);
      return entry;
    });
  part("legend").replaceChildren(...entries);
}

/** Numbers of the result: of this slice at once, of the volume when it is complete. */
function showFound() {
  const rows = [
    ["this slice", sliceWords()],
    ["the volume", volumeWords()],
    ["expected Dice", trustWords()],
  ];
  if (found) showWarnings(found.warnings);
  part("found").replaceChildren(
    ...rows.flatMap(([term, text]) => {
      const name = document.createElement("dt");
      const value = document.createElement("dd");
      name.textContent = term;
      value.textContent = text;
      return [name, value];
    }),
  );
  showBusy();
  for (const name of ["save-nifti", "save-png"]) part(name).disabled = !found;
  part("largest").disabled = !found || found.largest === null;
}

function sliceWords() {
  if (!slice.probability) return "is being predicted";
  return `${count(slice.mask)} pixels${diceWords(slice.mask, slice.truth)}`;
}

function volumeWords() {
  if (!found) return "is being predicted";
  const overlap = found.dice === null ? "" : `, Dice ${format(found.dice)}`;
  if (!found.voxels) return `no tumour is found${overlap}`;
  if (found.ml === null) return `${found.voxels} pixels${overlap}`;
  return `${found.ml.toFixed(1)} ml (${found.voxels} voxels)${overlap}`;
}

function trustWords() {
  if (!found) return "is being predicted";
  const [expected, low, high] = [found.trust.expected, found.trust.low, found.trust.high].map(
    (value) => value.toFixed(2),
  );
  return `${expected} (${low} to ${high})`;
}

function diceWords(mask, truth) {
  if (!truth) return "";
  const overlap = dice(mask, truth);
  return Number.isNaN(overlap) ? ", as is right: no tumour here" : `, Dice ${format(overlap)}`;
}

function format(value) {
  return Number.isNaN(value) ? "undefined (both are empty)" : value.toFixed(3);
}

/** What the sliders say, beside them. */
function showOutputs() {
  const sign = (value) => `${value > 0 ? "+" : ""}${Number(value).toFixed(2)}`;
  const words = {
    threshold: Number(part("threshold").value).toFixed(2),
    members: part("members").value,
    noise: part("noise").value,
    contrast: Number(part("contrast").value).toFixed(2),
    gamma: Number(part("gamma").value).toFixed(2),
    motion: Number(part("motion").value).toFixed(2),
    shading: sign(part("shading").value),
    brush: `${part("brush").value} px`,
  };
  for (const [name, text] of Object.entries(words))
    part(name).parentElement.querySelector("output").textContent = text;
}

/** Tell the worker of a new choice, and show what follows. */
async function change(call, values) {
  try {
    found = (await ask(call, values))?.judged ?? null;
    complain("");
  } catch (error) {
    complain(error.message);
    return;
  }
  if (!found) progress("Predicting", 0);
  await refresh();
}

// ---------------------------------------------------------------- the stage

part("sequence").append(
  ...[
    ["1", "FLAIR"],
    ["0", "pre-contrast T1"],
    ["2", "post-contrast T1"],
    ["3", "all three, in colours"],
  ].map(([value, text]) => new Option(text, value)),
);
for (const name of ["sequence", "outline", "tint", "truth", "blind"])
  part(name).addEventListener("change", draw);
part("number").addEventListener("input", refresh);
part("back").addEventListener("click", () => turn(-1));
part("on").addEventListener("click", () => turn(1));
part("largest").addEventListener("click", () => goTo(found.largest));
new ResizeObserver(() => stage.draw()).observe(part("slice"));

function turn(steps) {
  goTo(Math.max(0, Math.min(scan.depth - 1, Number(part("number").value) - 1 + steps)));
}

function goTo(d) {
  part("number").value = d + 1;
  refresh();
}

// ---------------------------------------------------------------- result and bench

part("threshold").addEventListener(
  "input",
  newestOnly(async () => {
    showOutputs();
    await change("setThreshold", {threshold: Number(part("threshold").value)});
  }),
);
part("members").addEventListener("change", () =>
  attempt(async () => {
    showOutputs();
    await change("setMembers", {members: Number(part("members").value)});
  }),
);
const setBench = newestOnly(async () => {
  showOutputs();
  const bench = {};
  for (const name of Object.keys(UNTOUCHED)) bench[name] = Number(part(name).value);
  await change("setBench", {bench});
});
for (const name of Object.keys(UNTOUCHED)) part(name).addEventListener("input", setBench);
part("untouched").addEventListener("click", () => {
  for (const [name, value] of Object.entries(UNTOUCHED)) part(name).value = value;
  setBench();
});
part("save-nifti").addEventListener("click", () =>
  attempt(async () => {
    offer(
      await ask("save", {what: "mask"}),
      `${plain(scan.name)}_mask.nii`,
      "application/octet-stream",
    );
  }),
);
part("save-picture").addEventListener("click", () =>
  attempt(async () => {
    offer(
      await ask("save", {what: "picture"}),
      `${plain(scan.name)}_rough.nii`,
      "application/octet-stream",
    );
  }),
);
part("save-png").addEventListener("click", () =>
  attempt(async () => {
    offer(
      await ask("save", {what: "png", d: slice.d}),
      `${plain(scan.names[slice.d])}_mask.png`,
      "image/png",
    );
  }),
);

function plain(name) {
  return name
    .replace(/^.*\//, "")
    .replace(/\.(nii\.gz|[^.]+)$/, "")
    .replace(/[^\w-]+/g, "_");
}

function offer(bytes, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], {type}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// ---------------------------------------------------------------- drawing

const ROOM = 300; // pixels that the panels may grow by during a drawing before anything moves
let last = null; // place of the pointer during a stroke

function isDrawing() {
  return part("drawing").getAttribute("aria-pressed") === "true";
}

part("drawing").addEventListener("click", () => {
  const on = !isDrawing();
  part("drawing").setAttribute("aria-pressed", String(on));
  part("slice").classList.toggle("try-drawing", on);
  keepStill(on);
  draw();
  showScores();
});

/**
 * Keep the slice where it is while somebody draws on it.
 *
 * It sticks to the window as long as the panels beside it are high enough. At their end it would move when they grow,
 * as when the volume is complete; so they get room to grow.
 */
function keepStill(on) {
  part("work").style.minHeight = on ? `${part("work").offsetHeight + ROOM}px` : "";
}
part("draw").addEventListener("toggle", () => {
  if (!part("draw").open && isDrawing()) part("drawing").click();
  draw();
});
part("brush").addEventListener("input", showOutputs);
part("undo").addEventListener("click", () => {
  const d = drawing.undo();
  if (d !== null && d !== slice.d) goTo(d);
  draw();
  showScores();
});
part("clear").addEventListener("click", () => {
  drawing.clear(slice.d);
  draw();
  showScores();
});

function paint(from, to) {
  const value = root.querySelector("[name=try-tool]:checked").value === "brush" ? 1 : 0;
  drawing.stroke(slice.d, from, to, Number(part("brush").value), value);
  draw();
}

part("slice").addEventListener("pointerdown", (event) => {
  if (!isDrawing() || event.button !== 0) return;
  event.preventDefault();
  part("slice").setPointerCapture(event.pointerId);
  cross = null;
  drawing.begin(slice.d);
  last = stage.place(event);
  paint(last, last);
});
part("slice").addEventListener("pointermove", (event) => {
  if (last === null) return;
  const here = stage.place(event);
  paint(last, here);
  last = here;
});
for (const kind of ["pointerup", "pointercancel"]) {
  part("slice").addEventListener(kind, () => {
    if (last === null) return;
    last = null;
    showScores();
  });
}
part("slice").addEventListener("keydown", (event) => {
  const moves = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};
  const move = moves[event.key];
  if (!isDrawing()) {
    if (move && move[1]) turn(move[1]);
    if (move) event.preventDefault();
    return;
  }
  cross ??= [Math.floor(scan.height / 2), Math.floor(scan.width / 2)];
  if (move) {
    const far = event.shiftKey ? 10 : 1;
    cross = [
      Math.max(0, Math.min(scan.height - 1, cross[0] + far * move[0])),
      Math.max(0, Math.min(scan.width - 1, cross[1] + far * move[1])),
    ];
    draw();
  } else if (event.key === " ") {
    const middle = [cross[0] + 0.5, cross[1] + 0.5];
    drawing.begin(slice.d);
    paint(middle, middle);
    showScores();
  } else {
    return;
  }
  event.preventDefault();
});

/** Dice of each two of the three outlines on this slice, and what a pixel of border is worth. */
function showScores() {
  if (!slice) return;
  const pairs = [["you and the network", "yours", "network"]];
  if (scan.hasTruth) {
    pairs.unshift(["you and the truth", "yours", "truth"]);
    pairs.push(["the network and the truth", "network", "truth"]);
  }
  const masks = {yours: drawing.mask(slice.d), network: slice.mask, truth: slice.truth};
  const rows = pairs.map(([words, one, other]) => {
    const row = document.createElement("tr");
    const name = document.createElement("th");
    const value = document.createElement("td");
    name.scope = "row";
    name.textContent = words;
    value.textContent = scoreWords(masks, one, other);
    row.append(name, value);
    return row;
  });
  part("scores").tBodies[0].replaceChildren(...rows);
  part("border").textContent = borderWords(masks);
}

function scoreWords(masks, one, other) {
  if (!masks[one] && one === "yours") return "nothing is drawn yet";
  if (!masks[one] || !masks[other]) return "is being predicted";
  if (one !== "yours" && isDrawing() && part("blind").checked) return "hidden while you draw";
  return format(dice(masks[one], masks[other]));
}

function borderWords({yours, network: predicted, truth}) {
  const outlines = [
    ["the truth", truth],
    ["your outline", yours],
    ["the network's mask", predicted],
  ];
  const first = outlines.find(([, each]) => each && count(each));
  if (!first) return "What one pixel of border costs is shown here as soon as there is an outline.";
  const [words, mask] = first;
  const grown = dice(mask, moveBorder(mask, scan.height, scan.width, true));
  const shrunk = dice(mask, moveBorder(mask, scan.height, scan.width, false));
  return (
    `What one pixel of border costs: ${words} and the same outline one pixel wider all round ` +
    `have Dice ${format(grown)}; one pixel narrower, ${format(shrunk)}.`
  );
}

// ---------------------------------------------------------------- inside, and the volume

async function lookInside() {
  const {levels} = await ask("activations", {d: slice.d});
  inside.setActivations(levels);
}

part("inside").addEventListener("toggle", () => {
  if (part("inside").open && slice?.probability) attempt(lookInside);
});
part("volume").addEventListener("toggle", () => {
  if (part("volume").open && found) drawVolume();
});

function drawVolume() {
  return attempt(async () => {
    part("volume-text").textContent = "Loading NiiVue";
    const {showVolume} = await import("./volume.js");
    await showVolume(
      part("niivue"),
      await ask("save", {what: "flair"}),
      await ask("save", {what: "mask"}),
    );
    part("volume-text").textContent = `${scan.name}: ${scan.depth} slices, the mask in red.`;
  });
}

// ---------------------------------------------------------------- files, and the start

for (const name of ["files", "folder"]) {
  part(name).addEventListener("change", (event) =>
    attempt(async () => {
      const files = [...event.target.files];
      event.target.value = "";
      await openFiles(files);
    }),
  );
}
root.addEventListener("dragover", (event) => {
  event.preventDefault();
  root.classList.add("try-over");
});
root.addEventListener("dragleave", () => root.classList.remove("try-over"));
root.addEventListener("drop", (event) => {
  event.preventDefault();
  root.classList.remove("try-over");
  const files = [...event.dataTransfer.files];
  const folders = [...event.dataTransfer.items]
    .map((item) => item.webkitGetAsEntry())
    .filter((each) => each?.isDirectory);
  attempt(async () => {
    const inside = await Promise.all(folders.map(filesOf));
    const names = new Set(folders.map((folder) => folder.name)); // a dropped folder is in `files`, too, as a file without bytes
    await openFiles([...files.filter((file) => !names.has(file.name)), ...inside.flat()]);
  });
});

/** All files of something dropped: itself, or what lies in the folder and below. */
async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const each of some) found.push(...(await filesOf(each)));
  }
}

attempt(async () => {
  const index = await ask("setup");
  networks = index.networks;
  setUpPhantoms(index.phantoms);
  setUpNetworks();
  await takeNetwork(networks[0].name);
  part("phantoms").firstElementChild?.click();
});
