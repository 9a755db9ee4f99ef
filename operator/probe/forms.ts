// What a stranger tries: recipients under .invalid, which cannot exist (RFC 2606 2), in every way of writing that has fooled relays. Pure.

export type Form = { readonly name: string; readonly from: string; readonly to: string }

/** `own`: a domain that the relay hosts, which a relay that reads addresses wrongly would find in them. */
export const strangerForms = (domain: string, own: string): Form[] => [
  { name: 'a foreign recipient', from: `<stranger@${domain}>`, to: `<nobody@${domain}>` },
  { name: 'the null sender', from: '<>', to: `<nobody@${domain}>` },
  { name: 'a sender of the own domain', from: `<postmaster@${own}>`, to: `<nobody@${domain}>` },
  { name: 'the own domain behind %', from: `<stranger@${domain}>`, to: `<nobody%${own}@${domain}>` },
  { name: 'the own domain before !', from: `<stranger@${domain}>`, to: `<${own}!nobody@${domain}>` },
  { name: 'a source route by the own domain', from: `<stranger@${domain}>`, to: `<@${own}:nobody@${domain}>` }, // RFC 5321 4.1.2: the route is ignored
  { name: 'a quoted @ with the own domain', from: `<stranger@${domain}>`, to: `<"nobody@${own}"@${domain}>` },
  { name: 'the null sender, with a dot at the end', from: '<>', to: `<nobody@${domain}.>` },
]

/** With its final dot. */
export const strangerMessage = (domain: string): string =>
  [`From: relay test <stranger@${domain}>`, `To: <nobody@${domain}>`, 'Subject: relay test', 'Auto-Submitted: auto-generated', '', 'If this arrives anywhere, a mail server relays for strangers.', '.', ''].join('\r\n')
