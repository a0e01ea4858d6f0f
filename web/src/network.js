// A trained network, run by onnxruntime's WebAssembly build in this browser.

import * as ort from "onnxruntime-web/wasm";

ort.env.logLevel = "error";
// Threads need a server that isolates the page (COOP and COEP headers); without them one is all there is.
ort.env.wasm.numThreads = self.crossOriginIsolated
  ? Math.min(4, navigator.hardwareConcurrency || 1)
  : 1;
ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;

/** One member of a network: a file written by `python -m lggseg.export`. */
export class Member {
  /** `channels` are those that it takes, three for each slice it is shown; `depth` is its number of levels. */
  constructor(session, {channels, depth}) {
    Object.assign(this, {session, channels, depth});
  }

  /** Make a member of the bytes of its file, and of what networks.json says of it. */
  static async load(bytes, described) {
    return new Member(
      await ort.InferenceSession.create(bytes, {executionProviders: ["wasm"]}),
      described,
    );
  }

  /**
   * The answer to one slice on the grid, z-scores of as many planes size x size as the member has channels.
   *
   * `skips` is 1 for each skip connection that is kept and 0 for one that is cut, the finest first; one that is not named
   * is kept, and one that this member does not have is left out. `names` are those of the outputs wanted: "probability",
   * and any activation. Each comes as {channels, side, data}.
   */
  async run(scores, size, skips, names = ["probability"]) {
    const factors = new Float32Array(this.depth - 1).fill(1);
    factors.set(skips.slice(0, factors.length));
    const feeds = {
      image: new ort.Tensor("float32", scores, [1, this.channels, size, size]),
      skips: new ort.Tensor("float32", factors, [factors.length]),
    };
    const results = await this.session.run(feeds, names);
    const found = {};
    for (const name of names) {
      const {data, dims} = results[name];
      found[name] = {channels: dims[1], side: dims[2], data};
    }
    return found;
  }
}

/** Bytes at an address of this site; `progress` is called with the number of bytes that have come so far. */
export async function download(address, progress = () => {}) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} cannot be loaded (${response.status})`);
  const parts = [];
  let size = 0;
  const reader = response.body.getReader();
  for (;;) {
    const {done, value} = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
    progress(size);
  }
  const bytes = new Uint8Array(size);
  let place = 0;
  for (const part of parts) {
    bytes.set(part, place);
    place += part.length;
  }
  return bytes;
}
