// The picture on the left: where it lies in the square that the model sees, moved by mouse, touch and keys.

const SMALLEST = 1 / 30; // of the square at first, when zoomed in
const LARGEST = 6;
const STEP = 0.02; // of the square, for an arrow key
const TURN = Math.PI / 90;
const ZOOM = 1.06;
const COARSE = 2; // pixels of the picture to one of the square
const SHARPEST = 2; // device pixels a CSS pixel at most

export class Stage {
  #source = null;
  #view = null;
  #pointers = new Map();
  #grabber = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

  /** `onMove()` is called after the picture has been moved by hand. */
  constructor(canvas, { onMove, onCapture }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.onMove = onMove;
    this.moved = false;
    this.#listen(onCapture);
    new ResizeObserver(() => this.#fit()).observe(canvas);
    this.#fit();
  }

  get empty() {
    return this.#source === null;
  }

  get mirrored() {
    return this.#view?.mirror ?? false;
  }

  /** Show `drawable` of so many pixels; `box` is [left, top, right, bottom] in shares of it. `keep`: as the last one lay. */
  show({ drawable, width, height, box, mirror = false }, keep = false) {
    const same = keep && this.#source?.width === width && this.#source?.height === height;
    this.#source = { drawable, width, height, box, mirror };
    if (!same) this.again();
    this.draw();
  }

  /** Lay the picture as at first. */
  again() {
    const { width, height, box, mirror } = this.#source;
    const [left, top, right, bottom] = box;
    this.#view = {
      x: (width * (left + right)) / 2,
      y: (height * (top + bottom)) / 2,
      width: width * (right - left),
      height: height * (bottom - top),
      angle: 0,
      mirror,
    };
    this.moved = false;
  }

  draw() {
    if (!this.#source) return;
    this.#paint(this.context, this.canvas.width);
  }

  /** RGB bytes of the square, `side` pixels wide. */
  grab(side) {
    const context = this.#grabber;
    if (context.canvas.width !== side) context.canvas.width = context.canvas.height = side;
    this.#paint(context, side);
    const rgba = context.getImageData(0, 0, side, side).data;
    const rgb = new Uint8Array(3 * side * side);
    for (let from = 0, to = 0; to < rgb.length; from += 4) {
      rgb[to++] = rgba[from];
      rgb[to++] = rgba[from + 1];
      rgb[to++] = rgba[from + 2];
    }
    return rgb;
  }

  /** Align by name, as the buttons do. */
  align(how) {
    if (!this.#source) return;
    if (how === "closer") this.#change({ zoom: ZOOM ** 2 });
    if (how === "farther") this.#change({ zoom: ZOOM ** -2 });
    if (how === "left") this.#change({ turn: -TURN });
    if (how === "right") this.#change({ turn: TURN });
    if (how === "mirror") {
      this.#view.mirror = !this.#view.mirror;
      this.#done(true);
    }
    if (how === "again") {
      this.again();
      this.#done(false);
    }
  }

  #paint(context, side) {
    const { drawable, width, height } = this.#source;
    const view = this.#view;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, side, side);
    // The best quality costs milliseconds for each frame, and shows only where many pixels become one.
    context.imageSmoothingQuality = view.height > COARSE * side ? "high" : "low";
    context.translate(side / 2, side / 2);
    context.scale((view.mirror ? -side : side) / view.width, side / view.height);
    context.rotate(-view.angle);
    context.translate(-view.x, -view.y);
    context.drawImage(drawable, 0, 0, width, height);
  }

  /** The picture's point under a point of the square, in shares from its middle. */
  #under(u, v) {
    const { x, y, width, height, angle, mirror } = this.#view;
    const [a, b] = [u * width * (mirror ? -1 : 1), v * height];
    return [x + a * Math.cos(angle) - b * Math.sin(angle), y + a * Math.sin(angle) + b * Math.cos(angle)];
  }

