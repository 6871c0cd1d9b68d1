'use strict';
// What a consumer does with an app, and what they must see. The same for every
// SDK, whose calls `sdk` hides, and for every agent (lib/agents.js).
//
// BASE_URL is the channel's public base (…/layer), IDENTITY_URL an identity
// provider, LOSE_URL, if set, somebody who takes the socket away when asked.
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { isDeepStrictEqual } = require('node:util');
const { setTimeout: pause } = require('node:timers/promises');
const { env, json } = require('./http.js');
const meet = require('./agents.js');

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
    await pause(20);
  }
}

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
  const signals = [];
  client.socketManager.on('message', ({ data }) => { if (data.type === 'signal') signals.push(data.body.data.action); });
  const nobodyTypes = () => typing.length > 0 && typing.at(-1).typing.length === 0 && typing.at(-1).paused.length === 0;
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
  const agent = meet({ user, thread });
  const heard = [];
  // hears waits for what the consumer did to arrive, and that in all nothing else did.
  const hears = async (what, ...news) => {
    heard.push(...news);
    let now;
    const end = Date.now() + 20000;
    do {
      await pause(20);
      now = await agent.heard();
    } while (!isDeepStrictEqual(now, heard) && Date.now() < end);
    assert.deepEqual(now, heard, what);
    say(`ok   ${what}`);
  };
  const text = `hello ${crypto.randomBytes(3).toString('hex')} é 😀`;
  const first = sdk.message(conversation, text);
  first.send();
  await until('message sent', () => first.isSynced());
  await hears('agent has it', { text });
  const long = `long ${'x'.repeat(3000)} é`;
  const second = sdk.message(conversation, long);
  second.send();
  await until('long message sent', () => second.isSynced());
  await hears('agent has all of it', { text: long });

  await agent.acknowledges('delivered');
  await until('agent got it', () => first.recipientStatus['layer:///identities/agent'] === 'delivered');
  await agent.acknowledges('read');
  await until('agent read it', () => first.recipientStatus['layer:///identities/agent'] === 'read');

  // Typing out. Left alone the SDK goes from started to paused to finished.
  const publisher = client.createTypingPublisher();
  publisher.setConversation(conversation);
  // One key is not told of when that takes until it is over, as on a disk that is busy:
  // who types goes on.
  const composes = (who = publisher) => until('agent sees typing', () => {
    who.setState('started');
    return agent.seesTyping();
  });
  await composes();
  await hears('agent sees its end', ...agent.told(['composing', 'paused', 'stopped']));
  assert.equal(await agent.seesTyping(), false);

  // A long burst, whose signals are repeated, ends with its message.
  await composes();
  for (let strokes = 0; strokes < 12; strokes++) {
    await pause(500);
    publisher.setState('started');
  }
  assert.equal(await agent.seesTyping(), true);
  const order = 'my order is late';
  sdk.message(conversation, order).send();
  publisher.setState('finished');
  await hears('agent sees what came of the typing', 'composing', { text: order }, 'stopped');

  // A burst with a pause in it.
  await composes();
  publisher.setState('paused');
  await until('agent sees the pause', async () => !await agent.seesTyping());
  await composes();
  publisher.setState('finished');
  await hears('agent sees each change', 'composing', 'paused', 'composing', 'stopped');
  assert.equal(await agent.seesTyping(), false);

  if (agent.whole) {
    await composes();
    publisher.destroy();
    await hears('silence ends typing', 'composing', 'paused');
  }

  // Typing in: it must not flicker while it lasts, which is longer than the SDK
  // believes one signal.
  await agent.types('agent-1', 'composing');
  await until('typing is shown', () => typing.length > 0 && typing.at(-1).typing.includes('layer:///identities/agent'));
  const shown = typing.length;
  await agent.keepsTyping('agent-1', 12.5);
  assert.ok(typing.slice(shown).every(t => t.typing.length === 1), 'typing flickered');
  await agent.types('agent-2', 'composing');
  await until('two typists are shown', () => typing.at(-1).typing.length === 2);
  await agent.types('agent-1', 'stopped');
  await until('the other one stays', () => typing.at(-1).typing.length === 1 && typing.at(-1).typing[0] !== 'layer:///identities/agent');
  await agent.types('agent-2', 'paused');
  await until('a pause is shown', () => typing.at(-1).typing.length === 0 && typing.at(-1).paused.length === 1);
  await agent.types('agent-2', 'stopped');
  await until('typing ended', nobodyTypes);

  // In: the message, which ends its writer's typing, its unread count, and both
  // receipts.
  signals.length = 0;
  await agent.types('agent-1', 'composing');
  await until('typing is shown before a message', () => typing.at(-1).typing.length === 1);
  await agent.keepsTyping('agent-1', 5);
  const answerID = await agent.writes('agent-1', 'how can I help?');
  const answer = await until('agent\'s message is shown', () => received.find(m => m && textOf(m) === 'how can I help?'));
  await until('typing ended with it', nobodyTypes);
  // Until the next repeat would have come.
  await pause(3000);
  assert.match(signals.join(), /^(started,)+finished$/);
  assert.equal(answer.sender.id, 'layer:///identities/agent');
  await until('it is unread', () => conversation.unreadCount === 1);
  await until('the SDK says that it arrived', () => answer.recipientStatus[client.user.id] === 'delivered');
  answer.isRead = true;
  await until('agent is told that it was read', async () => (await agent.receipts(answerID)).includes('read'));
  await until('nothing is unread', () => conversation.unreadCount === 0);
  const questionID = await agent.writes('agent-2', 'are you there?');
  const question = await until('another agent\'s message is shown', () => received.find(m => m && textOf(m) === 'are you there?'));
  await until('it is the last message', () => conversation.lastMessage && conversation.lastMessage.id === question.id);
  conversation.markAllMessagesAsRead();
  await until('agent is told that all was read', async () => (await agent.receipts(questionID)).includes('read'));
  await until('history is there', () => query.data.length === 5);

  await agent.joins();
  await until('state is shown', () => conversation.metadata.state === 'joined');
  conversation.setMetadataProperties({ topic: 'order' });
  await until('metadata is stored', async () => conversation.isSynced() && conversation.metadata.topic === 'order');

  // The socket is lost, with both sides typing, something happens, the SDK comes
  // back and is told.
  await agent.types('agent-1', 'composing');
  await until('typing is shown again', () => typing.at(-1).typing.length === 1);
  const last = client.createTypingPublisher();
  last.setConversation(conversation);
  await composes(last);
  last.destroy();
  assert.equal(replays, 0, 'the SDK missed a counter');
  if (process.env.LOSE_URL) await json(process.env.LOSE_URL, {});
  else client.socketManager._socket.close();
  await until('socket is lost', () => !client.socketManager.isOpen);
  await hears('agent sees that it is over', 'composing', ...(agent.whole ? ['paused'] : []));
  const missedID = await agent.writes('agent-1', 'while you were away');
  await until('SDK is back', () => client.socketManager.isOpen, 45);
  await until('missed message is shown', () => received.find(m => m && textOf(m) === 'while you were away'));
  assert.ok(replays >= 1, 'nothing was replayed');
  await until('nobody types', nobodyTypes);
  const back = sdk.message(conversation, 'back again');
  back.send();
  await hears('agent hears of the consumer again', { text: 'back again' });
  // The SDK says by itself what it got, also what it missed before.
  const arrived = ['delivered'];
  await until('agent is told of the missed message', async () => isDeepStrictEqual(await agent.receipts(missedID), arrived));
  for (const id of [answerID, questionID]) assert.deepEqual(await agent.receipts(id), [...arrived, 'read']);

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
