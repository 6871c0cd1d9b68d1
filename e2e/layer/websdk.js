'use strict';
// layer-websdk 3.4.18, Client API 2.0.
require('./lib/browser.js')(process.env.ORIGIN || 'http://consumer.example');
const layer = require('layer-websdk');

require('./lib/journey.js')({
  accept: 'application/vnd.layer+json; version=2.0',
  create: options => new layer.Client(options),
  message: (conversation, text) => conversation.createMessage({ parts: [{ body: text, mimeType: 'text/plain' }] }),
  query: (client, conversation) => client.createQuery({ model: layer.Query.Message, predicate: `conversation.id = '${conversation.id}'`, paginationWindow: 25 }),
  conversations: client => client.createQuery({ model: layer.Query.Conversation, paginationWindow: 25 }),
}).catch(error => {
  console.error(error);
  process.exit(1);
});
