// The right panel: the reconstruction, where it differs, its losses among those of many images, the verdict.

import { make, measured, number, paint, pixels } from "/making.js";

const BRIGHTEST = 0.4; // mean absolute difference of a pixel that is drawn white

export class Answer {
  #cells = new Map();
  #seen = null;
  #drawn = null;

  constructor({ onWhy }) {
    this.canvas = document.querySelector("#reconstruction");
    this.difference = document.querySelector("#difference");
    this.verdict = document.querySelector("#verdict");
    this.onWhy = onWhy;
    const box = document.querySelector("#show-difference");
    box.addEventListener("change", () => {
      document.querySelector("#difference-figure").hidden = !box.checked;
      document.querySelector(".answers").classList.toggle("both", box.checked);
      this.#drawDifference();
    });
  }

  build(state) {
    this.state = state;
    for (const canvas of [this.canvas, this.difference]) canvas.width = canvas.height = state.size;
    document.querySelector("#losses tbody").replaceChildren(...state.losses.map((loss) => this.#row(loss)));
    if (!state.detector) this.#noDetector();
  }

  #row(loss) {
    const value = make("td", { className: "number", textContent: "–" });
    const mark = make("span", { className: "mark", hidden: true });
    const strip = make("span", { className: "strip", "aria-hidden": "true" }, mark);
    const rank = make("td", { className: "rank" }, strip, make("span", { className: "words" }));
    this.#cells.set(loss.name, { value, mark, words: rank.lastChild });
    return make("tr", {}, make("th", { scope: "row", textContent: loss.label, title: loss.unit }), value, rank);
  }

  /** The picture as the model saw it, and as it draws it. */
  show(seen, drawn) {
    if (seen) this.#seen = seen.slice();
    this.#drawn = drawn.slice();
    paint(this.canvas, this.#drawn, this.state.size);
    this.#drawDifference();
  }

  get seen() {
    return this.#seen;
  }

  showLosses(losses) {
    let ranked = false;
    for (const [name, { value, mark, words }] of this.#cells) {
      const loss = losses[name];
      value.textContent = measured(loss.value);
      mark.hidden = loss.quantile === null;
      words.textContent = "";
      if (loss.quantile === null) continue;
      ranked = true;
      mark.style.left = `${100 * loss.quantile}%`;
      words.textContent = rank(loss.quantile);
      mark.classList.toggle("odd", loss.quantile > 0.95);
    }
    document.querySelector("#losses-rank").textContent = ranked ? "among images of the training data" : "(their places among training images: pellucid latents RUN)";
  }

  showHeld(count) {
    const note = document.querySelector("#held-note");
    note.hidden = count === 0;
    note.textContent =
      `${count === 1 ? "One latent is" : `${count} latents are`} held: picture and losses are of the moved code.` +
      (this.state.detector ? " The verdict is of the picture itself." : "");
  }

  showVerdict(verdict) {
    const normal = verdict.verdict === "normal";
    const sure =
      verdict.probability === null
        ? `p-value ${measured(verdict.p_value)}`
        : `probability of being normal: ${percent(verdict.probability)} (at the threshold: ${percent(verdict.threshold_probability)})`;
    const doubts = [...(verdict.known ? ["the detector was fitted with this very image"] : []), ...verdict.cautions];
    this.verdict.className = normal ? "normal" : "anomalous";
    this.verdict.replaceChildren(
      make(
        "div",
        { className: "head" },
        make("p", { className: "word" }, make("span", { "aria-hidden": "true", textContent: normal ? "✓ " : "! " }),
          normal ? "Normal" : "Anomalous", verdict.borderline ? ", borderline" : ""),
        make("p", { className: "sure", textContent: sure }),
        this.#why,
      ),
      make(
        "ul",
        { "aria-label": "The strongest reasons" },
        ...verdict.reasons.map((reason) =>
          make("li", { className: reason.contribution < 0 ? "against" : "for" },
            make("span", { className: "side", title: "what it adds to the mean score of normal pictures" },
              `${reason.contribution < 0 ? "against" : "for"} ${number(reason.contribution, 1)}`),
            ` ${reason.text.replace(/(^|\s)-(?=\d)/g, "$1−")}`),
        ),
      ),
      make("p", { className: "small",
        textContent: "For and against being normal, in log-odds. The reconstruction is one reason: all losses and texture together." }),
      ...(doubts.length ? [make("p", { className: "small", textContent: `Caution: ${doubts.join("; ")}.` })] : []),
    );
  }

  get #why() {
    this.button ??= make("button", { type: "button", id: "ask-why", textContent: "Why?" });
    this.button.onclick = this.onWhy;
    return this.button;
  }

  #noDetector() {
    this.verdict.className = "none";
    this.verdict.replaceChildren(
      make("p", { className: "small" },
        "No verdict: this run has no detector yet. Make one with ",
        make("code", { textContent: `pellucid detector ${this.state.run} --normal A --anomalous B` }), " and start this page again."),
    );
  }

  #drawDifference() {
    if (!this.#seen || !this.#drawn || document.querySelector("#difference-figure").hidden) return;
    const { size } = this.state;
    const shades = new Uint8Array(this.#seen.length);
    for (let at = 0; at < shades.length; at += 3) {
      let sum = 0;
      for (let channel = 0; channel < 3; channel++) sum += Math.abs(this.#seen[at + channel] - this.#drawn[at + channel]);
      const heat = Math.min(1, sum / (3 * 255 * BRIGHTEST));
      shades[at] = 255 * Math.min(1, 1.8 * heat); // black, amber, white
      shades[at + 1] = 255 * Math.min(1, Math.max(0, 1.5 * heat - 0.15));
      shades[at + 2] = 255 * Math.max(0, 2.4 * heat - 1.4);
    }
    this.difference.getContext("2d").putImageData(pixels(shades, size), 0, 0);
  }
}

/** A share in per cent, never rounded up to 100 or down to 0. */
export function percent(share) {
  if (share > 0.999 && share < 1) return "over 99.9 %";
  if (share > 0 && share < 0.001) return "under 0.1 %";
  return `${(100 * share).toFixed(share > 0.99 || share < 0.01 ? 1 : 0)} %`;
}

function rank(quantile) {
  if (quantile <= 0) return "lowest of all";
  if (quantile >= 1) return "higher than all";
  return quantile >= 0.5 ? `higher than ${percent(quantile)}` : `lower than ${percent(1 - quantile)}`;
}
