// DICOM files, made into NIfTI by dcm2niix (WebAssembly), which is loaded when a reader gives such files.

import {Dcm2niix} from "@niivue/dcm2niix";
import {LggError} from "./errors.js";

const HEADER = 4096; // bytes in which the modality stands
const MODALITY = 0x00600008; // tag (0008,0060), in the order of its bytes

/** Whether a file is DICOM: by the four letters behind its preamble. */
export async function isDicom(file) {
  const start = new Uint8Array(await file.slice(128, 132).arrayBuffer());
  return String.fromCharCode(...start) === "DICM";
}

/** Refuse files of another modality than magnetic resonance. */
async function checkModality(file) {
  const modality = modalityOf(new Uint8Array(await file.slice(0, HEADER).arrayBuffer()));
  if (modality && !["MR", "OT"].includes(modality)) {
    throw new LggError(
      `${file.name}: is of the modality ${modality}; give magnetic resonance (MR) alone`,
    );
  }
}

/** The modality that a header tells, such as MR; empty where it tells none. */
function modalityOf(bytes) {
  const view = new DataView(bytes.buffer);
  for (let place = 132; place + 16 <= bytes.length; place += 2) {
    const isTag = view.getUint32(place, true) === MODALITY;
    if (!isTag) continue;
    const isExplicit = bytes[place + 4] === 0x43 && bytes[place + 5] === 0x53; // "CS", its type
    const length = isExplicit ? view.getUint16(place + 6, true) : view.getUint32(place + 4, true);
    if (length > 16) continue; // these bytes stood in some other value
    return String.fromCharCode(...bytes.subarray(place + 8, place + 8 + length)).trim();
  }
  return "";
}

/** The series in DICOM files as NIfTI files {name, buffer}, named by what the scanner called them. */
export async function dicomToNifti(files) {
  for (const file of files) await checkModality(file);
  const converter = new Dcm2niix();
  await converter.init();
  let found;
  try {
    found = await converter.input(files).b("n").z("n").f("%s_%d").run();
  } finally {
    converter.worker.terminate();
  }
  const series = [...found].filter((file) => file.name.endsWith(".nii"));
  if (!series.length)
    throw new LggError(
      `${files[0].name}: no picture in its DICOM files; export the series of the scan`,
    );
  const read = [];
  for (const file of series) read.push({name: file.name, buffer: await file.arrayBuffer()});
  return read;
}
