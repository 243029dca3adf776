// The line to the server. One message is under way at a time; of what is asked meanwhile, the newest is kept.

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const LONGEST_WAIT = 4000; // milliseconds between attempts to reach the server again
const PATIENCE = 4000; // milliseconds for an answer, after which the server counts as silent

/** uint32 length of the head, the head as JSON, then raw bytes. */
export function pack(head, ...bodies) {
  const text = encoder.encode(JSON.stringify(head));
  const size = bodies.reduce((sum, body) => sum + body.length, 0);
  const message = new Uint8Array(4 + text.length + size);
  new DataView(message.buffer).setUint32(0, text.length, true);
  message.set(text, 4);
  let at = 4 + text.length;
  for (const body of bodies) {
    message.set(body, at);
    at += body.length;
  }
  return message;
}

/** The head and the bytes behind it. */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(decoder.decode(new Uint8Array(buffer, 4, length)));
  return { head, body: new Uint8Array(buffer, 4 + length) };
}

/** What the server says of an answer that is no success, in one line. */
export async function refusal(response) {
  try {
    return (await response.json()).error.replace(/^the image: /, "") || response.statusText;
  } catch {
    return `The server answers ${response.status} ${response.statusText}.`;
  }
}

/** The stream of pictures and answers. `onAnswer(head, body, asked)`, `onState("open" | "silent" | "lost" | "refused")`. */
export class Wire {
  #socket = null;
  #underway = null; // {number, asked} of the message that has no answer yet
  #look = null; // newest wishes, as functions that make the message when it can be sent
  #move = null;
  #number = 0;
  #wait = 250;
  #patience = null; // the timer of the message that is under way
  #silent = false;
  #lost = false;

  constructor({ onAnswer, onState }) {
    this.onAnswer = onAnswer;
    this.onState = onState;
    this.#connect();
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Whether the server is there and answers, as far as is known. */
  get answering() {
    return !this.#lost && !this.#silent;
  }

  /** Whether a message sent now would leave at once. */
  get idle() {
    return this.open && !this.#underway;
  }

  /** Ask for a picture to be looked at; `make()` gives [head, body] or null. It makes earlier wishes void. */
  look(make) {
    this.#look = make;
    this.#move = null;
    this.#send();
  }

  /** Ask for a code to be decoded, after the picture that is still to be looked at, if there is one. */
  move(make) {
    if (!this.#look) this.#move = make;
    this.#send();
  }

  #send() {
    if (!this.idle) return;
    const make = this.#look ?? this.#move;
    if (this.#look) this.#look = null;
    else this.#move = null;
    const message = make?.();
    if (!message) return;
    const [head, body, asked] = message;
    const number = ++this.#number;
    this.#underway = { number, asked: asked ?? performance.now() };
    this.#socket.send(pack({ ...head, number }, body ?? new Uint8Array(0)));
    this.#patience = setTimeout(() => {
      this.#silent = true;
      this.onState("silent");
    }, PATIENCE);
  }

  #answered() {
    clearTimeout(this.#patience);
    this.#underway = null;
    const silent = this.#silent;
    this.#silent = false;
    if (silent && !this.#lost) this.onState("open");
  }

  #connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/stream`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => {
      this.#wait = 250;
      this.#lost = false;
      this.onState("open");
      this.#send();
    };
    socket.onmessage = (event) => {
      const { head, body } = unpack(event.data);
      const underway = this.#underway;
      if (underway && head.number === underway.number) this.#answered();
      this.onAnswer(head, body, underway?.asked ?? performance.now());
      this.#send();
    };
    socket.onclose = async () => {
      this.#lost = true;
      this.#answered();
      this.onState((await reachable()) ? "refused" : "lost");
      setTimeout(() => this.#connect(), this.#wait);
      this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
    };
  }
}

/** Whether a server answers there at all, if only to refuse: it has been started anew, with another token. */
async function reachable() {
  try {
    return (await fetch("/state", { method: "HEAD" })).status === 403;
  } catch {
    return false;
  }
}
