import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gateways } from './gateways.ts'

const files: Record<string, string> = {
  '/proc/net/route': 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\neth0\t00000000\t0100540A\t0003\t0\t0\t0\t00000000\t0\t0\t0\neth0\t0000540A\t0100540A\t0003\t0\t0\t0\t0080FFFF\t0\t0\t0\neth0\t0100540A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n',
  '/proc/net/ipv6_route': '00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\nfe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n',
}
const read = (file: string): string => {
  const text = files[file]
  if (text === undefined) throw new Error('ENOENT')
  return text
}

test('the 2 routers of a pod are read from the kernel’s tables, each once', () => assert.deepEqual(gateways(read), ['10.84.0.1', 'fd00:0:0:0:0:0:0:1']))

test('where the kernel has no tables there are 0', () => assert.deepEqual(gateways(() => { throw new Error('ENOENT') }), []))
