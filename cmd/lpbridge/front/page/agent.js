// The agent's pane: a conversation as the simulator says that an agent sees it.
import { $, Typist, arrange, atEnd, attempt, call, element, sendsOnEnter } from "./common.js";

const listed = 50; // conversations offered, newest first
let current = "";
let all = [];
let drawn = "";
const drafts = new Map();
const typists = new Map();

const post = (id, what, body) => call("POST", `/sim/conversations/${encodeURIComponent(id)}/agent/${what}`, body);

// Who answers on this page has a name and a picture, which consumers are shown.
let agentId;
export const playAs = (id) => {
  agentId = id;
};
const act = (id, what, body = {}) => post(id, what, { agentId, ...body });

function typist(id) {
  if (!typists.has(id)) typists.set(id, new Typist((on) => act(id, "typing", { chatState: on ? "COMPOSING" : "ACTIVE" }).catch(() => {}), 6000, Infinity));
  return typists.get(id);
}

const isOpen = (id) => all.find((c) => c.conversationId === id)?.state === "OPEN";

/** Reads anew what the agent sees; calls that come meanwhile are answered by one more reading. */
let reading = false;
let again = false;
export async function refresh() {
  if (reading) {
    again = true;
    return;
  }
  reading = true;
  try {
    do {
      again = false;
      all = await call("GET", `/sim/conversations?limit=${listed}`);
      follow();
      if (current) show(await call("GET", `/sim/conversations/${encodeURIComponent(current)}`).catch(() => null));
    } while (again);
  } catch {
    // The simulator ends with the page's own address: the stream says when it is back.
  } finally {
    reading = false;
  }
}

// The newest conversation is shown, unless the agent is writing in another one that is open.
let newest = "";
function follow() {
  const [latest] = all;
  if (latest && latest.conversationId !== newest) {
    newest = latest.conversationId;
    if (!$("answer").value || !isOpen(current)) choose(newest);
  }
  if (current && !all.some((c) => c.conversationId === current)) choose(latest?.conversationId ?? "");
  const options = all.map((c) => element("option", { value: c.conversationId, textContent: label(c) }));
  if (!options.length) options.push(element("option", { value: "", textContent: "no conversation" }));
  const labels = options.map((o) => `${o.value} ${o.textContent}`).join("\n");
  if (labels !== follow.labels) $("conversations").replaceChildren(...options);
  follow.labels = labels;
  $("conversations").value = current;
}

const label = (c) => `${c.extConsumerId.slice(0, 20)} · ${stage(c)}${c.consumerTyping && c.state === "OPEN" ? " · typing" : ""}`;

function stage(c) {
  if (c.stage === "CLOSE") return "closed";
  return c.state === "CLOSE" ? "survey" : "open";
}

function choose(id) {
  if (id === current) return;
  if (current) {
    drafts.set(current, $("answer").value);
    typist(current).stop();
  }
  current = id;
  drawn = "";
  $("answer").value = drafts.get(id) ?? "";
}

// How much a receipt says; the most of them counts.
const ranks = { NACK: 1, ACCEPT: 2, READ: 3, ACTION: 4 };
const fields = ["answer", "quick", "card", "picture", "read", "close", "survey"];

function show(c) {
  const open = c?.state === "OPEN";
  for (const id of fields) $(id).disabled = !open;
  $("reply").querySelector("[type=submit]").disabled = !open;
  if (!c) return;
  // Nor does anybody have to be told that the agent's typing is over.
  if (!open) typists.get(c.conversationId)?.sent();
  $("agent-what").textContent = [profile(c), stage(c), c.csat && `rated ${c.csat.csatRate}`, ...(c.surveyAnswers ?? []).map((a) => `${a.questionId}: ${a.text}`)].filter(Boolean).join(" · ");
  // A conversation that is over has nobody typing, whatever was last said of it.
  $("consumer-types").textContent = open && c.agentSees.consumerTyping ? "The consumer is typing…" : "";
  const receipts = new Map();
  for (const r of c.agentSees.receipts) {
    const id = `${r.dialogId} ${r.sequence}`;
    if ((ranks[r.status] ?? 0) >= (ranks[receipts.get(id)] ?? 0)) receipts.set(id, r.status);
  }
  const state = JSON.stringify([c.transcript.map((e) => [e.dialogId, e.sequence]), [...receipts]]);
  if (state === drawn) return;
  const first = drawn === "";
  drawn = state;
  const entries = c.transcript.filter((e) => e.type !== "AcceptStatusEvent").map((e) => {
    const id = `${e.dialogId} ${e.sequence}`;
    return { ...e, id, receipt: receipts.get(id) };
  });
  atEnd($("transcript"), () => arrange($("transcript"), entries, item));
  if (first) $("transcript").scrollTop = $("transcript").scrollHeight;
}

