// An app built on Layer's client API 3.0: REST for what the consumer does, the
// WebSocket for what agents do.
import { Refusal, call, insist, kept, uuid } from "./common.js";
import { SocketClient } from "./socket.js";
import { stateWords } from "./webhook.js";

const accept = { Accept: "application/vnd.layer+json; version=3.0" };
const states = { started: true, paused: false, finished: false };

export class LayerClient extends SocketClient {
  name = "layer";
  received = new Set();

  constructor(consumer, told) {
    super(consumer, told);
    this.session = kept.get("layer.session");
    this.conversation = kept.get("layer.conversation");
  }

  async open() {
    if (!this.session) await this.login();
    if (!this.conversation) await this.begin();
    this.listen();
    await this.reload();
  }

  async login() {
    const { nonce } = await insist(() => call("POST", "/layer/nonces", undefined, accept));
    const { identity_token } = await insist(() => call("POST", "/layer/sandbox/identity_token", { nonce, user_id: this.consumer.id, display_name: this.consumer.name, first_name: this.consumer.name }));
    const { session_token } = await insist(() => call("POST", "/layer/sessions", { identity_token, app_id: "layer:///apps/staging/sandbox" }, accept));
    this.session = session_token;
    kept.set("layer.session", session_token);
  }

  async begin() {
    const made = await this.ask("POST", "/conversations", { participants: ["layer:///identities/agent"], distinct: false });
    this.conversation = made.id.split("/").at(-1);
    kept.set("layer.conversation", this.conversation);
  }

  ask(method, path, body) {
    return insist(() => call(method, `/layer${path}`, body, { ...accept, Authorization: `Layer session-token="${this.session}"` }));
  }

  listen() {
    // What was missed while there was no socket is in the list.
    this.connect(`/layer/?session_token=${this.session}`, "layer-3.0", () => this.reload(), (packet) => this.packet(packet));
  }

  packet({ type, body }) {
    if (type === "signal" && body.type === "typing_indicator" && body.object.id.endsWith(this.conversation)) {
      return this.told.typing(states[body.data.action] ?? false, body.data.sender?.display_name);
    }
    if (type !== "change") return undefined;
    if (body.object.type === "Message") return void this.reload();
    const state = [body.data].flat().find((o) => o?.property === "metadata.state")?.value;
    if (state && body.object.id.endsWith(this.conversation)) this.note(stateWords(state));
    return undefined;
  }

  // Changes come in crowds; one reading after the last of them is enough.
  async reload() {
    if (this.reading) {
      this.more = true;
      return;
    }
    this.reading = true;
    try {
      do {
        this.more = false;
        const all = await this.ask("GET", `/conversations/${this.conversation}/messages?page_size=100`);
        for (const m of all.reverse()) this.take(m);
      } while (this.more);
    } finally {
      this.reading = false;
    }
    this.told.messages(this.list());
  }

  take(data) {
    const m = fromLayer(data, this.consumer.id);
    this.messages.set(data.id, m);
    // What is shown stays as it is when it is read again: a message drawn anew under
    // the finger takes no click.
    if (m.mine || this.received.has(m.id)) return;
    this.received.add(m.id);
    this.told.typing(false);
    this.ask("POST", `/messages/${data.id.split("/").at(-1)}/receipts`, { type: "delivery" });
  }

  // The client chooses the id of a message, so that posting it again is the same message.
  post(parts, shown) {
    const id = `layer:///messages/${uuid()}`;
    if (shown) {
      this.messages.set(id, { id, mine: true, text: shown, time: Date.now(), status: "sending", choices: [], cards: [], files: [] });
      this.told.messages(this.list());
    }
    return this.queue.add(async () => {
      const made = await this.ask("POST", `/conversations/${this.conversation}/messages`, { id, parts }).catch((error) => {
        // It was made by a request whose answer was lost.
        if (!(error instanceof Refusal) || error.status !== 409) throw error;
      });
      if (made) this.take(made);
      this.told.messages(this.list());
    });
  }

  send(text) {
    return this.post([{ mime_type: "text/plain", body: text }], text);
  }

  typing(on) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const object = { type: "Conversation", id: `layer:///conversations/${this.conversation}` };
    this.socket.send(JSON.stringify({ type: "signal", body: { type: "typing_indicator", object, data: { action: on ? "started" : "finished" } } }));
  }

  choose(message, choice) {
    const body = { response_to: message.id, response_to_node_id: choice.node, changes: [{ operation: "add", type: "LWWN", value: choice.id, name: choice.name, id: uuid(), identity_id: this.consumer.id }] };
    const status = { text: choice.title };
    return this.post([
      { mime_type: "application/vnd.layer.response-v2+json;role=root", body: JSON.stringify(body) },
      { mime_type: "application/vnd.layer.status+json;role=status", body: JSON.stringify(status) },
    ]);
  }

  async close() {
    await this.queue.add(() => this.ask("DELETE", `/conversations/${this.conversation}?mode=all_participants`));
    await this.renew();
    this.note("You closed the conversation; here begins another one");
  }

  async read(messages) {
    for (const m of messages) await this.ask("POST", `/messages/${m.id.split("/").at(-1)}/receipts`, { type: "read" });
  }
}

function fromLayer(data, me) {
  const m = { id: data.id, mine: data.sender.user_id === me, by: data.sender.display_name, face: data.sender.avatar_url, time: Date.parse(data.sent_at), text: "", choices: [], cards: [], files: [] };
  if (m.mine) m.status = Object.entries(data.recipient_status).find(([id]) => !id.endsWith(`/${me}`))?.[1] ?? "sent";
  const cards = new Map();
  for (const part of data.parts) {
    const [type, ...attributes] = part.mime_type.split(";").map((s) => s.trim());
    const of = Object.fromEntries(attributes.map((a) => a.split("=")));
    if (type === "text/plain") m.text = part.body;
    const kind = type.match(/^application\/vnd\.layer\.(.+)\+json$/)?.[1];
    if (!kind) continue;
    const body = JSON.parse(part.body);
    const node = part.id.split("/").at(-1);
    // What stands below buttons belongs to their card.
    const card = () => cards.get(of["parent-node-id"]) ?? cards.set(node, { title: "", text: "", buttons: [] }).get(node);
    if (kind === "choice") Object.assign(m, { text: body.label ?? "", choices: body.choices.map((c) => ({ id: c.id, title: c.text, node, name: body.response_name })) });
    if (kind === "buttons") card().buttons.push(...body.buttons.map((b) => button(b, node)));
    if (kind === "product") Object.assign(card(), { title: body.name, text: body.description, image: body.image_urls?.[0] });
    if (kind === "text") card().title = body.text;
    if (kind === "image" || kind === "file") m.files.push({ url: body.source_url, name: body.title ?? "file", image: kind === "image" });
    if (kind.startsWith("response")) m.response = true;
  }
  m.cards = [...cards.values()];
  return m;
}

function button(b, node) {
  if (b.type === "action") return { title: b.text, href: b.data?.url };
  const [choice] = b.choices;
  return { title: choice.text, choice: { id: choice.id, title: choice.text, node, name: b.data.response_name } };
}
