// What an agent of the simulator sends, as the published Chatwoot client sees it: a
// picture, a card with two buttons, quick replies; and the clicks on the way back.
//
//   BASE_URL  the bridge, INBOX an inbox identifier, SIM_URL the simulator
//
// Ends with 0 when everything held.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { setTimeout as pause } from 'node:timers/promises'

const { BASE_URL: base, INBOX: inboxIdentifier, SIM_URL: sim } = process.env
assert.ok(base && inboxIdentifier && sim, 'set BASE_URL, INBOX and SIM_URL')
const ChatwootClient = createRequire(import.meta.url)('@figuro/chatwoot-sdk').default
const { client } = new ChatwootClient({ config: { basePath: base, with_credentials: false, token: '' } })

async function until (what, so) {
  for (const end = Date.now() + 20_000; Date.now() < end; await pause(30)) {
    const value = await so()
    if (value) {
      console.log(`ok    ${what}`)
      return value
    }
  }
  assert.fail(`never: ${what}`)
}

async function ask (method, path, body) {
  const answer = await fetch(sim + path, { method, headers: { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) })
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`)
  return answer.json()
}

const source = randomUUID()
const words = `hello ${source}`
await client.contacts.create({ inboxIdentifier, data: { source_id: source, name: 'Ana' } })
const { id: conversationId } = await client.conversations.create({ inboxIdentifier, contactIdentifier: source })
const where = { inboxIdentifier, contactIdentifier: source, conversationId }
await client.messages.create({ ...where, data: { content: words } })
const message = fits => async () => (await client.messages.list(where)).find(fits)

const whole = id => ask('GET', `/sim/conversations/${id}`)
const { conversationId: liveperson } = await until('the agent has it', async () => {
  for (const c of (await ask('GET', '/sim/conversations')).slice(0, 5)) {
    const found = await whole(c.conversationId)
    if (found.transcript.some(e => e.text === words)) return found
  }
})
const agent = body => ask('POST', `/sim/conversations/${liveperson}/agent/messages`, body)

// Whatever was said last, with what LivePerson was told before it.
async function clicked (text, metadata) {
  const own = await until(`the agent reads "${text}"`, async () => {
    const said = (await whole(liveperson)).transcript.filter(e => e.role === 'CONSUMER' && (e.status === 'ACTION' || e.type === 'ContentEvent'))
    return said.at(-1)?.text === text && said
  })
  assert.equal(own.at(-2).status, 'ACTION')
  assert.deepEqual(own.at(-2).metadata, metadata)
}

const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
await agent({ file: { caption: 'Our shop', fileType: 'PNG', contentBase64: pixel } })
const { attachments: [picture] } = await until('the picture', message(m => m.attachments?.length === 1))
assert.equal(picture.file_type, 'image')
const bytes = Buffer.from(await (await fetch(picture.data_url)).arrayBuffer())
assert.equal(bytes.toString('base64'), pixel)

const button = (title, text) => ({ type: 'button', title, click: { metadata: [{ type: 'ExternalId', id: title }], actions: [{ type: 'publishText', text }] } })
await agent({
  rich: {
    type: 'vertical',
    elements: [{ type: 'image', url: picture.data_url }, { type: 'text', text: 'Shoes' }, button('Red', 'I want red'), button('Blue', 'I want blue')]
  }
})
const card = await until('the card', message(m => m.content_type === 'cards'))
const [{ title, media_url: shown, actions }] = card.content_attributes.items
assert.deepEqual({ title, shown, buttons: actions.map(a => `${a.type} ${a.text}`) }, { title: 'Shoes', shown: picture.data_url, buttons: ['postback Red', 'postback Blue'] })
await client.messages.update({ ...where, messageId: card.id, data: { submitted_values: [{ title: 'Blue', value: actions[1].payload }] } })
await clicked('I want blue', [{ type: 'ExternalId', id: 'Blue' }])

await agent({ text: 'Shall we?', quickReplies: { type: 'quickReplies', replies: [button('Yes', 'yes please'), button('No', 'no thanks')] } })
const offer = await until('the quick replies', message(m => m.content_type === 'input_select'))
assert.deepEqual(offer.content_attributes.items.map(i => i.title), ['Yes', 'No'])
await client.messages.update({ ...where, messageId: offer.id, data: { submitted_values: [offer.content_attributes.items[1]] } })
await clicked('no thanks', [{ type: 'ExternalId', id: 'No' }])
console.log('all held')
