'use strict';
// @layerhq/web-xdk 4.0.6, Client API 3.0.
require('./lib/browser.js')(process.env.ORIGIN || 'http://consumer.example');
const Layer = require('@layerhq/web-xdk/index-core');
require('@layerhq/web-xdk/core/mixins/client-message-type-models');

require('./lib/journey.js')({
  accept: 'application/vnd.layer+json; version=3.0',
  create: options => Layer.init(options),
  message: (conversation, text) => conversation.createMessage(text),
  query: (client, conversation) => client.createQuery({ model: Layer.Core.Query.Message, predicate: `conversation.id = '${conversation.id}'`, paginationWindow: 25 }),
  conversations: client => client.createQuery({ model: Layer.Core.Query.Conversation, paginationWindow: 25 }),
}).catch(error => {
  console.error(error);
  process.exit(1);
});
