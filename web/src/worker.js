// All that takes time runs here, beside the page, so that the page never freezes: reading, preparing, predicting.
//
// The page sends {id, call, values} and gets {id, result} or {id, error}. In between come events: {event, ...}.

import {decode as decodePng, encode as encodePng} from "fast-png";
import {LggError} from "./errors.js";
import {rough, UNTOUCHED} from "./bench.js";
import {download, Member} from "./network.js";
import {count, dice, postprocess} from "./postprocess.js";
import {findHead} from "./prepare/head_finder.js";
import {
  fromGrid,
  middleChannels,
  neighboursWithHead,
  sliceToGrid,
  standardise,
} from "./prepare/network_grid.js";
import {Grid, toSquare} from "./read/grid.js";
import {writeNifti} from "./read/nifti.js";
import {guessOrder, ownScan, readStack} from "./read/scan.js";
import {resizePlane} from "./resize.js";
import {signs, trustOf} from "./trust.js";

const MEMBER_SCALE = 65535; // stands for a member's probability of 1, to keep it in two bytes
const networks = new Map(); // by name: {entry, members}
let index = null; // what networks.json, phantoms.json and trust.json say
let stack = null; // as it was read
let order = null;
let scan = null; // as it is shown when the scanner bench is untouched
let state = null; // the picture under the bench, its head, and what has been predicted of it
let chosen = {network: null, members: 1, skips: [], bench: UNTOUCHED, threshold: 0.5, current: 0};
let running = false;

const calls = {
  setup,
  loadNetwork,
  openPhantom,
  openFiles,
  setOrder,
  setBench,
  setMembers,
  setSkips,
  setThreshold,
  show,
  activations,
  save,
};

self.onmessage = async ({data: {id, call, values}}) => {
  try {
    const {result, transfer = []} = wrap(await calls[call](values ?? {}));
    self.postMessage({id, result}, transfer);
  } catch (error) {
    const known = error instanceof LggError;
    self.postMessage({id, error: known ? error.message : `${error.message ?? error}`, known});
  }
};

function wrap(value) {
  return value && value.transfer ? value : {result: value};
}

function tell(event, values = {}) {
  self.postMessage({event, ...values});
}

/** What there is to choose from. */
async function setup() {
  const read = async (name) =>
    JSON.parse(new TextDecoder().decode(await download(new URL(name, import.meta.url))));
  index = {
    networks: await read("networks.json"),
    phantoms: await read("phantoms.json"),
    trust: await read("trust.json"),
  };
  return index;
}

/** Make a network the one that predicts; its first members are loaded if they are not there yet. */
async function loadNetwork({name, members = 1}) {
  const entry = index.networks.find((each) => each.name === name);
  if (!networks.has(name)) networks.set(name, {entry, members: []});
  const loaded = networks.get(name).members;
  const total = entry.members
    .slice(loaded.length, members)
    .reduce((sum, member) => sum + member.bytes, 0);
  let before = 0;
  while (loaded.length < Math.min(members, entry.members.length)) {
    const member = entry.members[loaded.length];
    const bytes = await download(new URL(member.file, import.meta.url), (size) => {
      tell("loading", {done: before + size, total});
    });
    before += member.bytes;
    loaded.push(await Member.load(bytes, member));
  }
  const isNew = chosen.network !== name;
  chosen = {...chosen, network: name, members: Math.min(members, entry.members.length)};
  if (isNew)
    chosen = {
      ...chosen,
      skips: Array(entry.members[0].depth - 1).fill(1),
      threshold: entry.recipe.threshold,
    };
  if (scan) restart();
  return entry;
}

async function setMembers({members}) {
  return loadNetwork({name: chosen.network, members});
}

/** One of the phantoms that come with the page. */
async function openPhantom({number}) {
  const {file, truth, depth} = index.phantoms[number];
  const picture = decodePng(await download(new URL(file, import.meta.url)));
  const mask = decodePng(await download(new URL(truth, import.meta.url)));
  const {width} = picture;
  const height = picture.height / depth;
  const channels = [0, 1, 2].map((s) => picture.data.filter((_, i) => i % 3 === s));
  const same = channels.every((channel) => channel.every((value, i) => value === channels[0][i]));
  stack = {
    name: index.phantoms[number].name,
    depth,
    height,
    width,
    channels,
    labels: ["channel 1", "channel 2", "channel 3"],
    names: Array.from({length: depth}, (_, d) => `slice_${d + 1}`),
    grid: null,
    header: null,
    truth: Uint8Array.from(mask.data, (value) => (value ? 1 : 0)),
    warnings: [],
    same,
  };
  return accept(["pre", "flair", "post"]);
}

