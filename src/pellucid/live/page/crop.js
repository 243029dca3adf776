// What the training's crop takes of an image: pellucid.data.images.crop_box, by the same numbers.

/** [left, top, right, bottom] in shares of an image of so many pixels; `rule` is the run's `crop`. */
export function cropped({ box, proportion, tolerance }, width, height) {
  if (box && (proportion === null || Math.abs(width / height / proportion - 1) <= tolerance)) return box;
  const side = Math.min(width, height);
  const [left, top] = [Math.floor((width - side) / 2), Math.floor((height - side) / 2)];
  return [left / width, top / height, (left + side) / width, (top + side) / height];
}
