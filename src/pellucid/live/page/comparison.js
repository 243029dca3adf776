// Two pictures compared: bars of both codes and of the difference, the verdict, A with one latent taken from B.

import { make, number, tile } from "/making.js";
import { pack, refusal, unpack } from "/wire.js";

const LEAST_REACH = 2; // standard deviations that the bars span at least

export class Comparison {
  #a = null;
  #b = null;
  #swap = null;
  #asked = 0;

  /** `onError(text)`. */
  constructor({ onError }) {
    this.onError = onError;
    this.section = document.querySelector("#comparison");
    this.table = document.querySelector("#differences");
    document.querySelector("#clear-comparison").addEventListener("click", () => this.clear());
  }

  build(state) {
    this.state = state;
  }

  /** Take the picture, as the model saw it, for one side. */
  take(side, seen) {
    if (side === "a") this.#a = seen.slice();
    else this.#b = seen.slice();
    this.#swap = null;
    this.section.hidden = false;
    this.#mark();
    if (!this.#b) this.#waiting();
    else this.compare().then(() => this.section.scrollIntoView({ block: "nearest" }));
  }

  /** What is pinned can be seen on the buttons. */
  #mark() {
    document.querySelector("#pin-a").textContent = this.#a ? "A is pinned" : "Pin as A";
    document.querySelector("#pin-a").setAttribute("aria-pressed", String(this.#a !== null));
    document.querySelector("#take-b").disabled = this.#a === null;
  }

  clear() {
    this.#a = this.#b = this.#swap = null;
    this.#asked++;
    this.section.hidden = true;
    this.#mark();
  }

  /** Compare again: a name or a mark has changed, or another latent is swapped. */
  async compare(swap = this.#swap) {
    if (!this.#a || !this.#b) return;
    const asked = ++this.#asked;
    let response;
    try {
      response = await fetch("/compare", { method: "POST", body: pack({ swap }, this.#a, this.#b) });
    } catch {
      this.onError("The server did not answer. The pictures are kept: press Take as B again when it is back.");
      return;
    }
    if (asked !== this.#asked) return;
    if (!response.ok) {
      this.onError(await refusal(response));
      this.#waiting();
      return;
    }
    const { head, body } = unpack(await response.arrayBuffer());
    if (asked !== this.#asked) return;
    this.#swap = swap;
    this.#show(head, body);
  }

  #waiting() {
    this.#pictures([["A", this.#a], ["B", this.#b]]);
    document.querySelector("#comparison-sentence").textContent = this.#b ? "" : "Choose another picture and press Take as B.";
    this.table.hidden = document.querySelector("#comparison-help").hidden = true;
  }

  #pictures(named) {
    const shown = named.filter(([, bytes]) => bytes);
    document.querySelector("#comparison-pictures").replaceChildren(
      ...shown.map(([label, bytes]) =>
        make("figure", {}, tile(bytes, this.state.size, label), make("figcaption", { textContent: label })),
      ),
    );
  }

  #show(record, body) {
    const bytes = body.length / 3;
    const [mixed, a, b] = [0, 1, 2].map((at) => body.subarray(at * bytes, (at + 1) * bytes));
    const swapped = record.differences.find((difference) => difference.latent === record.counterfactual);
    this.#pictures([["A", this.#a], ["B", this.#b], ["A rebuilt", a], ["B rebuilt", b], [`A with B's ${swapped.label}`, mixed]]);
    document.querySelector("#comparison-sentence").textContent = record.sentence;
    const reach = (values) => Math.max(LEAST_REACH, ...values.map(Math.abs));
    const codes = reach(record.differences.flatMap((d) => [d.a, d.b]));
    const changes = reach(record.differences.map((d) => d.population));
    const head = make("thead", {}, make("tr", {}, ...HEADS.map(([text, className]) => make("th", { scope: "col", className, textContent: text }))));
    const rows = record.differences.map((d) => this.#row(d, codes, changes, d.latent === record.counterfactual));
    this.table.replaceChildren(head, make("tbody", {}, ...rows));
    this.table.hidden = document.querySelector("#comparison-help").hidden = false;
  }

  #row(d, codes, changes, swapped) {
    const swap = make("button", {
      type: "button",
      textContent: "swap",
      "aria-pressed": String(swapped),
      "aria-label": `Show A with B's ${d.label}`,
    });
    swap.addEventListener("click", () => this.compare(Number(d.latent.slice(1))));
    const row = make(
      "tr",
      { className: `${d.nuisance ? "nuisance" : ""} ${d.notable ? "notable" : ""}` },
      make("th", { scope: "row", textContent: d.label }),
      make("td", { className: "bars" }, plot([[d.a, "a"], [d.b, "b"]], codes)),
      make("td", { className: "bars" }, plot([[d.population, "change"]], changes)),
      ...[d.raw, d.posterior, d.population].map((value) => make("td", { className: "number", textContent: signed(value) })),
      make("td", {}, swap),
    );
    row.dataset.latent = d.latent;
    return row;
  }
}

const HEADS = [
  ["latent", ""],
  ["codes: A blue, B amber", "bars"],
  ["difference B − A", "bars"],
  ["raw", "number"],
  ["posterior", "number"],
  ["population", "number"],
  ["", ""],
];

function signed(value) {
  return (value > 0 ? "+" : "") + number(value, Math.abs(value) < 100 ? 2 : 0);
}

/** Bars from the middle to both sides. */
function plot(bars, reach) {
  const box = make("span", { className: "plot", "aria-hidden": "true" });
  for (const [value, className] of bars) {
    const bar = make("span", { className });
    const share = 50 * Math.min(1, Math.abs(value) / reach);
    bar.style.left = `${value < 0 ? 50 - share : 50}%`;
    bar.style.width = `${share}%`;
    box.append(bar);
  }
  return box;
}
