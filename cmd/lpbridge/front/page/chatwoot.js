// An app written for Chatwoot's API inbox: REST, and the cable for what agents do.
import { Refusal, call, insist, kept, pause, uuid } from "./common.js";
import { SocketClient } from "./socket.js";
import { stateWords } from "./webhook.js";

const inbox = "/public/api/v1/inboxes/sandbox";
const incoming = 0;

export class ChatwootClient extends SocketClient {
  name = "chatwootapi";
  files = true;

  constructor(consumer, told) {
    super(consumer, told);
    this.source = kept.get("chatwoot.source") ?? uuid();
    kept.set("chatwoot.source", this.source);
  }

  get at() {
    return `${inbox}/contacts/${this.source}/conversations/${this.conversation}`;
  }

  async open() {
    const contact = await insist(() => call("POST", `${inbox}/contacts`, { source_id: this.source, name: this.consumer.name }));
    this.token = contact.pubsub_token;
    this.conversation = kept.get("chatwoot.conversation");
    if (!this.conversation) await this.begin();
    this.listen();
    await this.reload();
  }

  async begin() {
    const made = await insist(() => call("POST", `${inbox}/contacts/${this.source}/conversations`, {}));
    this.conversation = made.id;
    kept.set("chatwoot.conversation", made.id);
  }

  listen() {
    const identifier = JSON.stringify({ channel: "RoomChannel", pubsub_token: this.token });
    this.connect("/cable", "actioncable-v1-json", () => this.socket.send(JSON.stringify({ command: "subscribe", identifier })), (frame) => this.frame(frame));
  }

  frame(frame) {
    // Nothing is replayed on the cable: what was missed is in the list.
    if (frame.type === "confirm_subscription") return void this.reload();
    if (frame.type || !frame.message) return undefined;
    const { event, data } = frame.message;
    const ours = (data.conversation_id ?? data.conversation?.id ?? data.id) === this.conversation;
    if (!ours) return undefined;
    if (event === "message.created" || event === "message.updated") return this.show(data);
    if (event === "conversation.typing_on") return this.told.typing(true, data.user?.name);
    if (event === "conversation.typing_off") return this.told.typing(false);
    if (event === "conversation.status_changed" && data.status === "resolved") return this.note(stateWords("closed"));
    return undefined;
  }

  async reload() {
    const all = await insist(() => call("GET", `${this.at}/messages`)).catch((error) => {
      if (!(error instanceof Refusal) || error.status !== 404) throw error;
      return [];
    });
    for (const m of all) this.keep(m);
    this.told.messages(this.list());
  }

  keep(data) {
    const known = this.messages.get(data.id);
    const m = { ...fromChatwoot(data), status: data.status ?? known?.status };
    if (known) m.time = known.time;
    this.messages.set(data.id, m);
    return m;
  }

  show(data) {
    const m = this.keep(data);
    if (!m.mine) this.told.typing(false);
    this.told.messages(this.list());
  }

  send(text) {
    return this.queue.add(() => this.post({ content: text }));
  }

  file(file) {
    const form = new FormData();
    form.append("attachments[]", file, file.name);
    return this.queue.add(() => this.post(form));
  }

  // Two posts are two messages here: when no answer came, the list tells whether there is one.
  async post(body) {
    for (let first = true; ; first = false) {
      try {
        const before = Math.max(0, ...this.messages.keys());
        if (!first) {
          await this.reload();
          const there = [...this.messages.values()].some((m) => m.mine && m.id > before && m.text === body.content);
          if (there && body.content) return;
        }
        this.show(await call("POST", `${this.at}/messages`, body));
        return;
      } catch (error) {
        if (error instanceof Refusal && error.status < 500) throw error;
        await pause(500);
      }
    }
  }

  typing(on) {
    return call("POST", `${this.at}/toggle_typing?typing_status=${on ? "on" : "off"}`).catch(() => {});
  }

  choose(message, choice) {
    return this.queue.add(() => insist(() => call("PATCH", `${this.at}/messages/${message.id}`, { submitted_values: [{ title: choice.title, value: choice.id }] })));
  }

  close() {
    return this.queue.add(() => insist(() => call("POST", `${this.at}/toggle_status`)));
  }

  read() {
    return insist(() => call("POST", `${this.at}/update_last_seen`));
  }
}

function fromChatwoot(data) {
  const items = data.content_attributes?.items ?? [];
  const m = {
    id: data.id, mine: data.message_type === incoming, text: data.content ?? "", by: data.sender?.name, face: data.sender?.avatar_url, time: data.created_at * 1000, choices: [], cards: [],
    files: (data.attachments ?? []).map((a) => ({ url: a.data_url, name: a.extension || "file", image: a.file_type === "image" })),
  };
  if (data.content_type === "input_select") m.choices = items.map((i) => ({ id: i.value, title: i.title }));
  if (data.content_type === "article") m.cards = items.map((i) => ({ title: i.title, text: i.description, buttons: [{ title: "Open", href: i.link }] }));
  if (data.content_type === "cards") {
    m.text = "";
    m.cards = items.map((i) => ({
      title: i.title, text: i.description, image: i.media_url,
      buttons: i.actions.map((a) => ({ title: a.text, href: a.uri, choice: a.type === "postback" ? { id: a.payload, title: a.text } : undefined })),
    }));
  }
  if (data.content_type === "input_csat") {
    // The channel asks, and no agent did.
    m.channels = true;
    m.cards = [{ title: "How was it?", text: "", buttons: [{ title: "Rate the conversation", href: data.content?.match(/https?:\/\/\S+/)?.[0] }] }];
  }
  return m;
}
