// What belongs to what: pictures go to the server, its answers to the panels, what a person does to either.

import { Answer } from "/answer.js";
import { Camera } from "/camera.js";
import { Comparison } from "/comparison.js";
import { cropped } from "/crop.js";
import { readState, record, savePicture, saveState } from "/keeping.js";
import { Latents } from "/latents.js";
import { fromBase64, make, number, pixels } from "/making.js";
import { Guide, Stage } from "/stage.js";
import { refusal, Wire } from "/wire.js";

const JUDGED = 400; // milliseconds between verdicts of a live picture: faster than anyone reads
const DRAWN = 90; // milliseconds between drawings of all sliders of a live picture; the reconstruction is drawn each time
const SPOKEN = 5000; // milliseconds between verdicts read out by a screen reader
const KEPT = 600; // measured frames
const UNANSWERED = "The server does not answer, so nothing new is drawn or judged. What you do is kept for when it is back.";
const LINKS = {
  open: "Connected",
  silent: "The server has not answered for some seconds. If that goes on, stop it and start it again.",
  lost: "The server does not answer. Start it again and open the address that it prints; then this page goes on, too.",
  refused: "The server was started anew. Open the address that it printed; then this page goes on, too.",
};

const find = (selector) => document.querySelector(selector);
let state = null;
let wire = null;
let source = null; // {kind: "picture", id} | {kind: "pixels", size, bytes} | {kind: "camera"} | {kind: "still"}
let shelf = null;
let latest = { losses: null, verdict: null };
let judged = 0;
let scoring = null; // the timer that asks for numbers once a slider rests
let looked = 0; // number of the newest picture that was answered
let drawn = 0;
let spoken = 0;
let answered = []; // when the last frames were answered, and how long each took
let guided = false; // whether a person has chosen the guide

const camera = new Camera({ onFrame, onEnd: (text) => (endCamera(), say(text)) });
const stage = new Stage(find("#view"), { onMove: moved, onCapture: capture });
const guide = new Guide(find("#guide"));
const latents = new Latents({ onHold: hold, onChange: change });
const answer = new Answer({ onWhy: explain });
const comparison = new Comparison({ onError: say });

// ---- asking the server

function message(judge, asked) {
  const held = latents.wanted;
  if (source.kind === "picture" && !stage.moved) return [{ kind: "picture", id: source.id, held, judge }, null, asked];
  if (source.kind === "pixels" && !stage.moved) {
    return [{ kind: "frame", side: source.size, held, judge }, source.bytes, asked];
  }
  const filmed = source.kind === "camera" || source.kind === "still"; // what was opened comes as the model's window shows it
  return [{ kind: "frame", side: state.frame_side, camera: filmed, held, judge }, stage.grab(state.frame_side), asked];
}

/** Have the picture looked at as it lies now. */
function look() {
  if (!source || !wire) return;
  wire.look(() => message(true));
  sayIfUnanswered();
}

/** What is asked of a server that does not answer is kept until it does, and said to be. */
function sayIfUnanswered() {
  if (!wire.answering) say(UNANSWERED);
}

function onFrame(now) {
  if (source?.kind !== "camera") return;
  const { videoWidth: width, videoHeight: height } = camera.video;
  if (stage.empty || !camera.shown || camera.shown !== `${width}x${height}`) {
    camera.shown = `${width}x${height}`;
    stage.show({ drawable: camera.video, width, height, box: cropped(state.crop, width, height), mirror: true });
    showMirror();
  }
  wire.look(() => {
    const judge = now - judged > JUDGED;
    if (judge) judged = now;
    return message(judge, now);
  });
  stage.draw(); // while the server is at work
}

function moved() {
  showMirror();
  if (source?.kind !== "camera") look();
}

function hold() {
  answer.showHeld(latents.held.size);
  if (!latents.code || !wire) return;
  if (source?.kind === "camera") return;
  const now = performance.now();
  move(now - judged > JUDGED, now);
  sayIfUnanswered();
  clearTimeout(scoring);
  scoring = setTimeout(() => move(true), JUDGED);
}

function move(judge, asked) {
  if (judge) judged = performance.now();
  if (source?.kind !== "camera") wire.move(() => [{ kind: "move", z: latents.code, judge }, null, asked]);
}

