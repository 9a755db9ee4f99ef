// Mail from a pod that identifies itself: with the Secret of its MailSender, and, where it has one, the token of its ServiceAccount.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../../tools/until.ts'
import type { Joined } from './shared.ts'

export type Submission = {
  readonly namespace: string
  /** The MailSender; its Secret says where to send to and whom to trust. */
  readonly sender: string
  /** ServiceAccount of the pod, with a token for this audience. */
  readonly account?: { readonly name: string; readonly audience: string }
  readonly mechanism: 'PLAIN' | 'XOAUTH2' | 'OAUTHBEARER'
  readonly from: string
  readonly to: string
  readonly subject: string
  /** In place of what the Secret says: a host, a CA, a password of before. */
  readonly instead?: Readonly<Record<string, string>>
}

/** What both sides said, with the certificate's fingerprint. */
export const submit = async ({ kubectl, images }: Joined, { namespace, sender, account, instead, ...session }: Submission): Promise<string> => {
  const name = `submit-${Date.now().toString(36)}`
  const secret = { secret: { name: `${sender}-smtp` } }
  const sources = account === undefined ? [secret] : [secret, { serviceAccountToken: { path: 'token', audience: account.audience, expirationSeconds: 3600 } }]
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      ...(account && { serviceAccountName: account.name }),
      securityContext: { runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'submit',
          image: images.posthouse,
          imagePullPolicy: 'IfNotPresent',
          command: ['/usr/local/bin/node', '--input-type=module', '--eval', readFileSync(join(import.meta.dirname, 'submit.mjs'), 'utf8'), JSON.stringify({ ...session, ...instead })],
          securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
          volumeMounts: [{ name: 'smtp', mountPath: '/var/run/smtp', readOnly: true }],
        },
      ],
      volumes: [{ name: 'smtp', projected: { sources } }],
    },
  })
  await until('the submission to end', async () => ['Succeeded', 'Failed'].includes((await kubectl.json<{ status: { phase: string } }>('get', 'pod', name, '-n', namespace)).status.phase), 90_000, 300)
  const said = await kubectl('logs', name, '-n', namespace)
  await kubectl.may('delete', 'pod', name, '-n', namespace, '--wait=false')
  return said
}

/** SHA-256 of the certificate that the relay showed. */
export const certificateIn = (said: string): string => /^certificate (\S+)$/m.exec(said)?.[1] ?? 'none'
