// A certificate and a password are rotated while everything runs: new connections use them, what ran goes on, and nothing is restarted.
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { certificateFor, newAuthority } from '../../../operator/index.ts'
import type { Story } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { applyExamples, install, operatorNamespace } from '../tools/posthouse.ts'
import { joinCluster, type Joined } from '../tools/shared.ts'
import { certificateIn, submit, type Submission } from '../tools/submission.ts'

const barSeconds = 60 // a kubelet looks at mounted Secrets once a minute, if nothing wakes it
const authority = newAuthority(new Date())

/** A person's own certificate for the Service, as cert-manager would write it. */
const renew = async ({ kubectl }: Joined): Promise<string> => {
  const { certificate, key } = certificateFor(['main.mail.svc', 'mx1.browncow.example'], authority, new Date())
  await kubectl.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'mx-tls', namespace: 'mail' }, type: 'kubernetes.io/tls', stringData: { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': authority.certificate } })
  return new X509Certificate(certificate).fingerprint256
}

const app: Submission = { namespace: 'shop', sender: 'app', mechanism: 'PLAIN', from: 'app@browncow.example', to: 'fred@browncow.example', subject: 'from the app' }

export const story: Story = {
  title: `A listener's certificate and a sender's password are replaced: new connections use them (bar: ${barSeconds} s), the old password holds for the overlap, and no pod is restarted`,
  needs: ['cluster'],
  limitSeconds: 600,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { kubectl } = cluster
    await install(cluster, ctx)
    await applyExamples(cluster, ctx)

    ctx.step('a certificate of one’s own for the submission listener, and a sender with a password')
    const first = await renew(cluster)
    const listeners = (await kubectl.json<{ spec: { listeners: { name: string }[] } }>('get', 'mailrelay', 'main', '-n', 'mail')).spec.listeners
    await kubectl('patch', 'mailrelay', 'main', '-n', 'mail', '--type=json', '--patch', JSON.stringify([{ op: 'add', path: `/spec/listeners/${listeners.findIndex(({ name }) => name === 'submission')}/tls`, value: { secretRef: { name: 'mx-tls' } } }]))
    await kubectl.apply({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailSender', metadata: { name: 'app', namespace: 'shop' }, spec: { relayRef: { name: 'main', namespace: 'mail' }, from: ['app@browncow.example'] } })
    await kubectl('wait', '-n', 'shop', '--for=condition=Ready', 'mailsender/app', '--timeout=300s')
    await kubectl('wait', '-n', 'mail', '--for=condition=Ready', 'mailrelay/main', '--timeout=300s')
    const pods = async (): Promise<string> => {
      const of = async (namespace: string): Promise<string> => kubectl('get', 'pods', '-n', namespace, '-l', 'app.kubernetes.io/name=posthouse', '-o', 'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\\n"}{end}')
      return (await of('mail')) + (await of(operatorNamespace))
    }
    const secret = async (): Promise<Record<string, string>> => {
      const { data } = await kubectl.json<{ data: Record<string, string> }>('get', 'secret', 'app-smtp', '-n', 'shop')
      return Object.fromEntries(Object.entries(data).map(([name, text]) => [name, Buffer.from(text, 'base64').toString()]))
    }
    const before = await pods()
    assert.ok(before.trim().split('\n').length >= 7, `3 relays, 3 queue servers, and the operator: ${before}`)
    /** Asked in new connections until one fits; seconds it took. */
    const becomes = async (what: string, asked: Partial<Submission>, fits: (said: string) => boolean): Promise<string> => {
      const began = Date.now()
      let said = ''
      await until(what, async () => fits((said = await submit(cluster, { ...app, ...asked }))), barSeconds * 10_000, 100).catch((error: unknown) => assert.fail(`${String(error)}\n${said}`))
      return ((Date.now() - began) / 1000).toFixed(0)
    }
    const isTaken = (said: string): boolean => said.includes('< 250 2.0.0 queued as ')
    await becomes('the 1st certificate', {}, (said) => certificateIn(said) === first && isTaken(said))

    ctx.step('the certificate is renewed')
    const second = await renew(cluster)
    ctx.note('seconds until a new connection had the new certificate (with the start of a pod to ask)', await becomes('the 2nd certificate', {}, (said) => certificateIn(said) === second && isTaken(said)))

    ctx.step('the password is rotated by the annotation: the new one is right, and the one before still is')
    const { password: old } = await secret()
    await kubectl('annotate', '-n', 'shop', 'mailsender/app', 'posthouse.dev/rotate-credentials=1')
    await until('another password in the Secret', async () => (await secret()).password !== old, 60_000, 200)
    ctx.note('seconds until the new password was right', await becomes('the new password', {}, isTaken))
    assert.ok(isTaken(await submit(cluster, { ...app, instead: { password: old! } })), 'running pods have the password before')
    const { status } = await kubectl.json<{ status: { conditions: { type: string; message: string }[] } }>('get', 'mailsender', 'app', '-n', 'shop')
    assert.match(status.conditions.find(({ type }) => type === 'CredentialsReady')!.message, /the password before is right until 20/)

    ctx.step('the Secret is deleted: both passwords are worth nothing')
    const leaked = (await secret()).password!
    await kubectl('delete', 'secret', 'app-smtp', '-n', 'shop')
    await until('a new Secret', async () => (await kubectl.may('get', 'secret', 'app-smtp', '-n', 'shop')).code === 0 && (await secret()).password !== leaked, 60_000, 200)
    ctx.note('seconds until a leaked password was refused', await becomes('the leaked password to be refused', { instead: { password: leaked } }, (said) => said.includes('< 535 5.7.8 ')))
    // by each pod, for they look at their Secrets one after the other
    await becomes('the password before to be refused', { instead: { password: old! } }, (said) => /< 535 5\.7\.8 User name or password is wrong/.test(said))
    await becomes('the newest password', {}, isTaken)

    ctx.step('the pods are the same')
    assert.equal(await pods(), before)
  },
}