// ---- answers of the server

function onAnswer(head, body, asked) {
  if (head.kind === "refused") {
    if (source?.kind === "picture" && answer.seen) keepSeen();
    else say(head.error);
    return;
  }
  if (head.kind === "judged") {
    if (head.number >= looked) showJudged(head);
    return;
  }
  looked = head.number;
  const bytes = 3 * state.size ** 2;
  const seen = head.kind === "seen" ? body.subarray(0, bytes) : null;
  answer.show(seen, body.subarray(body.length - bytes));
  note(seen ? "frame" : "move", asked);
  if (source?.kind === "camera") pace(asked);
  if (!seen) return;
  const now = performance.now();
  const draw = source?.kind !== "camera" || now - drawn > DRAWN;
  if (draw) drawn = now;
  latents.take(head.mean, head.deviation, draw);
  answer.showHeld(latents.held.size);
}

/** The numbers of the newest picture; a verdict only if it was looked at anew. */
function showJudged({ losses, verdict }) {
  latest.losses = losses;
  answer.showLosses(losses);
  if (verdict) {
    latest.verdict = verdict;
    answer.showVerdict(verdict);
    announce(verdict.sentence, performance.now());
  }
  for (const name of ["#pin-a", "#save-picture", "#save-state"]) find(name).disabled = false;
}

/** Tell a screen reader, now and then while the picture is live. */
function announce(text, now) {
  if (source?.kind === "camera" && now - spoken < SPOKEN) return;
  spoken = now;
  if (find("#spoken").textContent !== text) find("#spoken").textContent = text;
}

/** Keep how long it took from a frame, or a slider, to the painted reconstruction: benchmarks read it. */
function note(kind, asked) {
  performance.measure(kind, { start: asked, end: performance.now() });
  if (performance.getEntriesByName(kind).length > KEPT) performance.clearMeasures(kind);
}

/** Say frames a second and milliseconds from a frame to its painted reconstruction. */
function pace(asked) {
  const now = performance.now();
  answered = answered.filter(([at]) => now - at < 1000);
  answered.push([now, now - asked]);
  const delays = answered.map(([, delay]) => delay).sort((a, b) => a - b);
  if (answered.length % 8 === 0) {
    find("#pace").textContent =
      `${answered.length} frames a second, ${number(delays[delays.length >> 1], 0)} ms from a frame to its reconstruction`;
  }
}

function onState(link) {
  const status = find("#link");
  const before = status.dataset.state;
  if (before === link) return;
  status.textContent = LINKS[link];
  status.dataset.state = link;
  document.body.classList.toggle("stale", link !== "open");
  if (link !== "open") return;
  if (find("#notice p").textContent === UNANSWERED) quiet();
  if (before === "lost" || before === "refused") comeBack();
}

/** The server is back: take what has changed meanwhile, and go on with the picture at hand. */
async function comeBack() {
  const now = await fetchState();
  if (!now) return;
  if (now.fingerprint !== state.fingerprint) location.reload();
  takeRecords(now.latents);
  if (source?.kind === "picture" && source.id >= state.shelf.names.length && answer.seen) keepSeen();
  else look();
}

/** A server that has forgotten an opened picture gets what it saw of it. */
function keepSeen() {
  source = { kind: "pixels", size: state.size, bytes: answer.seen };
  look();
}

// ---- pictures

function choose(next, shown) {
  endCamera();
  source = next;
  for (const [id, button] of [...find("#shelf").children].entries()) {
    button.setAttribute("aria-current", String(next.kind === "picture" && next.id === id));
  }
  latents.held.clear();
  answer.showHeld(0);
  find("#hint").hidden = true;
  stage.show(shown);
  showMirror();
  quiet();
  look();
}

