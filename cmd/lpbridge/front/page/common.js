// What all parts of the page use. Texts come from strangers: they are only ever set
// as textContent.

export const $ = (id) => document.getElementById(id);

/** An element with properties, a class among them, and children. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter(Boolean));
  return made;
}

/** A UUID also where the page was not opened on this machine. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What a server said no with. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** One request. JSON in, JSON out; a refusal is thrown. */
export async function call(method, path, body, headers = {}) {
  const raw = body instanceof FormData;
  const response = await fetch(path, {
    method, headers: body && !raw ? { "Content-Type": "application/json", ...headers } : headers, body: body && (raw ? body : JSON.stringify(body)),
  });
  const text = await response.text();
  let answer;
  try {
    answer = text && JSON.parse(text);
  } catch {
    answer = undefined;
  }
  if (!response.ok) throw new Refusal(response.status, answer?.detail ?? answer?.message ?? answer?.error ?? `${method} ${path}: ${response.status}`);
  return answer;
}

/** Whether somebody who is refused so should come again. */
export const passing = (error) => !(error instanceof Refusal) || error.status >= 500 || error.status === 429;

/** Repeats something that is safe to repeat until the bridge is there again. */
export async function insist(work) {
  for (let wait = 250; ; wait = Math.min(2 * wait, 2000)) {
    try {
      return await work();
    } catch (error) {
      if (!passing(error)) throw error;
      await pause(wait);
    }
  }
}

/** Does one thing after the other, in the order in which they were asked for. */
export class Queue {
  last = Promise.resolve();

  add(work) {
    const done = this.last.then(work);
    this.last = done.catch(() => {});
    return done;
  }
}

/** What a tab remembers when it is loaded anew. */
export const kept = {
  get(key, other) {
    try {
      return JSON.parse(sessionStorage.getItem(key)) ?? other;
    } catch {
      return other;
    }
  },
  set(key, value) {
    sessionStorage.setItem(key, JSON.stringify(value));
  },
};

/** A typist says that somebody types while they do, and that they stopped. */
export class Typist {
  on = false;
  timer = 0;
  again = 0;

  constructor(say, idle = 6000, repeat = 10_000) {
    Object.assign(this, { say, idle, repeat });
  }

  keys(some) {
    clearTimeout(this.timer);
    if (!some) return this.stop();
    this.timer = setTimeout(() => this.stop(), this.idle);
    if (this.on && Date.now() - this.again < this.repeat) return;
    this.on = true;
    this.again = Date.now();
    this.say(true);
  }

  stop() {
    clearTimeout(this.timer);
    if (!this.on) return;
    this.on = false;
    this.say(false);
  }

  /** A message says itself that nobody types any more. */
  sent() {
    clearTimeout(this.timer);
    this.on = false;
  }
}

export function showError(error) {
  $("error").textContent = error ? error.message : "";
  clearTimeout(showError.timer);
  if (error) showError.timer = setTimeout(() => showError(), 8000);
}

/** Runs something a person asked for and says why it failed, if it did. */
export async function attempt(work) {
  try {
    const result = await work();
    return result;
  } catch (error) {
    showError(error);
    return undefined;
  }
}

/** Keeps a list that is read at its end at its end, also when its pictures come. */
export function atEnd(box, change) {
  const was = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  change();
  const down = () => {
    if (was) box.scrollTop = box.scrollHeight;
  };
  down();
  for (const picture of box.querySelectorAll("img")) if (!picture.complete) picture.addEventListener("load", down, { once: true });
}

/** Makes a list show things that have ids, and leaves alone what shows them already:
 * whoever has the focus keeps it, and readers hear only what is new. */
export function arrange(box, things, draw) {
  const before = box.drawn ?? new Map();
  const after = new Map();
  for (const thing of things) {
    const state = JSON.stringify(thing);
    const known = before.get(thing.id);
    after.set(thing.id, { state, node: known?.state === state ? known.node : draw(thing) });
  }
  const nodes = [...after.values()].map((shown) => shown.node);
  const kept = new Set(nodes);
  for (const node of [...box.children]) if (!kept.has(node)) node.remove();
  nodes.forEach((node, i) => {
    if (box.children[i] !== node) box.insertBefore(node, box.children[i] ?? null);
  });
  box.drawn = after;
}

export function sendsOnEnter(area) {
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    area.form.requestSubmit();
  });
}