/** Files {name, buffer} that somebody gave. */
async function openFiles({files}) {
  const found = await readStack(files);
  const guessed = guessOrder(found);
  const usable = guessed && guessed.filter((name) => name === "flair").length === 1;
  if (!usable) {
    stack = found;
    scan = null;
    state = null;
    return {labels: found.labels, order: found.labels.map(() => null), undecided: true};
  }
  const before = [stack, order];
  stack = found;
  try {
    return await accept(guessed);
  } catch (error) {
    [stack, order] = before;
    throw error;
  }
}

/** The channels' sequences, as the reader says. */
async function setOrder({order: wanted}) {
  return accept(wanted);
}

/** Take the stack with this order as the scan on show. */
async function accept(wanted) {
  const accepted = await ownScan(stack, wanted);
  [scan, order] = [accepted, wanted];
  chosen = {...chosen, bench: UNTOUCHED};
  const {depth, height, width} = scan.volume;
  const areas = scan.truth ? areaPerSlice(scan.truth, depth) : null;
  const most = areas ? areas.indexOf(Math.max(...areas)) : Math.floor(depth / 2);
  chosen.current = most;
  restart();
  return {
    name: scan.name,
    depth,
    height,
    width,
    pixel: scan.pixel,
    names: scan.names,
    labels: stack.labels,
    order,
    hasTruth: Boolean(scan.truth),
    warnings: warnings(),
    start: most,
  };
}

function areaPerSlice(mask, depth) {
  const size = mask.length / depth;
  return Array.from({length: depth}, (_, d) => count(mask.subarray(d * size, (d + 1) * size)));
}

/** What a reader should know of the scan, and of its head as the bench shows it now. */
function warnings() {
  return [...new Set([...scan.warnings, ...state.head.doubts])];
}

async function setBench({bench}) {
  const before = chosen;
  chosen = {...chosen, bench};
  try {
    if (scan) restart();
  } catch (error) {
    chosen = before;
    throw error;
  }
  return {};
}

async function setSkips({skips}) {
  chosen = {...chosen, skips};
  if (scan) restart();
  return {};
}

async function setThreshold({threshold}) {
  chosen = {...chosen, threshold};
  if (state) state.mask = null;
  return {judged: state && isComplete() ? judge() : null};
}

/** Begin anew with the scan, the bench and the network that are chosen now. */
function restart() {
  const start = performance.now();
  const sameBench =
    state && Object.keys(UNTOUCHED).every((name) => state.bench[name] === chosen.bench[name]);
  const isSame = sameBench && state.scan === scan;
  const shown = isSame ? state.shown : rough(scan.volume, chosen.bench);
  const square = isSame ? state.square : toSquare(shown, scan.pixel);
  const head = isSame ? state.head : findHead(square);
  const grids = isSame ? state.grids : new Map();
  state = {
    scan,
    bench: chosen.bench,
    shown,
    square,
    head,
    grids,
    ...emptyAnswers(square),
    done: new Uint8Array(square.depth),
    mask: null,
    start,
  };
  for (let d = 0; d < square.depth; d++) if (!neighboursWithHead(head, d).length) state.done[d] = 1; // air at the ends
  predictAll();
}

/**
 * Room for what the members will say, whose arrays are used again where they fit.
 *
 * probability        the mean, on the scan's own pixels
 * squareProbability  on square pixels, by which a mask is judged; the same array where the scan's pixels are square
 * memberAnswers      of each of several members on square pixels, as whole numbers up to MEMBER_SCALE
 */
function emptyAnswers({depth, height, width}) {
  const own = scan.volume;
  const isSquare = own.height === height && own.width === width;
  const probability = emptied(state?.probability, Float32Array, depth * own.height * own.width);
  const squareProbability = isSquare
    ? probability
    : emptied(state?.squareProbability, Float32Array, depth * height * width);
  const several = chosen.members > 1 ? chosen.members : 0;
  const memberAnswers = [];
  for (let i = 0; i < several; i++) {
    memberAnswers.push(emptied(state?.memberAnswers[i], Uint16Array, depth * height * width));
  }
  return {probability, squareProbability, memberAnswers};
}

