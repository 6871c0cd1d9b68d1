// Drives the chatwootapi channel as an app written for Chatwoot does: REST with
// the chatwoot-sdk package, the cable with Rails' own client, the calls that the
// SDK lacks with fetch.
//
//   BASE_URL  the bridge, such as http://127.0.0.1:8080
//   INBOX     an inbox identifier
//   SIM_URL   the LivePerson simulator; without it the agent's half is left out
//
// Ends with 0 when everything held, else prints what did not and ends with 1.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { setTimeout as pause } from 'node:timers/promises'

const { BASE_URL: base, INBOX: inboxIdentifier, SIM_URL: sim } = process.env
assert.ok(base && inboxIdentifier, 'set BASE_URL and INBOX')

const require = createRequire(import.meta.url)

// Rails' client is made for browsers and looks for these when it is loaded.
globalThis.self = globalThis
globalThis.WebSocket = require('ws')
globalThis.document = { visibilityState: 'visible' }
globalThis.addEventListener = () => {}
globalThis.removeEventListener = () => {}
const { createConsumer } = require('@rails/actioncable')
const ChatwootClient = require('@figuro/chatwoot-sdk').default

const { client } = new ChatwootClient({ config: { basePath: base, with_credentials: false, token: '' } })
const root = `${base}/public/api/v1/inboxes/${inboxIdentifier}`

// What the cable brought, in order.
const heard = []

/** Waits for an event of the cable that fits, and returns its data. */
async function event (name, fits = () => true, seconds = 10) {
  const end = Date.now() + seconds * 1000
  while (Date.now() < end) {
    const found = heard.find(h => h.event === name && fits(h.data))
    if (found) return found.data
    await pause(20)
  }
  assert.fail(`no ${name} within ${seconds} s; heard ${heard.map(h => h.event).join(', ')}`)
}

async function call (method, path, body) {
  const response = await fetch(root + path, {
    method,
    headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body)
  })
  const text = await response.text()
  return { status: response.status, type: response.headers.get('content-type'), text, json: text && text.startsWith('<') === false ? JSON.parse(text) : undefined }
}

async function step (name, run) {
  try {
    await run()
    console.log(`ok    ${name}`)
  } catch (err) {
    console.log(`FAIL  ${name}`)
    throw err
  }
}

const source = randomUUID()
let contact, thread, consumer, subscription
const at = () => `/contacts/${source}/conversations/${thread.id}`
const where = () => ({ inboxIdentifier, contactIdentifier: source, conversationId: thread.id })

await step('inbox', async () => {
  const { status, json } = await call('GET', '')
  assert.equal(status, 200)
  assert.equal(json.identifier, inboxIdentifier)
  assert.equal(json.working_hours.length, 7)
})

await step('contact: create, create again, get, update', async () => {
  const data = { source_id: source, name: 'Ana Silva', email: `${source}@example.com` }
  contact = await client.contacts.create({ inboxIdentifier, data })
  assert.deepEqual(Object.keys(contact), ['source_id', 'pubsub_token', 'id', 'name', 'email', 'phone_number'])
  assert.equal(contact.source_id, source)
  assert.match(contact.pubsub_token, /^[1-9A-HJ-NP-Za-km-z]{24}$/)
  assert.deepEqual(await client.contacts.create({ inboxIdentifier, data }), contact)
  assert.deepEqual(await client.contacts.get({ inboxIdentifier, contactIdentifier: source }), contact)
  const changed = await client.contacts.update({ inboxIdentifier, contactIdentifier: source, data: { custom_attributes: { plan: 'gold' } } })
  assert.equal(changed.id, contact.id)
  assert.equal(changed.pubsub_token, contact.pubsub_token)
  assert.equal(changed.custom_attributes.plan, 'gold')
})

await step('contact: unknown', async () => {
  await assert.rejects(client.contacts.get({ inboxIdentifier, contactIdentifier: randomUUID() }), err => {
    assert.equal(err.status, 404)
    assert.deepEqual(err.body, { status: 404, error: 'Not Found' })
    return true
  })
})

await step('cable: subscribe with Rails\' client', async () => {
  consumer = createConsumer(`${base.replace(/^http/, 'ws')}/cable`)
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('no confirmation')), 5000).unref()
    subscription = consumer.subscriptions.create({ channel: 'RoomChannel', pubsub_token: contact.pubsub_token }, {
      connected: resolve,
      rejected: () => reject(new Error('rejected')),
      received: message => heard.push(message)
    })
  })
})

await step('conversation: create, list', async () => {
  thread = await client.conversations.create({ inboxIdentifier, contactIdentifier: source })
  assert.equal(thread.status, 'open')
  assert.equal(thread.contact.id, contact.id)
  assert.deepEqual(thread.messages, [])
  const list = await client.conversations.list({ inboxIdentifier, contactIdentifier: source })
  assert.deepEqual(list.map(c => c.id), [thread.id])
  const push = await event('conversation.created', d => d.id === thread.id)
  assert.equal(push.contact_inbox.source_id, source)
})

const hello = `hello <${randomUUID()}> & welcome`

