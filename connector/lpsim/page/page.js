// The agent's page. It shows what /sim/conversations says and reads it again when /sim/events tells of a change.
// Texts come from strangers: they are only ever set as textContent.

const $ = (id) => document.getElementById(id);
const quickKnobs = ["errorRate", "throttleRate", "lostAnswerRate", "latencyMinMs", "latencyMaxMs", "webhookDuplicateRate", "webhookReorderRate", "webhookEarlyRate"];
const listed = 200; // conversations shown, newest first
const idle = 3000; // ms without a key after which the agent no longer types

let current = location.hash.slice(1); // the chosen conversation is part of the address, so that it can be linked to
let shown = null;
let typing = false;
let typingTimer = 0;
let faults = {};

async function call(method, path, body) {
  const response = await fetch(path, { method, headers: body ? { "Content-Type": "application/json" } : {}, body: body && JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? response.statusText);
  return answer;
}

// attempt runs something an agent asked for and shows why it failed, if it did.
async function attempt(work) {
  try {
    const result = await work();
    $("error").textContent = "";
    return result;
  } catch (error) {
    $("error").textContent = error.message;
    return undefined;
  }
}

const agent = (action, body = {}) => call("POST", `sim/conversations/${encodeURIComponent(current)}/agent/${action}`, body);

function clone(id) {
  return $(id).content.firstElementChild.cloneNode(true);
}

function showList(list) {
  $("none").hidden = list.length > 0;
  const focused = document.activeElement?.closest("#list li")?.dataset.id;
  $("list").replaceChildren(...list.map(listItem));
  if (focused) $("list").querySelector(`li[data-id="${CSS.escape(focused)}"] button`)?.focus();
}

function listItem(c) {
  const item = clone("item");
  const button = item.querySelector("button");
  item.dataset.id = c.conversationId;
  item.querySelector("strong").textContent = c.extConsumerId;
  item.querySelector(".last").textContent = c.consumerTyping && c.state === "OPEN" ? "is typing…" : c.lastText ?? "";
  item.querySelector("small").textContent = `${stageOf(c)} · ${new Date(c.updateTime).toLocaleTimeString()}${c.foreign ? " · another connector" : ""}`;
  button.setAttribute("aria-current", String(c.conversationId === current));
  button.addEventListener("click", () => choose(c.conversationId));
  return item;
}

function stageOf(c) {
  if (c.stage === "CLOSE") return "closed";
  return c.state === "CLOSE" ? "in survey" : "open";
}

async function choose(id) {
  if (id === current) return;
  await stopTyping();
  current = id;
  shown = null;
  history.replaceState(null, "", `#${id}`);
  await refresh();
  $("text").focus();
}

function showConversation(c) {
  const open = c.state === "OPEN";
  const assigned = c.participants.find((p) => p.role === "ASSIGNED_AGENT" && p.state === "ACTIVE");
  $("chat").hidden = false;
  $("choose").hidden = true;
  $("who").textContent = c.extConsumerId;
  $("what").textContent = `${stageOf(c)} · ${c.conversationId}${assigned ? " · assigned" : " · nobody assigned"}${c.csat ? ` · rated ${c.csat.csatRate}` : ""}`;
  $("join").disabled = !open || Boolean(assigned);
  $("read").disabled = !open;
  $("close").disabled = c.stage !== "OPEN";
  $("survey").disabled = !open;
  for (const field of $("reply").elements) field.disabled = !open;
  $("typing").textContent = open && c.agentSees.consumerTyping ? "The consumer is typing…" : "";
  showTranscript(c);
  shown = c;
}

function showTranscript(c) {
  const box = $("transcript");
  const last = c.transcript.at(-1);
  const before = shown?.transcript.at(-1);
  if (shown?.conversationId === c.conversationId && before?.dialogId === last?.dialogId && before?.sequence === last?.sequence && shown.agentSees.receipts.length === c.agentSees.receipts.length) return;
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 80 || shown?.conversationId !== c.conversationId;
  const receipts = new Map(c.agentSees.receipts.map((r) => [`${r.dialogId} ${r.sequence}`, r.status]));
  box.replaceChildren(...c.transcript.map((entry) => entryItem(entry, receipts)));
  if (atEnd) box.scrollTop = box.scrollHeight;
}

function entryItem(e, receipts) {
  const item = clone("entry");
  const consumer = e.role === "CONSUMER";
  item.classList.toggle("agent", !consumer);
  item.classList.toggle("note", e.messageAudience === "AGENTS_AND_MANAGERS");
  item.classList.toggle("status", e.type === "AcceptStatusEvent");
  item.querySelector(".by").textContent = `${consumer ? "consumer" : e.role.toLowerCase().replace("_", " ")} · ${new Date(e.time).toLocaleTimeString()} · ${e.sequence}`;
  item.querySelector(".said").textContent = said(e);
  item.querySelector(".more").textContent = [titles(e), receipts.get(`${e.dialogId} ${e.sequence}`), e.withheld || e.quickRepliesWithheld ? "withheld: feature not declared" : ""].filter(Boolean).join(" · ");
  return item;
}

function said(e) {
  if (e.type === "AcceptStatusEvent") return `${e.status} ${e.sequenceList.join(", ")}`;
  if (e.content) return JSON.stringify(e.content, null, 1);
  if (e.file) return `File: ${e.file.caption || e.file.relativePath}`;
  return e.text;
}

function titles(e) {
  const replies = e.quickReplies?.replies ?? [];
  return replies.length ? `offers ${replies.map((r) => r.title).join(", ")}` : "";
}

// refresh reads everything anew; calls that come meanwhile are answered by one more reading.
let reading = false;
let again = false;
async function refresh() {
  if (reading) {
    again = true;
    return;
  }
  reading = true;
  try {
    do {
      again = false;
      showList(await call("GET", `sim/conversations?limit=${listed}`));
      if (current) {
        const id = current;
        const c = await call("GET", `sim/conversations/${encodeURIComponent(id)}`).catch(() => null);
        if (id === current) c ? showConversation(c) : forget();
      }
    } while (again);
  } catch (error) {
    $("error").textContent = error.message;
  } finally {
    reading = false;
  }
}

// forget leaves a conversation that the simulator no longer has.
function forget() {
  current = "";
  shown = null;
  $("chat").hidden = true;
  $("choose").hidden = false;
  history.replaceState(null, "", location.pathname);
}

let refreshTimer = 0;
function refreshSoon() {
  refreshTimer ||= setTimeout(() => {
    refreshTimer = 0;
    refresh();
  }, 60);
}

async function startTyping() {
  clearTimeout(typingTimer);
  typingTimer = setTimeout(stopTyping, idle);
  if (typing || !current) return;
  typing = true;
  await attempt(() => agent("typing", { chatState: "COMPOSING" }));
}

async function stopTyping() {
  clearTimeout(typingTimer);
  if (!typing) return;
  typing = false;
  await attempt(() => agent("typing", { chatState: "ACTIVE" }));
}

// written is what the form holds, as messages of one kind each: LivePerson sends text, files and structured content apart.
async function written() {
  const messages = [];
  const text = $("text").value.trim();
  if (text) messages.push({ text });
  const [file] = $("file").files;
  if (file) messages.push({ file: await attached(file) });
  const rich = $("rich").value.trim();
  if (rich) messages.push({ rich: JSON.parse(rich) });
  const titles = $("replies").value.split(",").map((t) => t.trim()).filter(Boolean);
  const offering = messages.findLast((m) => !m.file);
  if (titles.length && offering) offering.quickReplies = titles;
  return messages;
}

async function attached(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return { caption: file.name, fileType: file.name.split(".").pop().toUpperCase(), contentBase64: btoa(text) };
}

async function reply(event) {
  event.preventDefault();
  const sent = await attempt(async () => {
    const messages = await written();
    for (const m of messages) await agent("messages", { ...m, private: $("private").checked });
    return messages.length > 0;
  });
  if (!sent) return;
  $("reply").reset();
  await stopTyping();
}

// writeCard gives the agent something to begin with.
function writeCard() {
  const button = (title, text) => ({ type: "button", title, tooltip: title, click: { metadata: [{ type: "ExternalId", id: title }], actions: [{ type: "publishText", text }] } });
  $("rich").value = JSON.stringify({
    type: "vertical",
    elements: [{ type: "text", text: "Running shoes", tag: "title" }, { type: "text", text: "Which colour?" }, button("Red", "I want red"), button("Blue", "I want blue")],
  }, null, 1);
}

function showFaults(f) {
  faults = f;
  $("json").value = JSON.stringify(f, null, 1);
  for (const name of quickKnobs) $(`knob-${name}`).value = typeof f[name] === "number" ? f[name] : "";
}

async function applyFaults(event) {
  event.preventDefault();
  await attempt(async () => {
    let wanted;
    try {
      wanted = JSON.parse($("json").value);
    } catch (error) {
      throw new Error(`faults: ${error.message}`);
    }
    showFaults(await call("PUT", "sim/faults", wanted));
  });
}

function setQuick(name, value) {
  try {
    const wanted = JSON.parse($("json").value);
    wanted[name] = Number(value);
    $("json").value = JSON.stringify(wanted, null, 1);
  } catch {
    showFaults({ ...faults, [name]: Number(value) });
  }
}

for (const name of quickKnobs) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  label.textContent = name;
  label.htmlFor = input.id = `knob-${name}`;
  input.type = "number";
  input.min = "0";
  input.step = name.endsWith("Rate") ? "0.05" : "100";
  if (name.endsWith("Rate")) input.max = "1";
  input.addEventListener("change", () => setQuick(name, input.value));
  $("quick").append(label, input);
}

