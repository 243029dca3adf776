// Save and load: a picture of the three panels, and the state as JSON.

import { download, fromBase64, measured, number, toBase64 } from "/making.js";
import { percent } from "/answer.js";

const FORMAT = "pellucid-live";
const VERSION = 1;
const LARGEST = 4_000_000; // bytes of a state
const WIDTH = 1600;
const SIDE = 440;
const ROW = 26;
const MOST_ROWS = 40;

/** The state of the page as JSON's types. */
export function record({ state, seen, latents, losses, verdict }) {
  return {
    format: FORMAT,
    version: VERSION,
    pellucid: state.version,
    run: state.run,
    model: state.fingerprint,
    saved: new Date().toISOString(),
    size: state.size,
    pixels: toBase64(seen),
    names: Object.fromEntries(state.latents.map((latent) => [`z${latent.index}`, latent.label])),
    mean: latents.mean,
    deviation: latents.deviation,
    held: Object.fromEntries([...latents.held].map(([latent, value]) => [`z${latent}`, value])),
    losses,
    verdict,
  };
}

export function saveState(content) {
  download(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }), `pellucid-${stamp()}.json`);
}

/** Read a saved state; throws an Error that says what is wrong with it. Returns {size, pixels, held, own}. */
export async function readState(file, state) {
  if (file.size > LARGEST) throw new Error(`${file.name} is too large to be a saved state.`);
  let content;
  try {
    content = JSON.parse(await file.text());
  } catch {
    throw new Error(`${file.name} is not JSON, so it is no saved state.`);
  }
  if (content?.format !== FORMAT || content.version !== VERSION) {
    throw new Error(`${file.name} was not saved by this page, or by another version of it.`);
  }
  const { size, pixels, held } = content;
  const bytes = typeof pixels === "string" && Number.isInteger(size) && size > 0 && size <= 256 ? decoded(pixels) : null;
  if (bytes?.length !== 3 * size * size || typeof held !== "object" || held === null) {
    throw new Error(`${file.name} is damaged: its picture or its latents are not whole.`);
  }
  const own = content.model === state.fingerprint;
  const values = own ? Object.entries(held).map(([latent, value]) => [Number(latent.replace(/^z/, "")), value]) : [];
  if (!values.every(([latent, value]) => state.latents[latent] && Number.isFinite(value))) {
    throw new Error(`${file.name} is damaged: it holds a latent that the model has not.`);
  }
  return { size, pixels: bytes, held: new Map(values), own };
}

function decoded(text) {
  try {
    return fromBase64(text);
  } catch {
    return null;
  }
}

/** The three panels as one PNG, drawn in the colours of light paper. */
export async function savePicture({ state, view, guide, answer, latents, losses, verdict }) {
  const shown = state.order.map((latent) => state.latents[latent]).filter((latent) => latent.active !== false).slice(0, MOST_ROWS);
  const height = Math.max(190 + ROW * shown.length, SIDE + 470);
  const canvas = new OffscreenCanvas(WIDTH, height);
  const context = canvas.getContext("2d");
  const write = (text, x, y, { size = 15, color = "#1b1f24", bold = false, align = "left", most = undefined } = {}) => {
    context.font = `${bold ? "600 " : ""}${size}px system-ui, sans-serif`;
    context.fillStyle = color;
    context.textAlign = align;
    context.fillText(text, x, y, most);
  };
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, WIDTH, height);
  write(`Pellucid: ${state.run}`, 40, 46, { size: 22, bold: true });
  write(state.about, 40, 72, { color: "#5a6370", most: WIDTH - 80 });
  write("Picture", 40, 112, { size: 17, bold: true });
  context.drawImage(view, 40, 126, SIDE, SIDE);
  if (guide.width) context.drawImage(guide, 40, 126, SIDE, SIDE);
  write("Latents", 520, 112, { size: 17, bold: true });
  shown.forEach((latent, row) => drawLatent(context, write, latent, latents, 140 + ROW * row));
  write("Reconstruction", WIDTH - 40 - SIDE, 112, { size: 17, bold: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(answer.canvas, WIDTH - 40 - SIDE, 126, SIDE, SIDE);
  let y = 126 + SIDE + 34;
  const left = WIDTH - 40 - SIDE;
  if (latents.held.size) {
    write(`${latents.held.size} latent${latents.held.size === 1 ? " is" : "s are"} held (amber).`, left, y, { color: "#5a6370" });
    y += 28;
  }
  for (const loss of state.losses) {
    const { value, quantile } = losses[loss.name];
    write(loss.label, left, y);
    write(measured(value), left + 275, y, { align: "right" });
    if (quantile !== null) write(`quantile ${number(quantile, 3)}`, left + SIDE, y, { align: "right", color: "#5a6370" });
    y += 24;
  }
  if (verdict) {
    y = 126 + SIDE + 34;
    const sure = verdict.probability === null ? `p-value ${measured(verdict.p_value)}` : `probability of being normal ${percent(verdict.probability)}`;
    const word = `${verdict.verdict === "normal" ? "Normal" : "Anomalous"}${verdict.borderline ? ", borderline" : ""}`;
    write(`${word}: ${sure}`, 40, y, { size: 17, bold: true });
    for (const reason of verdict.reasons) {
      for (const [at, line] of wrapped(`${reason.contribution < 0 ? "against" : "for"}: ${reason.text}`, 60).entries()) {
        y += at ? 20 : 27;
        write(line, 40, y, { most: SIDE });
      }
    }
    for (const [at, line] of verdict.cautions.length ? wrapped(`Caution: ${verdict.cautions.join("; ")}.`, 60).entries() : []) {
      y += at ? 20 : 27;
      write(line, 40, y, { most: SIDE });
    }
  }
  download(await canvas.convertToBlob({ type: "image/png" }), `pellucid-${stamp()}.png`);
}

function drawLatent(context, write, latent, latents, y) {
  const [left, width] = [720, 280];
  const [low, high] = [Math.min(-3, latent.low ?? -3), Math.max(3, latent.high ?? 3)];
  const place = (value) => left + (width * (Math.min(Math.max(value, low), high) - low)) / (high - low);
  const held = latents.held.get(latent.index);
  const [mean, doubt] = [latents.mean[latent.index], latents.deviation[latent.index]];
  const bar = (from, to, thick, color) => {
    context.fillStyle = color;
    context.fillRect(place(from), y - 5 - thick / 2, Math.max(1, place(to) - place(from)), thick);
  };
  write(latent.label, left - 14, y, { align: "right", most: 180, color: latent.nuisance ? "#5a6370" : undefined });
  bar(low, high, 1, "#d9dde3");
  bar(latent.low ?? -2.326, latent.high ?? 2.326, 6, "#d9dde3");
  bar(mean - 2 * doubt, mean + 2 * doubt, 10, "#8db4dc");
  context.fillStyle = held === undefined ? "#0a4f96" : "#c77700";
  context.beginPath();
  context.arc(place(held ?? mean), y - 5, 6, 0, 7);
  context.fill();
  write(number(held ?? mean), left + width + 62, y, { align: "right" });
}

function wrapped(text, most) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1).length + word.length > most) lines.push("");
    lines[lines.length - 1] += `${lines.at(-1) && " "}${word}`;
  }
  return lines;
}

function stamp() {
  return new Date().toISOString().slice(0, 19).replaceAll(":", "-");
}
