// An upgrade while mail is queued: from the image and chart of an earlier state to those of now, by helm upgrade. What was accepted before is delivered after.
// 5f2c7f9.tar.gz holds what image and chart were made of at that commit, the first at which c-01 passed, without its tests:
//   git archive 5f2c7f9 Dockerfile .dockerignore package.json package-lock.json .npmrc LICENSE bin cli crds operator relay charts
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Ctx, Story } from '../../scenarios/story.ts'
import { runChild } from '../../tools/child.ts'
import { until } from '../../tools/until.ts'
import { inMachine } from '../tools/cluster.ts'
import { ofRelease } from '../tools/images.ts'
import { applyOneRelay, sendMany, untilDelivered, untilReady } from '../tools/one-relay.ts'
import { helm, install, operatorNamespace, startClean, startMailstore, talkFrom } from '../tools/posthouse.ts'
import { joinCluster, type Joined } from '../tools/shared.ts'

const before = '5f2c7f9'
const oldImage = `posthouse.test/posthouse:${before}`
const mails = 200

export const story: Story = {
  title: `helm upgrade from ${before} with ${mails} mails queued: 0 lost, all delivered, and everything Ready`,
  needs: ['cluster'],
  limitSeconds: 900,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { kubectl, images } = cluster

    ctx.step(`the image of ${before}, and its chart installed`)
    await startClean(cluster)
    const chart = await makeOld(cluster, ctx)
    const [repository, tag] = (process.env.POSTHOUSE_OLD_IMAGE ?? oldImage).split(/:(?=[^/]*$)/) as [string, string]
    await helm(cluster, 'install', 'posthouse', chart, '--namespace', operatorNamespace, '--create-namespace', '--set', `image.repository=${repository},image.tag=${tag},nats.image=${images.nats}`, '--wait', '--timeout', '3m')
    if (!cluster.own) ctx.cleanup(() => helm(cluster, 'uninstall', 'posthouse', '--namespace', operatorNamespace, '--wait', '--ignore-not-found'))

    ctx.step(`${mails} mails are accepted while the next host is away`)
    await applyOneRelay(cluster, ctx)
    await until('the Service to answer', () => isAnswered(cluster), 60_000, 1000) // the old operator says Ready as soon as pods run, ready or not
    const subjects = await sendMany(cluster, 'before', mails)
    const pods = (): Promise<string> => kubectl('get', 'pods', '-n', 'mail', '-l', 'app.kubernetes.io/name=posthouse', '-o', 'jsonpath={range .items[*]}{.metadata.name} {.spec.containers[0].image}{"\\n"}{end}')
    assert.match(await pods(), new RegExp(`main-[a-z0-9-]+ .*${tag}`))

    ctx.step('helm upgrade to the chart and image of now')
    const began = Date.now()
    await install(cluster, ctx)
    await until('relay pods of the new image, and none of the old', async () => {
      const now = await pods()
      return now.includes(images.posthouse) && !now.includes(`:${tag}\n`)
    }, 180_000, 1000)
    await kubectl('rollout', 'status', '-n', 'mail', 'statefulset/main-queue', '--timeout=300s')
    await untilReady(cluster)
    ctx.note('seconds until all was upgraded and Ready', ((Date.now() - began) / 1000).toFixed(0))

    ctx.step('mail taken before and after is delivered')
    subjects.push(...(await sendMany(cluster, 'after', 10)))
    await startMailstore(cluster)
    ctx.note('mails that came twice', await untilDelivered(cluster, subjects))
    for (const [kind, name] of [['maildomain', 'browncow'], ['mailrelay', 'main']] as const) await kubectl('wait', '-n', 'mail', '--for=condition=Ready', `${kind}/${name}`, '--timeout=300s')
  },
}

const isAnswered = async (cluster: Joined): Promise<boolean> => (await talkFrom(cluster, 'mail', 'main.mail.svc.cluster.local:25', 'QUIT')).includes('< 220 ')

/** The folder of its chart. */
const makeOld = async (cluster: Joined, ctx: Ctx): Promise<string> => {
  const folder = join(ctx.folder, 'old')
  mkdirSync(folder, { recursive: true })
  await runChild('tar', ['-xzf', join(ctx.home, `${before}.tar.gz`), '-C', folder])
  if (cluster.own && !process.env.POSTHOUSE_OLD_IMAGE) {
    const { archive } = await ofRelease(oldImage, folder, `old-${before}.tar`)
    const { code, output } = await inMachine({ pid: cluster.own.pid }, 'ctr', '--namespace', 'k8s.io', 'images', 'import', archive)
    assert.equal(code, 0, output)
  }
  return join(folder, 'charts/posthouse')
}
