// One mistake in a manifest file, and the table of its codes. Pure data.

export const problemCodes = {
  FOLDER_UNREADABLE: 'the folder or file cannot be read',
  NO_MANIFESTS: 'the folder holds no *.yaml or *.yml file',
  NOT_YAML: 'the text is not YAML',
  NOT_AN_OBJECT: 'the document is not a Kubernetes object',
  UNKNOWN_KIND: 'the kind is none of ours',
  IGNORED_KIND: 'the object is of another API group and is not read',
  WRONG_VERSION: 'the API version is not the one we know',
  UNKNOWN_FIELD: 'the kind has no such field',
  MISSING: 'a field that must be there is not',
  WRONG_TYPE: 'the value is of another type',
  WRONG_VALUE: 'the value is not one of those allowed',
  INVALID: 'the value breaks a rule of its field',
  AMBIGUOUS: 'a bare word is text here and something else in a cluster',
  DUPLICATE: 'the object stands in the manifests twice',
  BAD_SECRET: 'the Secret cannot be decoded',
  REFUSED: 'the object does not fit the others; the reason is given',
  NOTED: 'the object is in force, and something about it should be known',
} as const
export type ProblemCode = keyof typeof problemCodes

export type Problem = {
  readonly level: 'error' | 'warning'
  readonly code: ProblemCode
  readonly file: string
  readonly document?: number // from 1
  readonly line?: number // from 1
  readonly object?: string // "MailRelay mail/main"
  readonly path?: string // spec.listeners[1].port
  readonly reason?: string // of REFUSED and NOTED: the condition's reason
  readonly message: string
  readonly suggestion?: string
}

/** spec.listeners[1].port */
export const printPath = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? String(step) : `${text}.${String(step)}`), '')

/** One problem as a person reads it. */
export const printProblem = ({ level, file, document, line, object, path, message, reason, suggestion }: Problem): string => {
  const place = [file, line].filter((part) => part !== undefined).join(':')
  const where = [document === undefined ? undefined : `document ${document}`, object, path].filter((part) => part !== undefined && part !== '').join(', ')
  const why = reason === undefined ? '' : ` [${reason}]`
  return `${place}: ${level}: ${where === '' ? '' : `${where}: `}${message}${suggestion === undefined ? '' : `; ${suggestion}`}${why}`
}
