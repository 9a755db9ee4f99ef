// DKIM signatures judged by dkimpy, which shares no code with us (RFC 6376, RFC 8463).
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { runChild } from './child.ts'

/** Debian's own Python has the module. */
const python = '/usr/bin/python3'

const script = `
import dkim, json, re, sys
given = json.load(sys.stdin)
mail = given['mail'].encode('latin1')
records = {name.rstrip('.').lower(): text.encode() for name, text in given['records'].items()}
def lookup(name, timeout=5):
    return records.get((name.decode() if isinstance(name, bytes) else name).rstrip('.').lower())
count = len(re.findall(rb'(?im)^DKIM-Signature:', mail.split(b'\\r\\n\\r\\n')[0]))
results = []
for index in range(count):
    checker = dkim.DKIM(mail)
    try:
        good = checker.verify(index, dnsfunc=lookup)
        why = ''
    except dkim.DKIMException as error:
        good, why = False, str(error)
    fields = checker.signature_fields or {}
    results.append({'good': bool(good), 'why': why, **{k: fields.get(k.encode(), b'').decode() for k in 'ads'}})
print(json.dumps(results))
`

export type Verified = { readonly good: boolean; readonly why: string; readonly a: string; readonly d: string; readonly s: string }

/** One result for each DKIM-Signature field; `records`: TXT texts by name. */
export const verifyDkim = async (mail: Buffer, records: Readonly<Record<string, string>>): Promise<Verified[]> => {
  const { stdout } = await runChild(python, ['-c', script], { input: JSON.stringify({ mail: mail.toString('latin1'), records }) })
  return JSON.parse(stdout) as Verified[]
}

/** The records that a standalone has written for a person to publish: `name. IN TXT "…" "…"`. */
export const recordsIn = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.txt'))
      .map((file) => {
        const line = readFileSync(join(folder, file), 'utf8')
        return [/^(\S+?)\.? IN TXT/.exec(line)![1]!, [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text]) => text!.replace(/\\(.)/g, '$1')).join('')]
      }),
  )