await step('message: create, cable, list, page', async () => {
  const message = await client.messages.create({ ...where(), data: { content: hello, echo_id: 'echo-1' } })
  assert.equal(message.content, hello)
  assert.equal(message.message_type, 0)
  assert.equal(message.conversation_id, thread.id)
  assert.ok(Number.isInteger(message.created_at))
  assert.equal('attachments' in message, false)
  const push = await event('message.created', d => d.id === message.id)
  assert.equal(push.echo_id, 'echo-1')
  assert.equal(push.sender.type, 'contact')
  assert.deepEqual(await client.messages.list(where()), [message])
  const page = await call('GET', `${at()}/messages?before=${message.id}`)
  assert.deepEqual(page.json, [])
})

await step('message: file', async () => {
  const form = new FormData()
  form.append('content', 'a file')
  form.append('attachments[]', new Blob(['plain text']), 'note.txt')
  const response = await fetch(`${root}${at()}/messages`, { method: 'POST', body: form })
  assert.equal(response.status, 200)
  const [file] = (await response.json()).attachments
  assert.equal(file.file_type, 'file')
  assert.equal(file.content_type, 'text/plain')
  const path = new URL(file.data_url).pathname
  assert.equal(await (await fetch(base + path)).text(), 'plain text')
})

await step('typing and read marker answer nothing', async () => {
  for (const path of ['/toggle_typing?typing_status=on', '/toggle_typing?typing_status=off', '/toggle_typing', '/update_last_seen']) {
    const { status, text, type } = await call('POST', at() + path)
    assert.deepEqual({ status, text, type }, { status: 200, text: '', type: 'application/json' }, path)
  }
})

await step('cable: presence', async () => {
  heard.length = 0
  subscription.perform('update_presence')
  const presence = await event('presence.update')
  assert.equal(typeof presence.users, 'object')
})

await step('cable: the line stays up', async () => {
  await pause(7000)
  assert.equal(consumer.connection.isOpen(), true)
  assert.equal(consumer.connection.monitor.reconnectAttempts, 0)
})

if (sim) await agentsHalf()

await step('resolve', async () => {
  heard.length = 0
  const { status, json } = await call('POST', `${at()}/toggle_status`)
  assert.equal(status, 200)
  assert.equal(json.status, 'resolved')
  const push = await event('conversation.status_changed')
  assert.equal(push.status, 'resolved')
})

await step('message opens again', async () => {
  await client.messages.create({ ...where(), data: { content: 'one more thing' } })
  const { json } = await call('GET', at())
  assert.equal(json.status, 'open')
})

consumer.disconnect()
console.log('all held')

/** What only happens with an agent on the other side. */
async function agentsHalf () {
  async function ask (method, path, body) {
    const response = await fetch(sim + path, {
      method, headers: { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body)
    })
    assert.ok(response.ok, `${method} ${path}: ${response.status}`)
    return response.json()
  }

  let conversation
  const agent = (what, body = {}) => ask('POST', `/sim/conversations/${conversation}/agent/${what}`, body)
  const sees = async () => (await ask('GET', `/sim/conversations/${conversation}`)).agentSees

  /** Waits until something is so. */
  async function until (what, so) {
    for (let i = 0; i < 500; i++) {
      if (await so()) return
      await pause(20)
    }
    assert.fail(`never: ${what}`)
  }

  await step('agent: sees the message', async () => {
    await until('the message arrives', async () => {
      for (const c of (await ask('GET', '/sim/conversations')).slice(0, 5)) {
        const whole = await ask('GET', `/sim/conversations/${c.conversationId}`)
        if (whole.transcript.some(entry => entry.text === hello)) conversation = c.conversationId
      }
      return conversation !== undefined
    })
  })

  await step('agent: sees the consumer type and stop', async () => {
    await call('POST', `${at()}/toggle_typing`, { typing_status: 'on' })
    await until('typing is seen', async () => (await sees()).consumerTyping === true)
    await call('POST', `${at()}/toggle_typing`, { typing_status: 'off' })
    await until('typing ends', async () => (await sees()).consumerTyping === false)
  })

  await step('agent: joins, types, writes', async () => {
    heard.length = 0
    await agent('join')
    const updated = await event('conversation.updated', d => d.meta.assignee !== null)
    assert.equal(updated.meta.assignee.type, 'user')
    await agent('typing', { chatState: 'COMPOSING' })
    const typing = await event('conversation.typing_on')
    assert.equal(typing.conversation.id, thread.id)
    assert.equal(typing.user.type, 'user')
    assert.equal(typing.is_private, false)
    await agent('messages', { text: 'hi there' })
    const push = await event('message.created', d => d.message_type === 1)
    assert.equal(push.content, 'hi there')
    assert.ok(push.sender.name)
    await event('conversation.typing_off')
    const { json } = await call('GET', `${at()}/messages`)
    assert.equal(json.at(-1).content, 'hi there')
  })

  await step('agent: reads', async () => {
    heard.length = 0
    await agent('read')
    const push = await event('message.updated', d => d.content === hello)
    assert.equal(push.status, 'read')
    assert.equal(push.previous_changes.status[1], 'read')
  })
}
