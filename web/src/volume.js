// Three cuts and the mask in space, by NiiVue. It is loaded when a reader asks for it.

let niivue = null;
let Image = null;

/** Show a scan and a mask, both bytes of NIfTI files, on the canvas. */
export async function showVolume(canvas, scan, mask) {
  if (!niivue) {
    const library = await import("@niivue/niivue");
    Image = library.NVImage;
    niivue = new library.Niivue({
      dragAndDropEnabled: false,
      loadingText: "",
      show3Dcrosshair: true,
      isColorbar: false,
      multiplanarShowRender: library.SHOW_RENDER.ALWAYS,
    });
    await niivue.attachToCanvas(canvas);
    niivue.setSliceType(niivue.sliceTypeMultiplanar);
  }
  const grey = await Image.loadFromUrl({url: scan, name: "scan.nii", colormap: "gray"});
  const found = await Image.loadFromUrl({
    url: mask,
    name: "mask.nii",
    colormap: "red",
    opacity: 0.5,
    cal_min: 0.5,
    cal_max: 1,
  });
  while (niivue.volumes.length) niivue.removeVolumeByIndex(niivue.volumes.length - 1);
  niivue.addVolume(grey);
  niivue.addVolume(found);
}
