// The operator's page. Everything it shows is set as text, never as markup.

const statusEvery = 2000;
const lettersEvery = 5000;
const hourEvery = 10000;
const patience = 8000;
const pageSize = 50;

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat();
const minute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });

function text(node, value) {
  // Untouched nodes keep selections and are not announced again.
  if (node.textContent !== String(value)) node.textContent = value;
}

function copyOf(template) {
  const node = $(template).content.firstElementChild.cloneNode(true);
  const parts = {};
  for (const part of node.querySelectorAll("[data-is]")) parts[part.dataset.is] = part;
  return { node, parts };
}

function tone(node, value, words) {
  node.dataset.tone = value;
  text(node, words);
}

function duration(ms) {
  const minutes = Math.floor(ms / 60000);
  if (minutes < 1) return `${Math.max(0, Math.floor(ms / 1000))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

async function call(method, path, body) {
  const request = { method, cache: "no-store", signal: AbortSignal.timeout(method === "GET" ? patience : 30000) };
  if (body) {
    request.headers = { "Content-Type": "application/json" };
    request.body = JSON.stringify(body);
  }
  const response = await fetch(path, request);
  if (response.status === 204) return {};
  const answer = await response.json();
  if (response.status === 401) throw new Unknown(answer.detail);
  if (!response.ok) throw new Error(answer.detail || answer.title || `status ${response.status}`);
  return answer;
}

// Login

// Unknown says that the bridge wants to know who asks.
class Unknown extends Error {}

let loggingIn = null;

// loggedIn ends when the operator has logged in; several who wait share one dialog.
function loggedIn() {
  if (!loggingIn) {
    $("login").showModal();
    loggingIn = new Promise((resolve) => $("login").addEventListener("close", resolve, { once: true })).then(() => { loggingIn = null; });
  }
  return loggingIn;
}

$("login").oncancel = (event) => event.preventDefault();

$("login-form").onsubmit = async (event) => {
  event.preventDefault();
  try {
    await call("POST", "/login", { token: $("login-token").value });
    $("login-wrong").hidden = true;
    $("logout").hidden = false;
    $("login").close();
  } catch (failure) {
    text($("login-wrong"), failure instanceof Unknown ? "This is not the token." : failure.message);
    $("login-wrong").hidden = false;
  }
  $("login-token").value = "";
};

$("logout").onclick = async () => {
  await call("POST", "/logout");
  location.reload();
};

// asked makes a call, and once more when the operator had to log in for it.
async function asked(method, path, body) {
  try {
    return await call(method, path, body);
  } catch (failure) {
    if (!(failure instanceof Unknown)) throw failure;
    await loggedIn();
    return call(method, path, body);
  }
}

// Status

let lastStatus = 0;

async function refreshStatus() {
  try {
    showStatus(await asked("GET", "/status"));
    lastStatus = Date.now();
  } catch {
    tone($("state"), "bad", "No answer");
    notice("The bridge does not answer. What is shown below may be out of date.", "bad");
  }
  showAge();
}

function showAge() {
  const age = Date.now() - lastStatus;
  text($("age"), lastStatus === 0 ? "" : age < 5000 ? "live" : `as of ${duration(age)} ago`);
}

// notice shows words above everything else; its tone is a warning where none is given.
function notice(words, tone = "warn") {
  text($("notice"), words);
  $("notice").dataset.tone = tone;
  $("notice").hidden = words === "";
}

// A standby has no more to show than how it stands to the others.
let standby = false;

function showStandby(s) {
  standby = true;
  document.body.dataset.standby = "true";
  $("standby").hidden = false;
  tone($("state"), s.ready ? "good" : "warn", s.ready ? "Standby" : "Not ready");
  notice(s.ready ? "" : `Not ready: ${s.notReady}`);
  showReplicaFacts($("standby-facts"), s.replica);
}

// replicaFacts are what is told of a replica, as pairs of a term and its words.
function replicaFacts(r) {
  const ended = Object.entries(r.forwarded ?? {}).filter(([, n]) => n > 0).map(([how, n]) => `${how.replaceAll("_", " ")} ${number.format(n)}`);
  return [
    ["Role", r.role],
    ["Owner", r.owner || "nobody, as far as is known"],
    ["Owners so far", r.epoch ? number.format(r.epoch) : "–"],
    ["Owner since", r.since ? clock.format(new Date(r.since)) : "–"],
    ["Peer address", r.peer || "–"],
    ["Held requests", number.format(r.held)],
    ["Sockets through here", number.format(r.sockets)],
    ["Requests handed on", ended.join(", ") || "none"],
  ];
}

// showReplicaFacts leaves alone what has not changed, so that it can be selected.
function showReplicaFacts(list, replica) {
  const pairs = replicaFacts(replica);
  const words = JSON.stringify(pairs);
  if (list.dataset.state === words) return;
  list.dataset.state = words;
  facts(list, pairs);
}

function showStatus(s) {
  text($("version"), s.version);
  $("logout").hidden = !s.login;
  if (s.standby) {
    showStandby(s);
    return;
  }
  if (standby) {
    // It became the owner, which has more to show.
    location.reload();
    return;
  }
  const missing = s.readiness.notReady ?? [];
  const unwell = [["LivePerson", s.livePerson], ...(s.channels ?? []).map((c) => [c.name, c.flow])].filter(([, flow]) => ailing(flow));
  if (!s.readiness.ready) tone($("state"), "warn", "Not ready");
  else if (unwell.length > 0) tone($("state"), "bad", `${unwell.map(([name]) => name).join(", ")}: trouble`);
  else tone($("state"), "good", "Ready");
  const failing = unwell.some(([, flow]) => flow.state !== "throttled");
  const worries = [...troubles(s.journal), ...missing.map((m) => `Not ready: ${m.name}: ${m.reason}`), ...unwell.map(([name, flow]) => `${name}: ${trouble(flow)}`)];
  notice(worries.join(". "), failing || troubles(s.journal).length > 0 ? "bad" : "warn");

  showJournal(s.journal);
  text($("pending"), number.format(s.pending));
  showLivePerson(s.livePerson);
  text($("notified"), s.notified ? "Arriving" : "Not seen");
  text($("notified-detail"), s.notified ? "lost answers are settled by their echo" : "until then deliveries are at least once");
  const started = new Date(s.started);
  text($("uptime"), duration(Date.now() - started));
  text($("started"), `since ${minute.format(started)}`);

  showChannels(s.channels ?? [], s.traffic.channels);
  showTyping(s.traffic.typing);
  showRefusals(s.refusals ?? []);
  showSettings(s.settings);
  showReplica(s.replica);
}

// troubles are what is wrong with the journal.
function troubles(journal) {
  const words = [];
  if (journal.noSpace) words.push(`No space, nothing new is accepted: ${journal.noSpace}`);
  if (journal.lostEvents > 0) words.push(`${number.format(journal.lostEvents)} accepted events may be missing: the database's log had lost its end before this start`);
  return words;
}

