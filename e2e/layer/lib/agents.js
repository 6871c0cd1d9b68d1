'use strict';
// Who is on the other side of the journey: the agent of a simulated LivePerson
// with the whole bridge before them (SIM_URL), or one right behind the channel,
// as the Go test serves it (AGENT_URL). Both speak in the channel's words.
const { setTimeout: pause } = require('node:timers/promises');
const { createHmac } = require('node:crypto');
const { env, json } = require('./http.js');

// What LivePerson calls it.
const chatStates = { composing: 'COMPOSING', paused: 'PAUSE', stopped: 'ACTIVE' };
const statuses = { delivered: 'ACCEPT', read: 'READ' };
const wordFor = (words, theirs) => Object.keys(words).find(word => words[word] === theirs) || theirs;

// An instant with all its digits, so that instants compare as text.
const instant = time => time.replace(/(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/, (_, digits = '', zone) => `.${digits.padEnd(9, '0')}${zone}`);

class SimulatedLivePerson {
  // whole says that time passes on this side: typing that is not renewed ends.
  whole = true;

  constructor({ user }) {
    // As the bridge makes it (bridge.ExtConsumerID).
    const hash = createHmac('sha256', env('CONSUMER_KEY')).update(`layer\0${user}`).digest('hex');
    this.consumer = `layer:${hash.slice(0, 40)}`;
  }

  async conversation() {
    const all = await json(`${env('SIM_URL')}/sim/conversations`);
    const found = all.filter(c => c.extConsumerId === this.consumer);
    if (found.length > 1) throw new Error(`the consumer has ${found.length} conversations`);
    return found.length === 0 ? null : json(`${env('SIM_URL')}/sim/conversations/${found[0].conversationId}`);
  }

  async act(what, body) {
    const { conversationId } = await this.conversation();
    return json(`${env('SIM_URL')}/sim/conversations/${conversationId}/agent/${what}`, body);
  }

  // A manager writes beside the agent; a second agent would take their place.
  as(who) {
    return { agentId: who, role: who === 'agent-1' ? 'ASSIGNED_AGENT' : 'MANAGER' };
  }

  // heard is what the consumer did, in order: messages as {text}, typing as words.
  async heard() {
    const conversation = await this.conversation();
    if (!conversation) return [];
    const messages = conversation.transcript.filter(e => e.type === 'ContentEvent').map(e => ({ ...e, what: { text: e.text } }));
    const typing = conversation.chatStates.map(e => ({ ...e, what: wordFor(chatStates, e.chatState) }));
    return [...messages, ...typing].filter(e => e.role === 'CONSUMER')
      .sort((a, b) => (instant(a.time) < instant(b.time) ? -1 : 1)).map(e => e.what);
  }

  // told is what becomes of typing on its way: to LivePerson a pause and a stop
  // are one, and it hears only of changes.
  told(states) {
    return states.filter((state, i) => !(state === 'stopped' && states[i - 1] === 'paused'));
  }

  async seesTyping() {
    return (await this.conversation()).agentSees.consumerTyping;
  }

  async receipts(id) {
    const { agentSees } = await this.conversation();
    return agentSees.receipts.filter(r => `${r.dialogId}:${r.sequence}` === id).map(r => wordFor(statuses, r.status));
  }

  acknowledges(status) { return this.act('read', { ...this.as('agent-1'), status: statuses[status] }); }
  types(who, state) { return this.act('typing', { ...this.as(who), chatState: chatStates[state] }); }

  // keepsTyping lets time pass: LivePerson says once that somebody composes.
  keepsTyping(_, seconds) { return pause(seconds * 1000); }

  // writes returns the message's id. What ends the writer's typing is the bridge.
  async writes(who, text) {
    const { dialogId, sequence } = await this.act('messages', { ...this.as(who), text });
    return `${dialogId}:${sequence}`;
  }

  joins() { return this.act('join', this.as('agent-1')); }
}

class AgentBehindTheChannel {
  whole = false;
  written = 0;

  constructor({ thread }) {
    this.thread = thread;
  }

  act(what, data) { return json(`${env('AGENT_URL')}/${what}`, { thread: this.thread, ...data }); }

  async events(type) {
    const events = await json(`${env('AGENT_URL')}/events`);
    return events.filter(e => e.thread === this.thread && type.includes(e.type));
  }

  // heard leaves out the repeats, which the core of the bridge takes away.
  async heard() {
    const all = (await this.events(['message', 'typing'])).map(e => (e.type === 'typing' ? e.typing.state : { text: e.message.text }));
    return all.filter((what, i) => what.text !== undefined || what !== all[i - 1]);
  }

  told(states) { return states; }

  async seesTyping() {
    return (await this.events(['typing'])).at(-1)?.typing.state === 'composing';
  }

  async receipts(id) {
    return (await this.events(['receipt'])).filter(e => e.receipt.messageIds.includes(id)).map(e => e.receipt.status);
  }

  acknowledges(status) { return this.act('receipt', { status }); }
  types(who, state) { return this.act('typing', { agent: who, state }); }

  // keepsTyping repeats, as the core does for Layer.
  async keepsTyping(who, seconds) {
    for (let passed = 0; passed < seconds; passed += 2.5) {
      await pause(2500);
      await this.types(who, 'composing');
    }
  }

  // writes ends the writer's typing, as the core does.
  async writes(who, text) {
    const id = `dialog-1:${this.written++}`;
    await this.act('message', { agent: who, id, text });
    await this.types(who, 'stopped');
    return id;
  }

  joins() { return this.act('state', { state: 'joined' }); }
}

// meet returns the agent of a consumer's thread.
module.exports = where => (process.env.SIM_URL ? new SimulatedLivePerson(where) : new AgentBehindTheChannel(where));
