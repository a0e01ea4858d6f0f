// Elements of a page whose text stands out too little from its ground (WCAG 2, level AA), in words.
() => {
  const parse = text => (text.match(/[\d.]+/g) || []).map(Number);
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.5) return colour;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  for (const each of document.querySelectorAll("body *")) {
    const texts = [...each.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    const box = each.getBoundingClientRect();
    if (!texts || each.closest("svg, script, style, noscript") || box.width < 2 || box.height < 2) continue;
    if (!each.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
    const style = getComputedStyle(each), ink = light(parse(style.color)), paper = light(ground(each));
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < (large ? 3 : 4.5)) faint.add(`${each.tagName}.${each.className} ${style.color}: ${ratio.toFixed(2)}`);
  }
  return [...faint];
}
