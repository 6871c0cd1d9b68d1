'use strict';
// What a consumer does with an app, and what they must see. The same for every
// SDK; `sdk` hides how each is called.
//
// BASE_URL is the channel's public base (…/layer), AGENT_URL the agent's side as
// the Go test serves it, IDENTITY_URL an identity provider.
const assert = require('node:assert/strict');
const crypto = require('node:crypto');

const env = name => {
  const value = process.env[name];
  assert.ok(value, `${name} must be set`);
  return value;
};

const began = Date.now();
const say = text => console.log(`${((Date.now() - began) / 1000).toFixed(2)} ${text}`);

// until waits for something to become true, and names it when it does not.
async function until(what, check, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await check();
    if (value) {
      say(`ok   ${what}`);
      return value;
    }
    assert.ok(Date.now() < end, `timed out: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

async function json(url, body) {
  const answer = await fetch(url, body === undefined ? {} : {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${url}: ${answer.status}`);
  return answer.status === 204 ? null : answer.json();
}

const agent = {
  act: (what, data) => json(`${env('AGENT_URL')}/${what}`, data),
  seen: () => json(`${env('AGENT_URL')}/events`),
};

const textOf = message => {
  let text;
  message.parts.forEach(part => {
    if (part.mimeType === 'text/plain') text = part.body;
    else if (part.mimeType.startsWith('application/vnd.layer.text+json')) text = JSON.parse(part.body).text;
  });
  return text;
};

