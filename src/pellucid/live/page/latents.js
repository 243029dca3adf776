// The latents: a slider for each with the encoder's doubt and the population behind it; take hold of one, or sweep it.

import { make, number } from "/making.js";

const LEAST = -3;
const MOST = 3;
const SWEEP = 4000; // milliseconds there and back
const STEPS = 9; // of a sweep, for people who want no motion
const DOUBT = 2; // standard deviations on each side that the band covers
const MEASURED = { low: -2.326, high: 2.326 }; // 98 % of the prior, for latents that were never measured

export class Latents {
  #rows = [];
  #mean = null;
  #deviation = null;
  #sweep = null;
  held = new Map();

  /** `onHold()` after a value was set or let go by hand, `onChange(latent, change)` to rename or mark one. */
  constructor({ onHold, onChange }) {
    this.onHold = onHold;
    this.onChange = onChange;
    this.active = document.querySelector("#active");
    this.inactive = document.querySelector("#inactive");
    this.resetAll = document.querySelector("#reset-all");
    this.resetAll.addEventListener("click", () => this.release());
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.#stopSweep());
  }

  /** Draw a row for each latent. `order`: strongest first. */
  build(records, order) {
    this.#stopSweep();
    const rows = order.map((latent) => this.#row(records[latent]));
    this.#rows = rows;
    const [active, idle] = [[], []];
    for (const row of rows) (records[row.latent].active === false ? idle : active).push(row.item);
    this.active.replaceChildren(...active);
    this.inactive.replaceChildren(...idle);
    const folded = document.querySelector("#folded");
    folded.hidden = !idle.length;
    folded.querySelector("summary").textContent =
      idle.length === 1 ? "1 latent that does next to nothing" : `${idle.length} latents that do next to nothing`;
    folded.open = folded.open || !active.length;
    this.refresh(records);
    if (this.#mean) this.#draw();
  }

  /** Names, marks and evidence, as they are now. */
  refresh(records) {
    for (const row of this.#rows) row.describe(records[row.latent]);
  }

  /** What the encoder says: means and standard deviations of all latents; drawn now, or with a later picture. */
  take(mean, deviation, draw = true) {
    this.#mean = mean;
    this.#deviation = deviation;
    if (draw) this.#draw();
  }

  #draw() {
    const [mean, deviation] = [this.#mean, this.#deviation];
    this.resetAll.disabled = this.held.size === 0;
    for (const row of this.#rows) row.show(mean[row.latent], deviation[row.latent], this.held.get(row.latent));
  }

  /** The code with what is held: what is decoded. */
  get code() {
    return this.#mean?.map((value, latent) => this.held.get(latent) ?? value);
  }

  get mean() {
    return this.#mean;
  }

  get deviation() {
    return this.#deviation;
  }

  /** Held values as the server wants them. */
  get wanted() {
    return Object.fromEntries(this.held);
  }

  hold(latent, value) {
    this.held.set(latent, value);
    this.#changed();
  }

  /** Let go of one latent, or of all. */
  release(latent = null) {
    this.#stopSweep();
    if (latent === null) this.held.clear();
    else this.held.delete(latent);
    this.#changed();
  }

  #changed() {
    if (this.#mean) this.#draw();
    this.onHold();
  }

  #row(record) {
    const latent = record.index;
    const known = record.low !== null;
    const low = Math.min(LEAST, Math.floor(record.low ?? LEAST));
    const high = Math.max(MOST, Math.ceil(record.high ?? MOST));
    const place = (value) => `${(100 * (Math.min(Math.max(value, low), high) - low)) / (high - low)}%`;
    const bar = (className, from, to) => {
      const element = make("span", { className });
      stretch(element, from, to);
      return element;
    };
    const stretch = (element, from, to) => {
      element.style.left = place(from);
      element.style.right = `calc(100% - ${place(to)})`;
    };
    const population = bar("population", record.low ?? MEASURED.low, record.high ?? MEASURED.high);
    population.classList.toggle("guessed", !known);
    const usual = bar("usual", -(record.deviation ?? 1), record.deviation ?? 1);
    const posterior = bar("posterior", 0, 0);
    const mean = make("span", { className: "mean" });
    const slider = make("input", { type: "range", min: low, max: high, step: 0.01, value: 0, disabled: true });
    // No <output>, which would read out every change: the slider tells its value when it is asked.
    const value = make("span", { className: "value", "aria-hidden": "true" });
    const name = make("button", { type: "button", className: "name" });
    const nuisance = make("button", { type: "button", className: "icon", textContent: "≈", "aria-pressed": "false" });
    const sweep = make("button", { type: "button", className: "icon", textContent: "▷", "aria-pressed": "false", disabled: true });
    const reset = make("button", { type: "button", className: "icon", textContent: "↺", disabled: true });
    const item = make(
      "li",
      { "data-latent": latent },
      name,
      make("span", { className: "track" }, make("span", { className: "bands" }, population, usual, posterior, mean), slider),
      value,
      make("span", { className: "icons" }, reset, sweep, nuisance),
    );
    slider.addEventListener("input", () => {
      if (this.#sweep?.latent !== latent) this.#stopSweep();
      this.hold(latent, slider.valueAsNumber);
    });
    slider.addEventListener("pointerdown", () => this.#stopSweep());
    slider.addEventListener("dblclick", () => this.release(latent));
    reset.addEventListener("click", () => this.release(latent));
    sweep.addEventListener("click", () => this.#toggleSweep(latent, low, high, sweep));
    const row = { latent, item };
    let shown = {};
    row.describe = (now) => {
      row.record = now;
      const label = now.name ?? `z${latent}`;
      name.replaceChildren(label);
      if (now.name) name.append(make("small", { textContent: ` z${latent}` }));
      name.title = [
        now.evidence && now.suggested ? `Suggested: ${now.evidence}.` : "",
        now.kl === null ? "" : `${number(now.kl)} nats.`,
        "Click to rename.",
      ]
        .filter(Boolean)
        .join(" ");
      name.setAttribute("aria-label", `${now.label}${now.suggested ? ", a suggested name" : ""}. Rename`);
      name.classList.toggle("suggested", now.suggested);
      item.classList.toggle("nuisance", now.nuisance);
      nuisance.setAttribute("aria-pressed", String(now.nuisance));
      slider.setAttribute("aria-label", now.label);
      for (const [button, verb] of [
        [reset, `Reset ${now.label}`],
        [sweep, `Sweep ${now.label}`],
        [nuisance, now.nuisance ? `${now.label} is a nuisance: comparisons leave it out` : `Mark ${now.label} as a nuisance`],
      ]) {
        button.setAttribute("aria-label", verb);
        button.title = verb;
      }
    };
    row.show = (encoded, doubt, held) => {
      const shownValue = held ?? encoded;
      // Only what has changed is written: thirty times a second, all of it would be most of the work.
      if (shown.value !== undefined && Math.abs(shown.value - shownValue) < 0.005 && shown.held === (held !== undefined) &&
          Math.abs(shown.encoded - encoded) < 0.005) return;
      shown = { value: shownValue, encoded, held: held !== undefined };
      slider.disabled = sweep.disabled = false;
      slider.valueAsNumber = shownValue;
      value.textContent = number(shownValue);
      reset.disabled = held === undefined;
      item.classList.toggle("held", held !== undefined);
      slider.setAttribute("aria-valuetext", `${number(shownValue)}${held === undefined ? "" : ", held"}`);
      stretch(posterior, encoded - DOUBT * doubt, encoded + DOUBT * doubt);
      mean.style.left = place(encoded);
    };
    name.addEventListener("click", () => this.#rename(row, name));
    nuisance.addEventListener("click", () => this.onChange(latent, { nuisance: !row.record.nuisance }));
    return row;
  }

  #rename(row, button) {
    const field = make("input", {
      type: "text",
      className: "name",
      value: row.record.name ?? "",
      maxLength: 60,
      placeholder: `name of z${row.latent}`,
      "aria-label": `New name of ${row.record.label}. Empty takes the name away`,
    });
    let over = false;
    const end = async (keep) => {
      if (over) return;
      over = true;
      const name = field.value.trim() || null;
      field.replaceWith(button);
      button.focus();
      if (keep && name !== row.record.name) await this.onChange(row.latent, { name });
    };
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") {
        event.preventDefault(); // else it would also press the button that takes the field's place
        end(true);
      }
      if (event.key === "Escape") end(false);
    });
    field.addEventListener("blur", () => end(true));
    button.replaceWith(field);
    field.focus();
    field.select();
  }

  #toggleSweep(latent, low, high, button) {
    const again = this.#sweep?.latent === latent;
    this.#stopSweep();
    if (again) return;
    const before = this.held.get(latent);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const start = performance.now();
    button.setAttribute("aria-pressed", "true");
    button.textContent = "□";
    this.#sweep = { latent, before, button };
    const step = (now) => {
      if (this.#sweep?.button !== button) return;
      const along = ((now - start) % SWEEP) / SWEEP;
      let share = along < 0.5 ? 2 * along : 2 - 2 * along; // up, then down again
      if (calm) share = Math.round(share * (STEPS - 1)) / (STEPS - 1);
      const value = low + share * (high - low);
      if (value !== this.held.get(latent)) this.hold(latent, value);
      if (now - start < SWEEP) requestAnimationFrame(step);
      else this.#stopSweep();
    };
    requestAnimationFrame(step);
  }

  /** Stop, and leave everything as it was before. */
  #stopSweep() {
    const sweep = this.#sweep;
    if (!sweep) return;
    this.#sweep = null;
    sweep.button.setAttribute("aria-pressed", "false");
    sweep.button.textContent = "▷";
    if (sweep.before === undefined) this.held.delete(sweep.latent);
    else this.held.set(sweep.latent, sweep.before);
    this.#changed();
  }
}
