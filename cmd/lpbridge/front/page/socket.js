// What the clients of served protocols share: messages by their ids, notes between
// them, things done one after the other, and a socket that is opened anew.
import { Queue, pause, uuid } from "./common.js";

const again = 800; // ms before the socket is opened anew

export class SocketClient {
  queue = new Queue();
  messages = new Map();
  notes = [];
  wanted = true;

  constructor(consumer, told) {
    Object.assign(this, { consumer, told });
  }

  /** Begins another conversation. */
  async renew() {
    this.messages.clear();
    this.notes = [];
    await this.begin();
    this.told.messages([]);
  }

  shut() {
    this.wanted = false;
    this.socket?.close();
  }

  /** Opens a socket at a path of this address, again and again until the client is shut. */
  connect(path, protocol, opened, heard) {
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`, [protocol]);
    this.socket.addEventListener("open", opened);
    this.socket.addEventListener("message", (e) => heard(JSON.parse(e.data)));
    this.socket.addEventListener("close", async () => {
      this.told.typing(false);
      await pause(again);
      if (this.wanted) this.connect(path, protocol, opened, heard);
    });
  }

  note(text) {
    this.told.typing(false);
    this.notes.push({ id: uuid(), note: text, time: Date.now() });
    this.told.messages(this.list());
  }

  list() {
    return [...this.messages.values()].filter((m) => !m.response).concat(this.notes).sort((a, b) => a.time - b.time || a.id - b.id);
  }
}
