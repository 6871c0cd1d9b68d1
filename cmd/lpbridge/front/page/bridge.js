// The middle: what the bridge does, what is made to go wrong, and what became of it.
import { $, arrange, attempt, call, element } from "./common.js";

const shown = 60; // flows, newest first
const steps = {
  "toLivePerson message": ["on disk", "sent", "echoed"], "toChannel message": ["on disk", "delivered", "agent told"],
  "toLivePerson typing": ["shown", "cleared"], "toChannel typing": ["shown", "cleared"],
};
const flows = new Map();
let drawing = 0;

export function showFlows(list) {
  flows.clear();
  for (const f of list) flows.set(f.id, f);
  draw();
}

export function showFlow(f) {
  flows.set(f.id, f);
  if (flows.size > 400) flows.delete(flows.keys().next().value);
  drawing ||= requestAnimationFrame(draw);
}

function draw() {
  drawing = 0;
  $("nothing").hidden = flows.size > 0;
  arrange($("flows"), [...flows.values()].sort((a, b) => b.id - a.id).slice(0, shown), item);
}

function item(f) {
  const way = f.direction === "toLivePerson" ? "→" : "←";
  const what = f.kind === "typing" ? (f.direction === "toLivePerson" ? "consumer types" : "agent types") : f.text;
  const title = element("p", {}, element("span", { className: "way", textContent: `${way} ` }), what);
  const done = new Map(f.milestones.map((s) => [s.name, s.ms]));
  const chips = steps[`${f.direction} ${f.kind}`].map((name) => {
    const at = done.get(name);
    if (at === undefined) return element("span", { className: "waits", textContent: name });
    return element("span", { textContent: `${name} ${at < 10 ? at.toFixed(1) : Math.round(at)}` });
  });
  if (f.copies) chips.push(element("span", { className: "copy", textContent: `arrived ${f.copies + 1} times` }));
  return element("li", {}, title, element("div", { className: "steps" }, ...chips));
}

export function showLedger(ledger) {
  for (const row of document.querySelectorAll("#ledger [data-direction]")) {
    const counts = ledger[row.dataset.direction];
    for (const cell of row.querySelectorAll("[data-count]")) count(cell, counts[cell.dataset.count]);
  }
  count($("typing-left"), ledger.typingLeft);
}

function count(cell, n) {
  cell.textContent = n;
  cell.toggleAttribute("data-some", cell.hasAttribute("data-bad") && n > 0);
}

export function showBridge(state) {
  $("bridge-state").textContent = state.up ? "The bridge runs" : "The bridge was killed, it comes back…";
  $("bridge-state").dataset.tone = state.up ? "good" : "bad";
  $("kill").disabled = !state.up;
}

const switches = [...document.querySelectorAll("[data-fault]")];
let ends = 0;
let ticking = 0;

export function showFaults(state) {
  for (const s of switches) s.checked = state[s.dataset.fault];
  $("faults-on").hidden = !state.on;
  ends = Date.now() + (state.outageLeftMs ?? 0);
  clearInterval(ticking);
  if (state.outage) ticking = setInterval(tick, 1000);
  tick();
}

function tick() {
  const left = Math.ceil((ends - Date.now()) / 1000);
  $("outage").textContent = left > 0 ? `Down for ${left} s more` : "Down for a minute";
  if (left <= 0) clearInterval(ticking);
}

for (const s of switches) {
  s.addEventListener("change", () => {
    const wanted = Object.fromEntries(switches.map((o) => [o.dataset.fault, o.checked]));
    attempt(() => call("PUT", "/sandbox/faults", wanted));
  });
}
$("kill").addEventListener("click", () => attempt(() => call("POST", "/sandbox/kill")));