  /** Move by shares of the square, zoom and turn about the point (u, v) of it. */
  #change({ right = 0, down = 0, zoom = 1, turn = 0, u = 0, v = 0 }) {
    const view = this.#view;
    const [left, top, , bottom] = this.#source.box;
    const first = this.#source.height * (bottom - top);
    const bounded = Math.min(Math.max(view.height / zoom, first * SMALLEST), first * LARGEST) / view.height;
    const before = this.#under(u - right, v - down);
    view.width *= bounded;
    view.height *= bounded;
    view.angle -= view.mirror ? -turn : turn;
    const after = this.#under(u, v);
    view.x += before[0] - after[0];
    view.y += before[1] - after[1];
    this.#done(true);
  }

  #done(moved) {
    this.moved = moved;
    this.draw();
    this.onMove();
  }

  #fit() {
    const side = Math.round(this.canvas.clientWidth * Math.min(devicePixelRatio || 1, SHARPEST));
    if (side && this.canvas.width !== side) {
      this.canvas.width = this.canvas.height = side;
      this.draw();
    }
  }

  #place(event) {
    const area = this.canvas.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width - 0.5, (event.clientY - area.top) / area.height - 0.5];
  }

  #listen(onCapture) {
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.#source) return;
      canvas.setPointerCapture(event.pointerId);
      this.#pointers.set(event.pointerId, this.#place(event));
    });
    canvas.addEventListener("pointermove", (event) => this.#drag(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.#pointers.delete(event.pointerId));
    }
    canvas.addEventListener(
      "wheel",
      (event) => {
        if (!this.#source) return;
        event.preventDefault();
        const [u, v] = this.#place(event);
        this.#change({ zoom: ZOOM ** Math.max(-3, Math.min(3, -event.deltaY / 40)), u, v });
      },
      { passive: false },
    );
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === " ") {
        event.preventDefault();
        onCapture();
        return;
      }
      if (!this.#source) return;
      const far = event.shiftKey ? 5 * STEP : STEP;
      const moves = {
        ArrowLeft: { right: -far },
        ArrowRight: { right: far },
        ArrowUp: { down: -far },
        ArrowDown: { down: far },
      };
      const names = { "+": "closer", "=": "closer", "-": "farther", "[": "left", "]": "right", m: "mirror", 0: "again" };
      if (moves[event.key]) this.#change(moves[event.key]);
      else if (names[event.key]) this.align(names[event.key]);
      else return;
      event.preventDefault();
    });
  }

  #drag(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before || !this.#source) return;
    const now = this.#place(event);
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.#pointers.set(event.pointerId, now);
    if (!other) {
      this.#change({ right: now[0] - before[0], down: now[1] - before[1] });
      return;
    }
    const [old, fresh] = [before, now].map(([u, v]) => ({
      length: Math.hypot(u - other[0], v - other[1]),
      angle: Math.atan2(v - other[1], u - other[0]),
    }));
    if (old.length < 0.02 || fresh.length < 0.02) return;
    this.#change({ zoom: fresh.length / old.length, turn: fresh.angle - old.angle, u: other[0], v: other[1] });
  }
}

/** The guide over the picture: the outlines of the model's average picture, or that picture itself. */
export class Guide {
  #lines = [];
  #average = null;
  kind = "none";

  constructor(canvas) {
    this.canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  set({ lines, average }) {
    this.#lines = lines;
    this.#average = average;
    this.draw();
  }

  show(kind) {
    this.kind = kind;
    this.draw();
  }

  draw() {
    const side = Math.round(this.canvas.clientWidth * Math.min(devicePixelRatio || 1, SHARPEST));
    if (!side) return;
    this.canvas.width = this.canvas.height = side; // also clears
    const context = this.canvas.getContext("2d");
    if (this.kind === "average" && this.#average) {
      context.globalAlpha = 0.45;
      context.drawImage(this.#average, 0, 0, side, side);
    }
    if (this.kind !== "outline") return;
    context.lineJoin = context.lineCap = "round";
    for (const [color, width] of [["rgba(0, 0, 0, .55)", side / 110], ["#ffe08a", side / 260]]) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.beginPath();
      for (const line of this.#lines) {
        for (let at = 0; at < line.length; at += 2) {
          const point = [line[at] * side, line[at + 1] * side];
          if (at === 0) context.moveTo(...point);
          else context.lineTo(...point);
        }
      }
      context.stroke();
    }
  }
}
