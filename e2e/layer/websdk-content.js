'use strict';
// What an agent of the simulator sends, as layer-websdk 3.4.18 sees it, which knows no
// message types: the words of everything. Nothing can be clicked there, so what is
// typed is a text. web-xdk's turn is in ../browser, with its UI.
require('./lib/browser.js')(process.env.ORIGIN || 'http://consumer.example');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { setTimeout: pause } = require('node:timers/promises');
const layer = require('layer-websdk');
const { env, json } = require('./lib/http.js');

async function until(what, check) {
  for (const end = Date.now() + 20000; Date.now() < end; await pause(30)) {
    const value = await check();
    if (value) {
      console.log(`ok   ${what}`);
      return value;
    }
  }
  return assert.fail(`never: ${what}`);
}

async function main() {
  const user = `consumer-${crypto.randomBytes(4).toString('hex')}`;
  const hash = crypto.createHmac('sha256', env('CONSUMER_KEY')).update(`layer\0${user}`).digest('hex');
  const consumer = `layer:${hash.slice(0, 40)}`;
  const base = env('BASE_URL');
  const client = new layer.Client({ appId: env('APP_ID'), url: base, websocketUrl: base.replace(/^http/, 'ws'), telemetryEnabled: false, isTrustedDevice: false });
  const received = [];
  client.on('messages:notify', evt => received.push(evt.message));
  client.on('challenge', evt => json(env('IDENTITY_URL'), { nonce: evt.nonce, user_id: user }).then(a => evt.callback(a.identity_token)));
  await new Promise(resolve => { client.on('ready', resolve); client.connect(user); });
  const conversation = client.createConversation({ participants: ['layer:///identities/agent'], distinct: false });
  const say = text => conversation.createMessage({ parts: [{ body: text, mimeType: 'text/plain' }] }).send();
  say('hello');

  const seen = async () => {
    const found = (await json(`${env('SIM_URL')}/sim/conversations`)).find(c => c.extConsumerId === consumer);
    return found && json(`${env('SIM_URL')}/sim/conversations/${found.conversationId}`);
  };
  const { conversationId } = await until('the agent has it', async () => { const c = await seen(); return c && c.transcript.some(e => e.text === 'hello') && c; });
  const agent = body => json(`${env('SIM_URL')}/sim/conversations/${conversationId}/agent/messages`, body);
  const words = message => message && message.parts.map(p => p.body).join('\n');
  const shows = (what, text) => until(what, () => received.some(m => words(m).includes(text)));

  const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  await agent({ file: { caption: 'Our shop', fileType: 'PNG', contentBase64: pixel } });
  await shows('the picture by its name and address', 'Our shop.png http');
  const button = (title, text) => ({ type: 'button', title, click: { actions: [{ type: 'publishText', text }] } });
  await agent({ rich: { type: 'vertical', elements: [{ type: 'text', text: 'Shoes' }, button('Red', 'I want red'), button('Blue', 'I want blue')] } });
  await shows('the card in words', 'Shoes\n- Red\n- Blue');
  await agent({ text: 'Shall we?', quickReplies: ['Yes', 'No'] });
  await shows('the quick replies in words', 'Shall we?\n• Yes\n• No');
  say('Yes');
  await until('what is typed arrives', async () => (await seen()).transcript.some(e => e.role === 'CONSUMER' && e.text === 'Yes'));
  assert.ok(!(await seen()).transcript.some(e => e.status === 'ACTION'), 'what is typed is no click');
  process.exit(0);
}

main().catch(error => {
  console.error(error);
  process.exit(1);
});
