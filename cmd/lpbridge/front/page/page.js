// The sandbox's page: a consumer, an agent, and the bridge between them. It shows what
// /sandbox/events and /sim/events say, and reads anew when they tell of a change.
import { $ } from "./common.js";
import { playAs, refresh } from "./agent.js";
import { showBridge, showFaults, showFlow, showFlows, showLedger } from "./bridge.js";
import { current, say, serve } from "./consumer.js";

const told = {
  flow: showFlow, flows: showFlows, ledger: showLedger, bridge: showBridge, faults: showFaults,
  webhook: (event) => current()?.heard?.(event),
  hello: (all) => {
    playAs(all.agent);
    $("to-agent").href = all.simulator;
    $("to-console").href = all.console;
    showFlows(all.flows);
    showLedger(all.ledger);
    showFaults(all.faults);
    showBridge(all.bridge);
    serve(all.channels);
  },
};

const own = new EventSource("/sandbox/events");
for (const [kind, show] of Object.entries(told)) own.addEventListener(kind, (event) => show(JSON.parse(event.data)));
own.addEventListener("error", () => {
  $("bridge-state").textContent = "The sandbox does not answer, trying again…";
  $("bridge-state").dataset.tone = "bad";
});

const simulator = new EventSource("/sim/events");
for (const kind of ["hello", "conversation", "message", "typing", "reset"]) simulator.addEventListener(kind, () => refresh());

$("burst").addEventListener("click", async () => {
  const first = Number(sessionStorage.getItem("burst") ?? 1);
  sessionStorage.setItem("burst", first + 20);
  await Promise.all(Array.from({ length: 20 }, (_, i) => say(`Message ${first + i}`)));
});

// One pane at a time where the screen is small.
for (const tab of document.querySelectorAll(".tabs button")) {
  tab.addEventListener("click", () => {
    document.body.dataset.pane = tab.dataset.pane;
    for (const other of document.querySelectorAll(".tabs button")) other.setAttribute("aria-pressed", String(other === tab));
  });
}