module.exports = async function journey(sdk) {
  const user = `consumer-${crypto.randomBytes(4).toString('hex')}`;
  const identify = nonce => json(env('IDENTITY_URL'), { nonce, user_id: user }).then(a => a.identity_token);
  const base = env('BASE_URL');
  const client = sdk.create({
    appId: env('APP_ID'), url: base, websocketUrl: base.replace(/^http/, 'ws'), telemetryEnabled: false, isTrustedDevice: false,
  });
  const problems = [];
  let logins = 0;
  client.on('challenge', evt => { logins++; identify(evt.nonce).then(evt.callback, error => problems.push(error)); });
  let ready = false;
  client.on('ready', () => { ready = true; });

  client.connect(user);
  await until('login', () => ready);
  assert.equal(client.user.userId, user);
  await until('socket', () => client.socketManager.isOpen);

  const typing = [];
  client.on('typing-indicator-change', evt => typing.push({ at: Date.now(), typing: evt.typing.map(i => i.id), paused: evt.paused.map(i => i.id) }));
  const received = [];
  client.on('messages:notify', evt => received.push(evt.message));
  // A replay before the socket is lost would mean that our counters have gaps.
  let replays = 0;
  const send = client.socketManager.send.bind(client.socketManager);
  client.socketManager.send = frame => { if (JSON.stringify(frame).includes('Event.replay')) replays++; return send(frame); };

  const conversation = client.createConversation({ participants: ['layer:///identities/agent'], distinct: false, metadata: { title: 'example' } });
  conversation.send();
  await until('conversation created', () => conversation.isSaved() && !conversation.isSaving() && conversation.isSynced());
  const thread = conversation.id.replace(/^.*\//, '');
  assert.equal(conversation.participants.length, 2);

  const query = sdk.query(client, conversation);
  const conversations = sdk.conversations(client);
  await until('conversations listed', () => conversations.data.length === 1 && conversations.totalSize === 1);

  // Out: text in both forms the SDK knows, and one so long that it is uploaded.
  const text = `hello ${crypto.randomBytes(3).toString('hex')} é 😀`;
  const first = sdk.message(conversation, text);
  first.send();
  await until('message sent', () => first.isSynced());
  await until('agent has it', async () => (await agent.seen()).some(e => e.type === 'message' && e.thread === thread && e.message.text === text));
  const long = `long ${'x'.repeat(4000)} é`;
  const second = sdk.message(conversation, long);
  second.send();
  await until('long message sent', () => second.isSynced());
  await until('agent has all of it', async () => (await agent.seen()).some(e => e.type === 'message' && e.message.text === long));

  await agent.act('receipt', { thread, status: 'delivered' });
  await until('agent got it', () => first.recipientStatus['layer:///identities/agent'] === 'delivered');
  await agent.act('receipt', { thread, status: 'read' });
  await until('agent read it', () => first.recipientStatus['layer:///identities/agent'] === 'read');

  // Typing out: the SDK goes from started to paused to finished by itself.
  const publisher = client.createTypingPublisher();
  publisher.setConversation(conversation);
  publisher.setState('started');
  const states = async () => (await agent.seen()).filter(e => e.type === 'typing').map(e => e.typing.state);
  await until('agent sees typing', async () => (await states()).includes('composing'));
  await until('agent sees its end', async () => (await states()).join() === 'composing,paused,stopped');

  // Typing in: it must not flicker while it lasts, which is longer than the SDK
  // believes one signal.
  await agent.act('typing', { thread, agent: 'agent-1', state: 'composing' });
  await until('typing is shown', () => typing.length > 0 && typing.at(-1).typing.includes('layer:///identities/agent'));
  const shown = typing.length;
  for (let i = 0; i < 4; i++) {
    await new Promise(resolve => setTimeout(resolve, 2500));
    await agent.act('typing', { thread, agent: 'agent-1', state: 'composing' });
  }
  assert.ok(typing.slice(shown).every(t => t.typing.length === 1), 'typing flickered');
  await agent.act('typing', { thread, agent: 'agent-2', state: 'composing' });
  await until('two typists are shown', () => typing.at(-1).typing.length === 2);
  await agent.act('typing', { thread, agent: 'agent-1', state: 'stopped' });
  await until('the other one stays', () => typing.at(-1).typing.length === 1 && typing.at(-1).typing[0] !== 'layer:///identities/agent');
  await agent.act('typing', { thread, agent: 'agent-2', state: 'paused' });
  await until('a pause is shown', () => typing.at(-1).typing.length === 0 && typing.at(-1).paused.length === 1);
  await agent.act('typing', { thread, agent: 'agent-2', state: 'stopped' });
  await until('typing ended', () => typing.at(-1).typing.length === 0 && typing.at(-1).paused.length === 0);

  // In: the message, its unread count, and both receipts.
  await agent.act('message', { thread, agent: 'agent-1', id: 'dialog-1:7', text: 'how can I help?' });
  const answer = await until('agent\'s message is shown', () => received.find(m => m && textOf(m) === 'how can I help?'));
  assert.equal(answer.sender.id, 'layer:///identities/agent');
  await until('it is unread', () => conversation.unreadCount === 1);
  const receipts = async () => (await agent.seen()).filter(e => e.type === 'receipt' && e.receipt.messageIds.includes('dialog-1:7')).map(e => e.receipt.status);
  await until('agent is told that it arrived', async () => (await receipts()).includes('delivered'));
  answer.isRead = true;
  await until('agent is told that it was read', async () => (await receipts()).includes('read'));
  await until('nothing is unread', () => conversation.unreadCount === 0);
  await agent.act('message', { thread, agent: 'agent-2', id: 'dialog-1:8', text: 'are you there?' });
  const third = await until('another agent\'s message is shown', () => received.find(m => m && textOf(m) === 'are you there?'));
  await until('it is the last message', () => conversation.lastMessage && conversation.lastMessage.id === third.id);
  conversation.markAllMessagesAsRead();
  await until('agent is told that all was read', async () => (await agent.seen()).some(e => e.type === 'receipt' && e.receipt.status === 'read' && e.receipt.messageIds.includes('dialog-1:8')));
  await until('history is there', () => query.data.length === 4);

  await agent.act('state', { thread, state: 'joined' });
  await until('state is shown', () => conversation.metadata.state === 'joined');
  conversation.setMetadataProperties({ topic: 'order' });
  await until('metadata is stored', async () => conversation.isSynced() && conversation.metadata.topic === 'order');

  // The socket is lost, something happens, the SDK comes back and is told.
  await agent.act('typing', { thread, agent: 'agent-1', state: 'composing' });
  await until('typing is shown again', () => typing.at(-1).typing.length === 1);
  assert.equal(replays, 0, 'the SDK missed a counter');
  client.socketManager._socket.close();
  await until('socket is lost', () => !client.socketManager.isOpen);
  await agent.act('message', { thread, agent: 'agent-1', id: 'dialog-1:9', text: 'while you were away' });
  await until('SDK is back', () => client.socketManager.isOpen, 45);
  await until('missed message is shown', () => received.find(m => m && textOf(m) === 'while you were away'));
  assert.ok(replays >= 1, 'nothing was replayed');

  assert.deepEqual(problems, []);
  assert.equal(logins, 1);
  const token = client.sessionToken;
  await new Promise(resolve => client.logout(resolve));
  const gone = await fetch(`${base}/conversations`, { headers: { accept: sdk.accept, authorization: `Layer session-token="${token}"` } });
  assert.equal(gone.status, 401);
  say('ok   logout');
  // The SDK's own timers would keep the process.
  process.exit(0);
};
