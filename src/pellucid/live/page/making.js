// Elements of the page. Text is only ever set as text.

/** An element with properties, `aria-…` and `data-…` attributes, and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** A number as people write it: a real minus, so many digits. */
export function number(value, digits = 2) {
  return value.toFixed(digits).replace("-", "−");
}

/** A small number with three digits that matter. */
export function measured(value) {
  return Number(value.toPrecision(3)).toString().replace("-", "−");
}

/** RGB bytes as ImageData of a square. */
export function pixels(bytes, side) {
  const image = new ImageData(side, side);
  for (let from = 0, to = 0; from < bytes.length; to += 4) {
    image.data[to] = bytes[from++];
    image.data[to + 1] = bytes[from++];
    image.data[to + 2] = bytes[from++];
    image.data[to + 3] = 255;
  }
  return image;
}

/** Paint RGB bytes of a square onto a canvas of that size. */
export function paint(canvas, bytes, side) {
  if (canvas.width !== side) canvas.width = canvas.height = side;
  canvas.getContext("2d").putImageData(pixels(bytes, side), 0, 0);
}

/** A canvas with RGB bytes on it. */
export function tile(bytes, side, label) {
  const canvas = make("canvas", { role: "img", "aria-label": label });
  paint(canvas, bytes, side);
  return canvas;
}

export function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

export function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** Hand a file to whoever sits there. */
export function download(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
