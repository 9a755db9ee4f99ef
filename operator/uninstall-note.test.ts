import assert from 'node:assert/strict'
import { it } from 'node:test'
import { noteOn } from './uninstall-note.ts'

it('the note of an uninstall names 2 MailRelays that stay, and the line that ends the 1 that would hang', () => {
  const note = noteOn([{ metadata: { name: 'main', namespace: 'mail', finalizers: ['posthouse.dev/queue'] } }, { metadata: { name: 'refused', namespace: 'mail' } }])
  assert.match(note, /MailRelay mail\/main\n {2}MailRelay mail\/refused\n/)
  assert.deepEqual(note.match(/kubectl patch mailrelay \S+ -n \S+/g), ['kubectl patch mailrelay main -n mail'])
})

it('the note says of 0 MailRelays that only the CRDs stay', () => assert.match(noteOn([]), /^No MailRelay is left behind\. The CRDs stay/))
