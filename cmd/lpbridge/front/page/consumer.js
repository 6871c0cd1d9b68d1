// The consumer's pane: whichever client it has, it looks and behaves the same.
import { $, Typist, arrange, atEnd, attempt, call, element, kept, sendsOnEnter, uuid } from "./common.js";
import { ChatwootClient } from "./chatwoot.js";
import { LayerClient } from "./layer.js";
import { WebhookClient } from "./webhook.js";

const clients = { webhook: WebhookClient, chatwootapi: ChatwootClient, layer: LayerClient };
const labels = { webhook: "webhook", chatwootapi: "Chatwoot API", layer: "Layer" };
const me = kept.get("consumer") ?? { id: `ana-${uuid().slice(0, 8)}`, name: "Ana" };
kept.set("consumer", me);

let client = null;
let typist = null;
const drafts = {};
const chosen = new Set(kept.get("chosen", []));
const reported = new Set();

export const current = () => client;

/** Offers the channels that are served and opens the one that was last used. */
export async function serve(channels) {
  if ($("channel").options.length) return;
  const offered = channels.filter((c) => clients[c]);
  $("channel").append(...offered.map((c) => element("option", { value: c, textContent: labels[c] })));
  if (!offered.length) {
    $("said").append(element("li", { className: "note", textContent: "No channel is served that this page can be a consumer on. Use your own client." }));
    for (const field of [...$("say").elements, $("end"), $("begin"), $("channel")]) field.disabled = true;
    return;
  }
  const last = kept.get("channel");
  if (offered.includes(last)) $("channel").value = last;
  await choose();
}

async function choose() {
  // A draft stays with its conversation.
  if (client) {
    drafts[client.name] = $("words").value;
    typist.stop();
    client.shut();
  }
  const name = $("channel").value;
  kept.set("channel", name);
  $("words").value = drafts[name] ?? "";
  $("agent-types").textContent = "";
  draw([]);
  const mine = new clients[name](me, {
    messages: (list) => client === mine && draw(list),
    typing: (on, by) => client === mine && showTyping(on, by),
  });
  client = mine;
  typist = new Typist((on) => {
    if (!mine.ready) return;
    // A socket's frames pass the sandbox unseen.
    if (on && name === "layer") tell({ composing: true });
    mine.typing(on);
  });
  $("attach").hidden = !mine.files;
  // What is said meanwhile waits its turn.
  await attempt(() => mine.queue.add(() => mine.open()));
  mine.ready = true;
  if (client !== mine) mine.shut();
}

function showTyping(on, by) {
  const words = on ? `${by ?? "The agent"} is typing…` : "";
  if ($("agent-types").textContent === words) return;
  $("agent-types").textContent = words;
  // The webhook's events pass the sandbox; what comes over a socket only this page sees.
  if (client.name !== "webhook") tell({ typing: on });
}

const tell = (what) => call("POST", "/sandbox/shown", { channel: client.name, ...what }).catch(() => {});

function draw(list) {
  atEnd($("said"), () => arrange($("said"), list, item));
  const unread = list.filter((m) => !m.mine && !m.note && !reported.has(m.id));
  if (!unread.length) return;
  for (const m of unread) {
    reported.add(m.id);
    const plain = m.cards?.length || m.files?.length ? "" : m.text;
    // A card's words, or a file's, are one message of the agent's; what the channel asks
    // by itself is none.
    if (client.name !== "webhook" && !m.channels && (plain || m.cards?.length || m.files?.length)) tell({ typing: false, message: true, text: plain });
  }
  if (document.visibilityState === "visible") client.read(unread).catch(() => {});
}

function item(m) {
  if (m.note) return element("li", { className: "note", textContent: m.note });
  const parts = [];
  if (m.text) parts.push(element("p", { className: "bubble", textContent: m.text }));
  parts.push(...(m.files ?? []).map(file), ...(m.cards ?? []).map((c) => card(m, c)));
  if (m.choices?.length) parts.push(element("div", { className: "choices" }, ...m.choices.map((c) => choice(m, c))));
  const by = m.mine ? m.status ?? "" : m.by ?? "agent";
  const face = !m.mine && m.face && element("img", { className: "face", src: m.face, alt: "" });
  return element("li", { className: m.mine ? "own" : "" }, ...parts, element("p", { className: "by" }, face, `${by} ${new Date(m.time).toLocaleTimeString()}`));
}

function file(f) {
  const opens = { href: f.url, target: "_blank", rel: "noopener" };
  if (f.image) return element("a", { className: "opens", ...opens }, element("img", { className: "shot", src: f.url, alt: f.name }));
  return element("p", { className: "bubble" }, element("a", { ...opens, textContent: f.name }));
}

function card(m, c) {
  const made = element("div", { className: "card" });
  if (c.image) made.append(element("img", { src: c.image, alt: "" }));
  const words = [c.title, c.text].filter(Boolean).join("\n");
  if (words) made.append(element("p", { textContent: words }));
  const buttons = c.buttons.map((b) => (b.choice ? choice(m, b.choice) : link(b))).filter(Boolean);
  if (buttons.length) made.append(element("div", { className: "choices" }, ...buttons));
  return made;
}

const link = (b) => b.href && element("a", { href: b.href, target: "_blank", rel: "noopener", textContent: b.title });

function choice(m, c) {
  const key = `${m.id} ${c.id}`;
  const button = element("button", { type: "button", textContent: c.title });
  button.setAttribute("aria-pressed", String(chosen.has(key)));
  button.addEventListener("click", () => {
    chosen.add(key);
    kept.set("chosen", [...chosen].slice(-200));
    for (const other of button.parentElement.children) other.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", "true");
    attempt(() => client.choose(m, c));
  });
  return button;
}

/** Says something as the consumer, as the form does. */
export async function say(text) {
  typist.sent();
  await attempt(() => client.send(text));
}

$("channel").addEventListener("change", choose);
$("words").addEventListener("input", () => typist?.keys($("words").value !== ""));
sendsOnEnter($("words"));
$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("words").value.trim();
  if (!text) return;
  $("words").value = "";
  say(text);
});
$("file").addEventListener("change", () => {
  const [picture] = $("file").files;
  $("file").value = "";
  if (picture) attempt(() => client.file(picture));
});
$("end").addEventListener("click", () => {
  typist.stop();
  attempt(() => client.close());
});
$("begin").addEventListener("click", () => {
  typist.stop();
  $("words").value = "";
  showTyping(false);
  attempt(() => client.renew());
});