function emptied(array, Kind, length) {
  return array?.length === length ? array.fill(0) : new Kind(length);
}

/** Predict slice after slice, the one on show first; a newer choice ends this and begins again. */
async function predictAll() {
  if (running || !chosen.network) return;
  running = true;
  try {
    for (;;) {
      const now = state;
      if (!now) break;
      const settings = settingsKey();
      const d = nextSlice();
      if (d === null) break;
      const answers = await predict(d);
      if (now === state && settings === settingsKey()) {
        keep(d, answers);
        tell("predicted", {d, done: count(state.done), total: state.done.length});
        if (isComplete())
          tell("complete", {...judge(), seconds: (performance.now() - state.start) / 1000});
      }
      await new Promise((resolve) => setTimeout(resolve)); // messages that have come meanwhile
    }
  } catch (error) {
    tell("failed", {message: error.message});
  } finally {
    running = false;
  }
}

function settingsKey() {
  return `${chosen.network} ${chosen.members} ${chosen.skips}`;
}

/** The slice with a head nearest to the one on show that has not been predicted; null when all have. */
function nextSlice() {
  const wanted = neighboursWithHead(state.head, chosen.current);
  const open = state.head.slices.filter((d) => !state.done[d]);
  if (!open.length) return null;
  const urgent = wanted.find((d) => !state.done[d]);
  if (urgent !== undefined) return urgent;
  return open.reduce((best, d) =>
    Math.abs(d - chosen.current) < Math.abs(best - chosen.current) ? d : best,
  );
}

function isComplete() {
  return state.head.slices.every((d) => state.done[d]);
}

/** A slice's probability on the grid by each member: the mean with the mirrored slice where the recipe says so. */
async function predict(d) {
  const {entry, members} = networks.get(chosen.network);
  const {size, context, flip} = entry.recipe;
  const scores = scoresOf(d, size, context);
  const {skips} = chosen;
  const answers = [];
  for (const member of members.slice(0, chosen.members)) {
    const shown = middleChannels(scores, member.channels, size);
    const parts = [(await member.run(shown, size, skips)).probability.data];
    if (flip) {
      const answer = await member.run(mirrored(shown, size), size, skips);
      parts.push(mirrored(answer.probability.data, size));
    }
    answers.push(meanOf(parts));
  }
  return answers;
}

function meanOf(planes) {
  const mean = new Float32Array(planes[0].length);
  for (const plane of planes)
    for (let k = 0; k < mean.length; k++) mean[k] += plane[k] / planes.length;
  return mean;
}

function scoresOf(d, size, context) {
  const {head, square, grids} = state;
  const row = head.slices.indexOf(d);
  const gridOf = (other) => {
    const key = `${other} ${size}`;
    if (!grids.has(key)) grids.set(key, sliceToGrid(square, head, head.slices[other], size));
    return grids.get(key);
  };
  return standardise(gridOf, head, row, context, size);
}

function mirrored(planes, size) {
  const result = new Float32Array(planes.length);
  for (let i = 0; i < planes.length; i++)
    result[i - (i % size) + size - 1 - (i % size)] = planes[i];
  return result;
}

/** Put a slice's probabilities, one plane of the grid for each member, on the volume's pixels. */
function keep(d, answers) {
  const {square, head, memberAnswers} = state;
  const {height, width} = scan.volume;
  const {size} = networks.get(chosen.network).entry.recipe;
  const mean = fromGrid(meanOf(answers), head, size);
  state.squareProbability.set(mean, d * square.height * square.width);
  if (state.squareProbability !== state.probability) {
    state.probability.set(
      resizePlane(mean, square.height, square.width, height, width, true),
      d * height * width,
    );
  }
  memberAnswers.forEach((numbers, i) => {
    const plane = fromGrid(answers[i], head, size);
    numbers.set(
      plane.map((value) => Math.round(MEMBER_SCALE * value)),
      d * plane.length,
    );
  });
  state.done[d] = 1;
  state.mask = null;
  fillGaps();
}

/** Slices that show no head, between two that do, get the mean of both. */
function fillGaps() {
  const volumes = new Set([state.probability, state.squareProbability, ...state.memberAnswers]);
  for (let gap = 0; gap < state.done.length; gap++) {
    const [below, above] = neighboursWithHead(state.head, gap);
    if (above === undefined || !state.done[below] || !state.done[above]) continue;
    for (const volume of volumes) {
      const size = volume.length / state.done.length;
      for (let k = 0; k < size; k++) {
        volume[gap * size + k] = (volume[below * size + k] + volume[above * size + k]) / 2;
      }
    }
    state.done[gap] = 1;
  }
}

