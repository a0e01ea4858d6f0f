// Bundles the page into a folder: node build.mjs OUT. The networks and phantoms are put beside it by dev/tools/try_page.py.

import {copyFile, mkdir, readFile, writeFile} from "node:fs/promises";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";
import {build} from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (!out) throw new Error("usage: node build.mjs OUT");

await mkdir(out, {recursive: true});
await build({
  absWorkingDir: here,
  entryPoints: ["src/app.js", "src/worker.js", "src/style.css"],
  outdir: out,
  bundle: true,
  splitting: true, // what is loaded only on request lies in files of its own
  minify: true,
  format: "esm",
  target: "es2022",
  conditions: ["onnxruntime-web-use-extern-wasm"], // its WebAssembly stays a file of its own
  external: ["numcodecs/*"], // decoders of a format that no scan here has; NiiVue asks for them only then
  legalComments: "linked",
  logLevel: "warning",
});

// Parts that run as files of their own.
const copied = {
  "onnxruntime-web/dist": ["ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.mjs"],
  "@niivue/dcm2niix/dist": ["worker.jpeg.js", "dcm2niix.jpeg.js", "dcm2niix.jpeg.wasm"],
};
for (const [folder, files] of Object.entries(copied)) {
  for (const file of files)
    await copyFile(join(here, "node_modules", folder, file), join(out, file));
}

// A page of its own around the part that the site shows: for work on it, and for its tests.
const part = await readFile(join(here, "page.html"), "utf8");
const frame = await readFile(join(here, "standalone.html"), "utf8");
await writeFile(
  join(out, "index.html"),
  frame.replace("@page@", () => part),
);
await writeFile(join(out, "page.html"), part);