$("show-faults").addEventListener("click", async () => {
  const hidden = !$("faults").hidden;
  $("faults").hidden = hidden;
  $("show-faults").setAttribute("aria-expanded", String(!hidden));
  if (!hidden) await attempt(async () => showFaults(await call("GET", "sim/faults")));
});
$("knobs").addEventListener("submit", applyFaults);
$("calm").addEventListener("click", () => attempt(async () => showFaults(await call("PUT", "sim/faults", {}))));
$("card").addEventListener("click", writeCard);
$("reply").addEventListener("submit", reply);
$("text").addEventListener("input", () => ($("text").value ? startTyping() : stopTyping()));
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("reply").requestSubmit();
  }
});
$("join").addEventListener("click", () => attempt(() => agent("join")));
$("read").addEventListener("click", () => attempt(() => agent("read")));
$("close").addEventListener("click", () => attempt(() => agent("close", { survey: false })));
$("survey").addEventListener("click", () => attempt(() => agent("close", { survey: true })));

const events = new EventSource("sim/events");
events.addEventListener("hello", () => {
  $("link").textContent = "live";
  refresh();
});
events.addEventListener("error", () => {
  $("link").textContent = "connection lost, trying again…";
});
for (const kind of ["conversation", "message", "typing"]) events.addEventListener(kind, refreshSoon);
events.addEventListener("faults", (event) => {
  if (!$("faults").hidden) showFaults(JSON.parse(event.data));
});
