// The camera: starts on a click only, tells of every new frame, says what is wrong in words.

const WISHES = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };

export class Camera {
  #stream = null;
  #running = 0;
  video = document.createElement("video");

  /** `onFrame(now)` for each new frame, `onEnd(text)` if the camera goes away by itself. */
  constructor({ onFrame, onEnd }) {
    this.onFrame = onFrame;
    this.onEnd = onEnd;
    this.video.muted = true;
    this.video.playsInline = true;
  }

  get on() {
    return this.#stream !== null;
  }

  /** Start one, or another one. Throws an Error whose message says what to do. */
  async start(device) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error(
        "Browsers give the camera to secure pages only: open this one at 127.0.0.1, or start it with --certfile and --keyfile.",
      );
    }
    let stream;
    try {
      const which = device ? { deviceId: { exact: device } } : { facingMode: "user" };
      stream = await navigator.mediaDevices.getUserMedia({ video: { ...WISHES, ...which }, audio: false });
    } catch (error) {
      throw new Error(inWords(error), { cause: error });
    }
    this.stop();
    this.#stream = stream;
    this.video.srcObject = stream;
    await this.video.play();
    stream.getVideoTracks()[0].addEventListener("ended", () => {
      if (this.#stream !== stream) return;
      this.stop();
      this.onEnd("The camera has gone. Plug it in again and start it, or open a picture.");
    });
    this.#follow(++this.#running);
  }

  stop() {
    this.#running++;
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.video.srcObject = null;
  }

  /** All cameras, once one has been allowed: [{id, label}]. */
  async all() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const cameras = devices.filter((device) => device.kind === "videoinput" && device.deviceId);
    return cameras.map((device, at) => ({ id: device.deviceId, label: device.label || `camera ${at + 1}` }));
  }

  get device() {
    return this.#stream?.getVideoTracks()[0].getSettings().deviceId;
  }

  #follow(run) {
    const next = this.video.requestVideoFrameCallback
      ? (step) => this.video.requestVideoFrameCallback(step)
      : (step) => requestAnimationFrame(step);
    const step = () => {
      if (run !== this.#running) return;
      next(step);
      if (this.video.videoWidth) this.onFrame(performance.now());
    };
    next(step);
  }
}

function inWords(error) {
  const words = {
    NotAllowedError: "The browser did not allow the camera. Allow it beside the address, then start it again; or open a picture.",
    NotFoundError: "There is no camera here. Plug one in and start it again, or open a picture.",
    NotReadableError: "The camera is in use by another program. Close that one and start it again.",
    OverconstrainedError: "That camera is not here any more. Choose another one.",
  };
  return words[error.name] ?? `The camera does not start (${error.message || error.name}). Open a picture instead.`;
}
