'use strict';
// The consumer's page: Layer's web-xdk with its own UI, in a browser. drive.mjs
// bundles it, and gives it where things are (window.where) and an identity
// provider (window.identify).
const Layer = require('@layerhq/web-xdk');

const { appId, base, user, conversationId } = window.where;

const client = Layer.init({
  appId, url: base, websocketUrl: base.replace(/^http/, 'ws'), telemetryEnabled: false, isTrustedDevice: false, isPersistenceEnabled: false,
  googleMapsKey: 'none',
});
client.on('challenge', evt => { window.identify(evt.nonce).then(evt.callback); });
client.on('ready', () => {
  let conversation;
  if (conversationId) {
    // Another device of the same consumer.
    conversation = client.getConversation(conversationId, true);
  } else {
    conversation = client.createConversation({ participants: ['layer:///identities/agent'], distinct: false });
    conversation.createMessage('hello, I need shoes').send();
  }
  window.conversationId = conversation.id;
  const view = document.createElement('layer-conversation-view');
  view.client = client;
  view.conversation = conversation;
  document.body.appendChild(view);
});
client.connect(user);