/** The whole mask, and what can be said of it. */
function judge() {
  const mask = wholeMask();
  const voxels = count(mask);
  const areas = areaPerSlice(mask, scan.volume.depth);
  const trust = trustNow(mask);
  return {
    voxels,
    ml: scan.grid ? voxels * scan.grid.voxel : null,
    largest: voxels ? areas.indexOf(Math.max(...areas)) : null,
    dice: scan.truth ? dice(mask, scan.truth) : null,
    trust,
    warnings: [...new Set([...warnings(), ...trust.warnings])],
  };
}

/** Expected Dice of the mask, and warnings. */
function trustNow(mask) {
  const {square, head, memberAnswers, squareProbability, probability} = state;
  const {threshold} = chosen;
  const squareMask = squareProbability === probability ? mask : maskOf(squareProbability, square);
  const members = memberAnswers.length ? memberAnswers : [squareProbability];
  const scale = memberAnswers.length ? MEMBER_SCALE : 1;
  const found = signs({
    members,
    scale,
    probability: squareProbability,
    mask: squareMask,
    volume: square,
    head,
    threshold,
  });
  return trustOf(found, head, index.trust);
}

function wholeMask() {
  state.mask ??= maskOf(state.probability, scan.volume);
  return state.mask;
}

function maskOf(probability, {depth, height, width}) {
  const share = networks.get(chosen.network).entry.recipe.min_component_share;
  return postprocess(probability, [depth, height, width], chosen.threshold, share);
}

/** Slice `d` as it is to be shown: its three sequences, probability and mask (null while they are not known), truth. */
async function show({d}) {
  chosen.current = d;
  const {height, width} = scan.volume;
  const size = height * width;
  const image = state.shown.data.slice(3 * d * size, 3 * (d + 1) * size);
  const truth = scan.truth ? scan.truth.slice(d * size, (d + 1) * size) : null;
  let probability = null;
  let mask = null;
  if (state.done[d]) {
    probability = state.probability.slice(d * size, (d + 1) * size);
    mask = isComplete()
      ? wholeMask().slice(d * size, (d + 1) * size)
      : postprocess(probability, [1, height, width], chosen.threshold, 0);
  }
  predictAll();
  const sent = [image, truth, probability, mask].filter(Boolean).map((array) => array.buffer);
  return {result: {d, image, truth, probability, mask}, transfer: sent};
}

/** All activations of the first member for slice `d`, by name: {channels, side, data}. */
async function activations({d}) {
  const {entry, members} = networks.get(chosen.network);
  const near = neighboursWithHead(state.head, d)[0];
  if (near === undefined)
    throw new LggError(
      "this slice shows no head, so the network does not look at it; choose another",
    );
  const {size, context} = entry.recipe;
  const names = entry.members[0].levels.map((level) => level.name);
  const shown = middleChannels(scoresOf(near, size, context), members[0].channels, size);
  const found = await members[0].run(shown, size, chosen.skips, names);
  const copies = {};
  for (const name of names) copies[name] = {...found[name], data: found[name].data.slice()};
  return {result: {d, levels: copies}, transfer: names.map((name) => copies[name].data.buffer)};
}

/** Files to save: as NIfTI the mask, FLAIR, or the picture with its three sequences; as PNG the mask of one slice. */
async function save({what, d}) {
  const {depth, height, width, data} = state.shown;
  const size = height * width;
  if (what === "png") {
    const mask = wholeMask()
      .subarray(d * size, (d + 1) * size)
      .map((value) => 255 * value);
    return encodePng({width, height, data: mask, channels: 1, depth: 8});
  }
  const grid =
    scan.grid ??
    new Grid(
      [width, height, depth],
      [
        [-1, 0, 0, 0],
        [0, -1, 0, 0],
        [0, 0, 6, 0],
        [0, 0, 0, 1],
      ],
    );
  const sequence = (s) => data.filter((_, i) => i % 3 === s);
  const channels = {
    mask: () => [wholeMask()],
    flair: () => [sequence(1)],
    picture: () => [0, 1, 2].map(sequence),
  }[what]();
  return new Uint8Array(writeNifti(channels, grid, scan.header));
}