const bytes = new Intl.NumberFormat(undefined, { style: "unit", unit: "megabyte", maximumFractionDigits: 1 });

function showJournal(journal) {
  text($("journal"), bytes.format((journal.databaseBytes + journal.logBytes) / 1e6));
  $("journal").dataset.tone = journal.noSpace ? "bad" : "";
  text($("journal-detail"), journal.noSpace ? "no space" : journal.engine === "postgres" ? "on PostgreSQL" : "database and log on disk");
}

// showReplica has how an owner stands to its replicas behind the settings.
function showReplica(r) {
  $("replica").hidden = !r;
  if (r) showReplicaFacts($("replica-facts"), r);
}

function showRefusals(refusals) {
  $("refusals").hidden = refusals.length === 0;
  const byKey = new Map(refusals.map((r) => [`${r.channel} ${r.reason}`, r]));
  keyed($("refused"), "refusal-row", [...byKey.keys()], (parts, key) => {
    const r = byKey.get(key);
    text(parts.channel, r.channel);
    text(parts.reason, r.reason);
    text(parts.detail, r.detail ?? "");
    text(parts.count, number.format(r.count));
    showTime(parts.last, r.last);
  });
}

const states = { throttled: "throttled", down: "failing", credential_refused: "our credential is refused", stalled: "gives no tokens or conversations" };