// Who it is, as the bridge told it when it opened the conversation.
function profile(c) {
  const words = [];
  const walk = (v, key) => {
    if (v && typeof v === "object") for (const [k, inner] of Object.entries(v)) walk(inner, k);
    else if (v !== "" && v !== null && ["firstname", "lastname", "firstName", "lastName", "email", "phone"].includes(key)) words.push(String(v));
  };
  walk(c.profile);
  walk(c.context);
  return [...new Set(words)].join(" ") || c.extConsumerId;
}

function item(e) {
  const own = e.role !== "CONSUMER";
  const made = element("li", { className: own ? "own" : "" });
  made.append(element("p", { className: "bubble", textContent: said(e) }));
  const replies = (e.quickReplies?.replies ?? []).map((r) => r.title);
  const status = { ACCEPT: "delivered", READ: "read", NACK: "not shown", ACTION: "chosen from" }[e.receipt];
  const by = [own ? status ?? "sent" : "", replies.length && `offers ${replies.join(", ")}`, new Date(e.time).toLocaleTimeString()].filter(Boolean).join(" · ");
  made.append(element("p", { className: "by", textContent: by }));
  return made;
}

function said(e) {
  if (e.content) return `Card: ${wordsIn(e.content).join(" · ")}`;
  if (e.file) return `File: ${e.file.caption || e.file.relativePath || "without a name"}`;
  return e.text;
}

function wordsIn(e) {
  const own = [e.text, e.title].filter((w) => typeof w === "string");
  return own.concat(...(e.elements ?? []).map(wordsIn));
}

const button = (title, text) => ({ type: "button", title, click: { metadata: [{ type: "ExternalId", id: title }], actions: [{ type: "publishText", text }] } });

function sampleCard() {
  return {
    type: "vertical",
    elements: [
      { type: "image", url: `${location.origin}/sandbox/page/shoes.svg`, tooltip: "Shoes" },
      { type: "text", text: "Running shoes" }, { type: "text", text: "Now at 20 % off" }, button("Blue", "I want blue"), button("Red", "I want red"),
    ],
  };
}

/** A picture, drawn here so that there is one. */
async function samplePicture() {
  const canvas = element("canvas", { width: 320, height: 180 });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#146c3c";
  pen.fillRect(0, 0, 320, 180);
  pen.fillStyle = "#fff";
  pen.font = "44px sans-serif";
  pen.fillText("Our shop", 68, 104);
  return { caption: "Our shop", fileType: "PNG", contentBase64: canvas.toDataURL("image/png").split(",")[1] };
}

async function send(message) {
  if (!current) return;
  const id = current;
  typist(id).sent();
  const titles = $("quick").value.split(",").map((t) => t.trim()).filter(Boolean);
  if (titles.length && !message.file) {
    message.quickReplies = titles;
    $("quick").value = "";
  }
  await attempt(() => act(id, "messages", message));
}

sendsOnEnter($("answer"));
$("answer").addEventListener("input", () => current && typist(current).keys($("answer").value !== ""));
$("conversations").addEventListener("change", () => {
  choose($("conversations").value);
  refresh();
});
$("reply").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("answer").value.trim();
  if (!text) return;
  $("answer").value = "";
  send({ text });
});
$("card").addEventListener("click", () => send({ rich: sampleCard() }));
$("picture").addEventListener("click", async () => send({ file: await samplePicture() }));
$("read").addEventListener("click", () => attempt(() => act(current, "read")));
$("close").addEventListener("click", () => attempt(() => post(current, "close", { survey: false })));
$("survey").addEventListener("click", () => attempt(async () => {
  await act(current, "join").catch(() => {});
  await post(current, "close", { survey: true });
}));
show(null);
