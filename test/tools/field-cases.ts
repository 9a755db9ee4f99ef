// What fields of manifests take and refuse, as tables: held against our own reader, and against a real API server. Data.

/** Seconds of a duration of at most 30 days; undefined where it is none. */
export const durations: readonly (readonly [text: string, seconds: number | undefined])[] = [
  ['1s', 1],
  ['90s', 90],
  ['2m', 120],
  ['1h30m', 5400],
  ['1d', 86_400],
  ['1d12h', 129_600],
  ['2w', 1_209_600],
  ['30d', 2_592_000],
  ['0030d', 2_592_000],
  ['0h1s', 1],
  ['', undefined],
  ['0s', undefined],
  ['31d', undefined],
  ['5w', undefined],
  ['30d1s', undefined],
  ['1.5h', undefined],
  ['30m1h', undefined],
  ['1h1h', undefined],
  ['-1h', undefined],
  ['+1h', undefined],
  ['1 h', undefined],
  ['1H', undefined],
  ['1ms', undefined],
  ['100', undefined],
  ['5days', undefined],
  ['1h\n', undefined],
  ['99999999s', undefined],
]

export const nameservers = {
  good: ['192.0.2.53', '192.0.2.53:53', '192.0.2.53:1', '192.0.2.53:65535', 'fd00::53', '[fd00::53]:53', '[::1]:5353'],
  bad: ['', 'dns.example', 'dns.example:53', '192.0.2', '192.0.2:53', '999.0.2.53:53', '192.0.2.53:', '192.0.2.53:0', '192.0.2.53:65536', '192.0.2.53:99999', '[192.0.2.53]:53', '[fd00::53]', '[fd00:::53]:53', '[fd00::53]:0', 'fd00::53:dns', 'fe80::53%eth0', '[fe80::53%eth0]:53', '[64:ff9b::192.0.2.53]:53'],
} as const
