// A system of one's own behind the generic webhook: it POSTs what its consumer does,
// and gets what agents do at an address of the sandbox, which passes it on to here.
import { Queue, call, insist, kept, uuid } from "./common.js";

const repeated = 15_000; // ms after which composing that was not repeated is over

export class WebhookClient {
  name = "webhook";
  queue = new Queue();
  messages = new Map();
  ends = 0;

  constructor(consumer, told) {
    Object.assign(this, { consumer, told });
    this.thread = kept.get("webhook.thread") ?? uuid();
    kept.set("webhook.thread", this.thread);
    for (const m of kept.get("webhook.said", [])) this.messages.set(m.id, m);
  }

  async open() {
    for (const event of await insist(() => call("GET", `/sandbox/threads/${this.thread}`))) this.take(event, true);
    this.told.messages(this.list());
  }

  /** Begins another conversation. */
  async renew() {
    this.thread = uuid();
    kept.set("webhook.thread", this.thread);
    this.messages.clear();
    this.keep();
    this.told.messages([]);
  }

  shut() {
    clearTimeout(this.ends);
  }

  list() {
    return [...this.messages.values()].sort((a, b) => a.time - b.time);
  }

  keep() {
    kept.set("webhook.said", this.list().filter((m) => m.mine).slice(-200));
  }

  show(m) {
    this.messages.set(m.id, m);
    this.told.messages(this.list());
  }

  report(event) {
    return insist(() => call("POST", "/channels/webhook", { thread: this.thread, consumer: { id: this.consumer.id, firstName: this.consumer.name }, ...event }));
  }

  send(text) {
    const m = { id: uuid(), mine: true, text, time: Date.now(), status: "sending" };
    this.show(m);
    // The same id again is the same message.
    return this.queue.add(() => this.report({ id: m.id, type: "message", message: { text } })).then(() => {
      if (m.status === "sending") m.status = "sent";
      this.keep();
      this.show(m);
    });
  }

  typing(on) {
    // What is not told now is not worth telling later.
    return call("POST", "/channels/webhook", { type: "typing", thread: this.thread, consumer: { id: this.consumer.id }, typing: { state: on ? "composing" : "stopped" } }).catch(() => {});
  }

  choose(message, choice) {
    return this.queue.add(() => this.report({ id: uuid(), type: "click", click: { messageId: message.id, replyId: choice.id } }));
  }

  close() {
    return this.queue.add(() => this.report({ id: uuid(), type: "close" }));
  }

  read(messages) {
    return this.report({ id: uuid(), type: "receipt", receipt: { status: "read", messageIds: messages.map((m) => m.id) } });
  }

  /** An event of the sandbox's receiver. */
  heard(event) {
    if (event.thread === this.thread) this.take(event, false);
  }

  take(event, former) {
    const by = event.agent?.name;
    if (event.type === "message") {
      this.type(false);
      this.show(fromWebhook(event));
    } else if (event.type === "typing" && !former) {
      this.type(event.typing.state === "composing", by);
    } else if (event.type === "receipt") {
      for (const id of event.receipt.messageIds) {
        const m = this.messages.get(id);
        if (m && m.status !== "read") m.status = event.receipt.status;
      }
      this.told.messages(this.list());
    } else if (event.type === "state") {
      this.show({ id: event.id, note: stateWords(event.state.conversation, by), time: Date.parse(event.time) });
      if (event.state.conversation === "closed") this.type(false);
    }
  }

  type(on, by) {
    clearTimeout(this.ends);
    if (on) this.ends = setTimeout(() => this.told.typing(false), repeated);
    this.told.typing(on, by);
  }
}

const words = {
  open: "The conversation is open", joined: "An agent joined", transferred: "Handed over to another agent",
  survey: "A survey begins", survey_ended: "The survey is over", closed: "The conversation was closed",
};

export const stateWords = (state, by) => (state === "joined" && by ? `${by} joined` : words[state] ?? state);

function fromWebhook(event) {
  const { text, quickReplies = [], attachments = [], rich } = event.message;
  const choices = quickReplies.map((q) => ({ id: q.id, title: q.title }));
  const m = { id: event.id, time: Date.parse(event.time), by: event.agent?.name, face: event.agent?.avatarUrl, text, choices };
  m.files = attachments.map((a) => ({ url: a.url, name: a.name, image: a.contentType?.startsWith("image/") }));
  if (rich) Object.assign(m, { text: "", choices: [], cards: cardsOf(rich, choices) });
  return m;
}

/** Cards of LivePerson's structured content, as far as this page draws them. */
function cardsOf(rich, choices) {
  if (rich.type === "carousel") return rich.elements.flatMap((e) => cardsOf(e, choices));
  const card = { title: "", text: "", buttons: [] };
  const walk = (e) => {
    if (e.type === "image") card.image = e.url;
    if (e.type === "text") card.title ? (card.text += `${card.text && "\n"}${e.text}`) : (card.title = e.text);
    if (e.type === "button") {
      const link = e.click?.actions?.find((a) => a.type === "link" || a.type === "navigate");
      card.buttons.push({ title: e.title, href: link?.uri, choice: choices.find((c) => c.title === e.title) });
    }
    for (const inner of e.elements ?? []) walk(inner);
  };
  walk(rich);
  return [card];
}