async function open(file) {
  if (!file) return;
  if (file.name?.endsWith(".json") || file.type === "application/json") {
    await loadState(file);
    return;
  }
  if (file.size > state.upload_bytes) {
    say(`${file.name || "The picture"} is larger than ${state.upload_bytes / 1e6} MB. Save it smaller.`);
    return;
  }
  try {
    const response = await fetch("/pictures", { method: "POST", body: file });
    if (!response.ok) {
      say(`${file.name || "The picture"}: ${await refusal(response)}`);
      return;
    }
    const taken = await response.json();
    const drawable = await createImageBitmap(new Blob([fromBase64(taken.data)], { type: taken.type }));
    choose({ kind: "picture", id: taken.id }, { drawable, width: drawable.width, height: drawable.height, box: taken.box });
    if (!taken.exact) {
      if (!guided) showGuide("outline");
      say("Its proportions are not those of the training images: move it until it fits the guide.");
    }
    find("#view").focus({ preventScroll: true });
  } catch (error) {
    say(`${file.name || "The picture"} could not be sent (${error.message}). Try again.`);
  }
}

async function loadState(file) {
  try {
    const kept = await readState(file, state);
    const drawable = await createImageBitmap(pixels(kept.pixels, kept.size));
    const whole = { drawable, width: kept.size, height: kept.size, box: [0, 0, 1, 1] };
    choose({ kind: "pixels", size: kept.size, bytes: kept.pixels }, whole);
    for (const [latent, value] of kept.held) latents.held.set(latent, value);
    answer.showHeld(latents.held.size);
    look();
    if (!kept.own) say("This state is of another model: its picture is shown, its latents are not.");
  } catch (error) {
    say(error.message);
  }
}

async function buildShelf() {
  const { names } = state.shelf;
  if (!names.length) {
    find("#shelf-head").hidden = true;
    return;
  }
  if (!state.shelf.own) find("#shelf-head").textContent = "Built-in pictures";
  shelf = await createImageBitmap(await (await fetch("/shelf.png")).blob());
  const { size } = state;
  find("#shelf").replaceChildren(
    ...names.map((name, id) => {
      const canvas = make("canvas", { width: size, height: size });
      canvas.getContext("2d").drawImage(shelf, id * size, 0, size, size, 0, 0, size, size);
      const button = make("button", { type: "button", title: name, "aria-label": `Sample ${name}` }, canvas);
      button.addEventListener("click", () => sample(id));
      return button;
    }),
  );
  sample(0);
}

async function sample(id) {
  const { size } = state;
  const drawable = await createImageBitmap(shelf, id * size, 0, size, size);
  choose({ kind: "picture", id }, { drawable, width: size, height: size, box: [0, 0, 1, 1] });
}

// ---- the camera

async function startCamera(device) {
  try {
    await camera.start(device);
  } catch (error) {
    say(error.message);
    return;
  }
  quiet();
  camera.shown = null;
  source = { kind: "camera" };
  if (!guided) showGuide("outline");
  find("#hint").hidden = true;
  showCamera();
  sayIfUnanswered();
  const cameras = await camera.all();
  find("#camera-choice").hidden = cameras.length < 2;
  find("#cameras").replaceChildren(
    ...cameras.map(({ id, label }) => make("option", { value: id, textContent: label, selected: id === camera.device })),
  );
}

function endCamera() {
  if (!camera.on) return;
  camera.stop();
  find("#camera-choice").hidden = true;
  showCamera();
}

/** Freeze the live picture, or go live again. */
async function capture() {
  if (!camera.on) return;
  if (source.kind === "camera") {
    const { videoWidth: width, videoHeight: height } = camera.video;
    const drawable = await createImageBitmap(camera.video);
    source = { kind: "still" };
    stage.show({ drawable, width, height, box: cropped(state.crop, width, height), mirror: true }, true);
    look();
  } else {
    source = { kind: "camera" };
    camera.shown = null;
  }
  showCamera();
}

function showCamera() {
  const live = source?.kind === "camera" && camera.on;
  find("#capture").hidden = !camera.on;
  find("#capture").textContent = live ? "Capture" : "Go live";
  find("#camera").textContent = camera.on ? "Stop camera" : "Start camera";
  find("#camera").classList.toggle("primary", !camera.on);
  find("#pace").hidden = !live;
  find("#stage").classList.toggle("live", live);
  if (!live) answered = [];
}

function showMirror() {
  find('[data-align="mirror"]').setAttribute("aria-pressed", String(stage.mirrored));
}

function showGuide(kind) {
  find("#guides").value = kind;
  guide.show(kind);
}