function ailing(flow) {
  return flow.state in states;
}

// trouble says what is wrong with a far side, since when, why, and what waits for it.
function trouble(flow) {
  const words = [`${states[flow.state]} for ${duration(Date.now() - new Date(flow.since))}`];
  if (flow.lastError) words.push(flow.lastError);
  if (flow.oldestWaiting) words.push(`the oldest event waits for ${duration(Date.now() - new Date(flow.oldestWaiting))}`);
  return words.join(", ");
}

function throttling(flow) {
  if (!flow.throttledUntil) return "";
  return `Told to wait, goes on in ${duration(new Date(flow.throttledUntil) - Date.now())}`;
}

function load(flow) {
  return `${number.format(flow.inFlight)} of ${number.format(flow.limit)}`;
}

function showLivePerson(flow) {
  text($("lp"), ailing(flow) ? states[flow.state] : load(flow));
  $("lp").dataset.tone = ailing(flow) ? "bad" : "";
  text($("lp-detail"), ailing(flow) ? trouble(flow) : throttling(flow) || "deliveries under way");
  offerResume($("lp-resume"), "liveperson", flow);
}

// offerResume shows a button while a far side is not well: an operator may know
// better than the pause it asked for.
function offerResume(button, name, flow) {
  button.hidden = !ailing(flow) && throttling(flow) === "";
  button.onclick = async () => {
    button.disabled = true;
    try {
      await asked("POST", `/farsides/${encodeURIComponent(name)}/resume`);
      await refreshStatus();
    } catch (failure) {
      notice(`${name} was not tried: ${failure.message}`);
    }
    button.disabled = false;
  };
}

