// DICOM files, made into NIfTI by dcm2niix (WebAssembly), which is loaded when a reader gives such files.

import {Dcm2niix} from "@niivue/dcm2niix";
import {LggError} from "./errors.js";

/** Whether a file is DICOM: by the four letters behind its preamble. */
export async function isDicom(file) {
  const start = new Uint8Array(await file.slice(128, 132).arrayBuffer());
  return String.fromCharCode(...start) === "DICM";
}

/** The series in DICOM files as NIfTI files {name, buffer}, named by what the scanner called them. */
export async function dicomToNifti(files) {
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