// ---- names, reasons, messages

function takeRecords(records) {
  const before = state.latents.map((latent) => latent.active);
  state.latents = records;
  if (records.some((latent, at) => latent.active !== before[at])) latents.build(records, state.order);
  else latents.refresh(records);
}

async function change(latent, what) {
  try {
    const response = await fetch("/latents", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ latent, ...what }),
    });
    if (!response.ok) {
      say(await refusal(response));
      return;
    }
    takeRecords((await response.json()).latents);
    quiet();
    comparison.compare();
    look();
  } catch {
    say("The server did not answer, so nothing was changed. Try again when it is back.");
  }
}

async function explain() {
  const dialog = find("#why");
  const figure = find("#why-figure");
  figure.hidden = true;
  find("#why-working").hidden = false;
  find("#why-working").textContent = "Looking for every reason …";
  dialog.showModal();
  try {
    const response = await fetch("/explain", { method: "POST", body: answer.seen });
    if (!response.ok) throw new Error(await refusal(response));
    URL.revokeObjectURL(figure.src);
    figure.src = URL.createObjectURL(await response.blob());
    figure.alt = latest.verdict?.sentence ?? "Every reason for the verdict";
    figure.hidden = false;
    find("#why-working").hidden = true;
  } catch (error) {
    find("#why-working").textContent = `No explanation: ${wire.answering ? error.message : UNANSWERED}`;
  }
}

function say(text) {
  if (!find("#notice").hidden && find("#notice p").textContent === text) return; // else it would be read out again
  find("#notice p").textContent = text;
  find("#notice").hidden = false;
}

function quiet() {
  find("#notice").hidden = true;
}

function kept() {
  return { state, seen: answer.seen, latents, ...latest };
}

// ---- the beginning

async function fetchState() {
  try {
    const response = await fetch("/state");
    if (response.ok) return await response.json();
    say(await refusal(response));
  } catch {
    say("The server does not answer. Start it again: pellucid live …");
  }
  return null;
}

function listen() {
  find("#camera").addEventListener("click", () => (camera.on ? stopCamera() : startCamera()));
  find("#capture").addEventListener("click", capture);
  find("#cameras").addEventListener("change", (event) => startCamera(event.target.value));
  find("#guides").addEventListener("change", (event) => {
    guided = true;
    guide.show(event.target.value);
  });
  for (const button of document.querySelectorAll("[data-align]")) {
    button.addEventListener("click", () => stage.align(button.dataset.align));
  }
  find("#pin-a").addEventListener("click", () => comparison.take("a", answer.seen));
  find("#take-b").addEventListener("click", () => comparison.take("b", answer.seen));
  find("#save-state").addEventListener("click", () => saveState(record(kept())));
  find("#save-picture").addEventListener("click", () =>
    savePicture({ ...kept(), view: find("#view"), guide: find("#guide"), answer }),
  );
  find("#why-close").addEventListener("click", () => find("#why").close());
  find("#notice button").addEventListener("click", quiet);
  for (const [field, take] of [["#open", open], ["#load-state", loadState]]) {
    find(field).addEventListener("change", async (event) => {
      await take(event.target.files[0]);
      event.target.value = ""; // so that the same file can be chosen again
    });
  }
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    open(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) open(files[0]);
  });
}

/** Stop the camera, and keep its last picture to work on. */
async function stopCamera() {
  if (source.kind === "camera") await capture();
  endCamera();
}

async function start() {
  state = await fetchState();
  if (!state) {
    find("#link").textContent = "Not connected";
    setTimeout(start, 2000);
    return;
  }
  quiet();
  document.title = `${state.run} · Pellucid live`;
  find("#run").textContent = state.run;
  find("#about").textContent = state.about;
  answer.build(state);
  comparison.build(state);
  latents.build(state.latents, state.order);
  for (const name of ["#pin-a", "#take-b"]) {
    find(name).hidden = state.comparable !== null;
    find(name).title = state.comparable ?? "";
  }
  listen();
  wire = new Wire({ onAnswer, onState });
  const average = await createImageBitmap(await (await fetch("/mean.png")).blob());
  guide.set({ lines: state.overlay.lines, average });
  await buildShelf();
}

start();