// keyed keeps one node per key below a parent, so that a refresh moves nothing.
function keyed(parent, template, keys, fill) {
  const known = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  keys.forEach((key, place) => {
    let node = known.get(String(key));
    known.delete(String(key));
    if (!node) {
      const copy = copyOf(template);
      node = copy.node;
      node.dataset.key = key;
      node.parts = copy.parts;
    }
    fill(node.parts, key);
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
  for (const node of known.values()) node.remove();
}

function showChannels(channels, traffic) {
  const byName = new Map(channels.map((c) => [c.name, c]));
  $("no-channels").hidden = channels.length > 0;
  keyed($("channels"), "channel-card", [...byName.keys()], (parts, name) => showChannel(parts, byName.get(name), traffic[name]));
  offerChannels([...byName.keys()]);
}

function showChannel(parts, channel, traffic) {
  text(parts.name, channel.name);
  const wrong = ailing(channel.flow) ? trouble(channel.flow) : throttling(channel.flow);
  tone(parts.state, ailing(channel.flow) ? "bad" : wrong ? "warn" : "good", ailing(channel.flow) ? "Trouble" : wrong ? "Throttled" : "Flowing");
  text(parts.throttled, wrong);
  parts.throttled.hidden = wrong === "";
  offerResume(parts.resume, channel.name, channel.flow);
  showFlow(parts, "in", traffic?.toLivePerson);
  showFlow(parts, "out", traffic?.toChannel);
  text(parts.load, `${load(channel.flow)} deliveries under way`);
  parts.meter.max = Math.max(1, channel.flow.limit);
  parts.meter.value = channel.flow.inFlight;
  text(parts.reports, abilities(channel.reports, channel.typingIn));
  text(parts.takes, abilities(channel.delivers, channel.typingOut));
}

function abilities(kinds, typing) {
  const all = new Set(kinds ?? []);
  if (typing) all.add("typing");
  else all.delete("typing");
  return [...all].join(", ") || "nothing";
}

function showFlow(parts, side, flow) {
  const outcomes = Object.entries(flow?.deliveries ?? {});
  const delivered = flow?.deliveries?.delivered ?? 0;
  const failures = outcomes.filter(([outcome]) => outcome !== "delivered");
  const failed = failures.reduce((sum, [, n]) => sum + n, 0);
  text(parts[`${side}-accepted`], number.format(flow?.accepted ?? 0));
  text(parts[`${side}-delivered`], number.format(delivered));
  const cell = parts[`${side}-failed`];
  text(cell, number.format(failed));
  cell.toggleAttribute("data-some", failed > 0);
  cell.title = failures.map(([outcome, n]) => `${outcome} ${number.format(n)}`).join(", ");
}

const typingWords = {
  observed: "Changes seen",
  composing_applied: "Told “composing”",
  paused_applied: "Told “paused”",
  stopped_applied: "Told “stopped”",
  no_conversation: "Without a conversation",
};

function showTyping(typing) {
  const sides = [["Consumers, to LivePerson", typing.toLivePerson], ["Agents, to channels", typing.toChannel]];
  const byName = new Map(sides);
  keyed($("typing"), "typing-card", sides.map(([name]) => name), (parts, name) => {
    text(parts.name, name);
    const counts = Object.entries(byName.get(name) ?? {});
    const rows = counts.length > 0 ? counts.map(([result, n]) => [typingWords[result] ?? words(result), number.format(n)]) : [["Nothing yet", "–"]];
    const order = Object.values(typingWords);
    rows.sort(([a], [b]) => place(order, a) - place(order, b) || a.localeCompare(b));
    const state = JSON.stringify(rows);
    if (parts.counts.dataset.state === state) return;
    parts.counts.dataset.state = state;
    facts(parts.counts, rows);
  });
}

function place(order, word) {
  const at = order.indexOf(word);
  return at < 0 ? order.length : at;
}

function words(label) {
  const plain = label.replaceAll("_", " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

function showSettings(settings) {
  const state = JSON.stringify(settings);
  if ($("settings").dataset.state === state) return;
  $("settings").dataset.state = state;
  $("settings").replaceChildren(...settings.map((s) => {
    const row = document.createElement("tr");
    for (const value of [s.variable, s.origin]) row.insertCell().textContent = value;
    return row;
  }));
}

// Dead letters

let shown = pageSize;
let matching = 0;
let turns = 0;

function filter() {
  const chosen = {};
  for (const [name, value] of new FormData($("filter"))) if (value) chosen[name] = value;
  return chosen;
}

function offerChannels(names) {
  const select = $("filter-channel");
  const offered = new Set([...select.options].map((o) => o.value));
  for (const name of names) if (!offered.has(name)) select.add(new Option(name, name));
}

async function readLetters() {
  const found = [];
  let after = 0;
  let next = 0;
  do {
    const query = new URLSearchParams({ ...filter(), after, limit: Math.min(500, shown - found.length) });
    const page = await asked("GET", `/deadletters?${query}`);
    found.push(...page.deadLetters);
    next = page.next ?? 0;
    after = next;
  } while (next > 0 && found.length < shown);
  return { found, more: next > 0 };
}

async function refreshLetters() {
  const turn = ++turns;
  try {
    const { found, more } = await readLetters();
    if (turn === turns) showLetters(found, more);
  } catch {
    if (turn === turns) text($("dead"), "?");
  }
}

function showLetters(found, more) {
  matching = found.length;
  const narrowed = Object.keys(filter()).length > 0;
  if (!narrowed) text($("dead"), number.format(matching) + (more ? "+" : ""));
  const bySeq = new Map(found.map((l) => [String(l.seq), l]));
  $("letters-scroll").hidden = matching === 0;
  $("no-letters").hidden = matching > 0;
  text($("no-letters"), narrowed ? "None match." : "None. No event needs a decision.");
  $("more").hidden = !more;
  $("replay-all").disabled = $("discard-all").disabled = matching === 0;
  text($("replay-all"), narrowed ? "Replay matching" : "Replay all");
  $("export").hidden = matching === 0;
  $("export").href = `/deadletters/export?${new URLSearchParams({ ...filter(), content: true })}`;
  text($("discard-all"), narrowed ? "Discard matching" : "Discard all");
  keyed($("letters"), "letter-row", [...bySeq.keys()], (parts, seq) => showLetter(parts, bySeq.get(seq)));
}

function showLetter(parts, l) {
  text(parts.seq, l.seq);
  text(parts.channel, l.channel);
  text(parts.thread, l.thread);
  parts.thread.title = l.thread;
  text(parts.event, `${l.kind} ${l.direction === "to_channel" ? "to channel" : "to LivePerson"}`);
  text(parts.outcome, l.outcome);
  parts.outcome.dataset.tone = l.outcome === "invalid" || l.outcome === "unauthorized" ? "bad" : "warn";
  text(parts.why, l.why);
  text(parts.answer, l.answer ?? "");
  text(parts.attempts, l.attempts);
  showTime(parts.accepted, l.accepted);
  showTime(parts.died, l.died);
  parts.replay.setAttribute("aria-label", `Replay ${l.seq}`);
  parts.discard.setAttribute("aria-label", `Discard ${l.seq}`);
  parts.show.setAttribute("aria-label", `Show ${l.seq}`);
  parts.show.onclick = () => showFacts(l);
  parts.replay.disabled = Boolean(l.expired);
  parts.replay.onclick = () => act(() => asked("POST", `/deadletters/${l.seq}/replay`), "replayed");
  parts.discard.onclick = async () => {
    if (await confirmed("Discard this event?", `The ${l.kind} with seq ${l.seq} will never be delivered.`, "Discard")) {
      act(() => asked("DELETE", `/deadletters/${l.seq}`), "discarded");
    }
  };
}

// facts fills a list with what is known; what is not is left out.
function facts(list, pairs) {
  list.replaceChildren(...pairs.filter(([, value]) => value !== undefined && value !== "").flatMap(([term, value]) => {
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = term;
    dd.textContent = value;
    return [dt, dd];
  }));
}

function showFacts(l) {
  text($("letter-title"), `Dead letter ${l.seq}`);
  facts($("letter-facts"), [
    ["Why", l.why], ["Answer", l.answer], ["Outcome", l.outcome], ["Attempts", l.attempts], ["Channel", l.channel],
    ["Direction", l.direction === "to_channel" ? "to channel" : "to LivePerson"], ["Thread", l.thread], ["Kind", l.kind], ["Event", l.id],
    ["Accepted", clock.format(new Date(l.accepted))], ["Died", clock.format(new Date(l.died))],
  ]);
  $("letter-content").hidden = true;
  $("letter-read").disabled = Boolean(l.expired);
  $("letter-read").onclick = async () => {
    try {
      const { content } = await asked("GET", `/deadletters/${l.seq}?content=true`);
      text($("letter-content"), content ? JSON.stringify(content, null, 2) : "It cannot be read any more.");
      $("letter-content").hidden = false;
    } catch (failure) {
      toast(failure.message);
    }
  };
  $("letter").showModal();
}

function showTime(cell, time) {
  const moment = new Date(time);
  text(cell, `${duration(Date.now() - moment)} ago`);
  cell.title = clock.format(moment);
}

async function act(change, done) {
  try {
    const { count } = await change();
    toast(`${number.format(count)} ${done}`);
  } catch (failure) {
    toast(failure.message);
  }
  refreshStatus();
  await refreshLetters();
  // The button that was pressed may be gone, and the keyboard's place with it.
  if (document.activeElement === document.body) $("letters-title").focus();
}

async function sweep(path) {
  const chosen = filter();
  let body = Object.keys(chosen).length > 0 ? chosen : { all: true };
  let count = 0;
  for (;;) {
    const done = await asked("POST", path, body);
    count += done.count;
    if (!done.next) return { count };
    body = { ...body, after: done.next, diedBefore: done.diedBefore };
  }
}

function whichLetters() {
  return Object.keys(filter()).length > 0 ? "all that match the filter, shown or not" : "all of them, shown or not";
}

$("replay-all").onclick = async () => {
  if (await confirmed("Replay dead letters?", `This delivers ${whichLetters()}, at the end of their threads.`, "Replay")) {
    act(() => sweep("/deadletters/replay"), "replayed");
  }
};

$("discard-all").onclick = async () => {
  if (await confirmed("Discard dead letters?", `This discards ${whichLetters()}. They will never be delivered. Export them first to keep them.`, "Discard")) {
    act(() => sweep("/deadletters/discard"), "discarded");
  }
};

$("more").onclick = () => {
  shown += pageSize;
  refreshLetters();
};

$("filter").onchange = () => {
  shown = pageSize;
  refreshLetters();
};

function confirmed(title, words, yes) {
  const dialog = $("confirm");
  text($("confirm-title"), title);
  text($("confirm-text"), words);
  text($("confirm-yes"), yes);
  $("confirm-yes").classList.toggle("danger", yes === "Discard");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

let toastEnd;
function toast(words) {
  text($("toast"), words);
  clearTimeout(toastEnd);
  toastEnd = setTimeout(() => text($("toast"), ""), 4000);
}

// Traces

$("trace").onsubmit = async (event) => {
  event.preventDefault();
  let trace = { events: [], threads: [] };
  let empty = "";
  try {
    trace = await asked("GET", `/trace?${new URLSearchParams({ id: $("trace-id").value.trim() })}`);
  } catch (failure) {
    empty = failure.message;
  }
  showTrace(trace, empty);
};

function showTrace(trace, empty) {
  const events = trace.events ?? [];
  $("traced-scroll").hidden = events.length === 0;
  $("trace-empty").hidden = empty === "";
  text($("trace-empty"), empty);
  const threads = (trace.threads ?? []).map((t) => `Thread ${t.thread} of ${t.channel}: ${t.conversations.map((c) => `${c.id} (${c.open ? "open" : "over"})`).join(", ") || "no conversation"}`);
  $("traced-threads").hidden = threads.length === 0;
  text($("traced-threads"), threads.join(". ") + (trace.older ? ". Older events are left out." : ""));
  const bySeq = new Map(events.map((e) => [String(e.seq), e]));
  keyed($("traced"), "traced-row", [...bySeq.keys()], (parts, seq) => showTraced(parts, bySeq.get(seq)));
}

const tones = { pending: "warn", dead: "bad", done: "good" };

function showTraced(parts, e) {
  text(parts.seq, e.seq);
  text(parts.event, `${e.kind} ${e.id ?? ""}${e.part ? ` (${e.part})` : ""}`);
  showTime(parts.accepted, e.accepted);
  text(parts.from, e.direction === "to_channel" ? "LivePerson" : e.channel);
  tone(parts.state, tones[e.state], e.state);
  const happened = [];
  if (e.failures > 0) happened.push(`failed ${number.format(e.failures)} times, the last time ${e.last}: ${e.answer ?? ""}`);
  if (e.inDoubtSince) happened.push("it may have arrived though nobody said so");
  if (e.settled) happened.push(`${e.state === "dead" ? "given up" : "settled"} at ${clock.format(new Date(e.settled))}`);
  if (e.nextTry) happened.push(`tried again at ${clock.format(new Date(e.nextTry))}`);
  text(parts.happened, happened.join(". "));
  text(parts.place, e.sequence === undefined ? "" : `${e.dialog} at ${e.sequence}`);
}

// The last hour

const directions = { to_liveperson: (channel) => `${channel} → LivePerson`, to_channel: (channel) => `LivePerson → ${channel}` };
const oclock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const decimal = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 2 });
const tableSpan = 600;

// seconds says a short time in words that fit below a chart.
function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1) return `${decimal.format(value * 1000)} ms`;
  return value < 120 ? `${decimal.format(value)} s` : duration(value * 1000);
}

async function refreshHour() {
  try {
    showHour(await asked("GET", "/hour"));
  } catch {
    // That nothing answers the status says.
  }
}

// flowCharts are what is drawn of one direction of one channel.
const flowCharts = (flow) => [
  { title: "Accepted, delivered", first: flow.accepted, second: flow.delivered, words: count, sums: true, heads: ["Accepted", "Delivered"] },
  { title: "Lag, 95th percentile", first: flow.lag, words: seconds, heads: ["Slowest lag"] },
  { title: "429", first: flow.throttled, words: count, sums: true, trouble: true, heads: ["429"] },
  { title: "Typing told", first: flow.typing, words: count, sums: true, heads: ["Typing told"] },
];

function count(value) {
  return number.format(Math.round(value ?? 0));
}

function showHour(hour) {
  const cards = new Map(hour.flows.map((flow) => [`${flow.channel} ${flow.direction}`, { name: directions[flow.direction]?.(flow.channel) ?? flow.channel, charts: flowCharts(flow) }]));
  if (hour.answers.some((value) => value !== null)) {
    cards.set("answers", { name: "LivePerson’s notifications", charts: [{ title: "Answered within, 95th percentile", first: hour.answers, words: seconds, heads: ["Slowest answer"] }] });
  }
  $("no-hour").hidden = cards.size > 0 && hour.times.length > 0;
  keyed($("hour"), "hour-card", hour.times.length > 0 ? [...cards.keys()] : [], (parts, key) => showHourCard(parts, cards.get(key), hour));
}

function showHourCard(parts, card, hour) {
  text(parts.name, card.name);
  parts.region.setAttribute("aria-label", `${card.name}, the last hour`);
  const byTitle = new Map(card.charts.map((chart) => [chart.title, chart]));
  keyed(parts.charts, "chart", [...byTitle.keys()], (drawn, title) => drawChart(drawn, byTitle.get(title), hour));
  tabulate(parts, card, hour);
}

function drawChart(parts, chart, hour) {
  const series = chart.second ? [chart.first, chart.second] : [chart.first];
  const values = series.flat().filter((value) => value !== null);
  const most = Math.max(0, ...values);
  const last = series.map((list) => chart.words(list.at(-1)));
  const since = new Date((hour.times[0] - hour.every) * 1000);
  text(parts.title, chart.title);
  text(parts.now, last.join(" · "));
  text(parts.from, oclock.format(since));
  text(parts.most, `most ${chart.words(most)}`);
  parts.picture.setAttribute("aria-label", `${chart.title}: now ${last.join(" and ")} in ${hour.every} s, at most ${chart.words(most)} since ${oclock.format(since)}`);
  parts.picture.parentNode.toggleAttribute("data-trouble", Boolean(chart.trouble) && most > 0);
  parts.first.setAttribute("d", line(chart.first, most, hour));
  parts.second.setAttribute("d", chart.second ? line(chart.second, most, hour) : "");
}

// line draws values by their times; where there is none the line breaks.
function line(values, most, hour) {
  const from = hour.times[0] - hour.every;
  const span = Math.max(hour.times.at(-1) - from, 1);
  let path = "";
  let broken = true;
  values.forEach((value, i) => {
    if (value === null) {
      broken = true;
      return;
    }
    const x = ((hour.times[i] - from) / span) * 240;
    const y = 46 - (most > 0 ? (value / most) * 44 : 0);
    path += `${broken ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    // One value alone is a dot.
    if (broken) path += "h.1";
    broken = false;
  });
  return path;
}

// tabulate says the same in numbers, ten minutes a row.
function tabulate(parts, card, hour) {
  const columns = card.charts.flatMap((chart) => [chart.first, chart.second].filter(Boolean).map((list, i) => ({ list, chart, head: chart.heads[i] })));
  const rows = new Map();
  hour.times.forEach((time, i) => {
    const start = time - (time % tableSpan);
    const row = rows.get(start) ?? columns.map(() => null);
    columns.forEach(({ list, chart }, c) => {
      if (list[i] !== null) row[c] = chart.sums ? (row[c] ?? 0) + list[i] : Math.max(row[c] ?? 0, list[i]);
    });
    rows.set(start, row);
  });
  const state = JSON.stringify([...rows]);
  if (parts.rows.dataset.state === state) return;
  parts.rows.dataset.state = state;
  parts.heads.replaceChildren(...["From", ...columns.map(({ head }) => head)].map((head) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = head;
    return cell;
  }));
  parts.rows.replaceChildren(...[...rows].map(([start, row]) => {
    const line = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = oclock.format(new Date(start * 1000));
    line.append(head);
    row.forEach((value, c) => {
      const cell = line.insertCell();
      cell.className = "number";
      cell.textContent = columns[c].chart.words(value);
    });
    return line;
  }));
}

// A page nobody looks at asks for nothing; one call is under way at a time.
async function forever(refresh, every) {
  for (;;) {
    if (!document.hidden) await refresh();
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refreshStatus();
});

forever(refreshStatus, statusEvery);
forever(() => standby || refreshLetters(), lettersEvery);
forever(() => standby || refreshHour(), hourEvery);
