// What AUTH a listener offers when its manifest does not say. Pure.
import type { ListenerSpec } from '../../../crds/index.ts'

export const authOf = ({ protocol, auth }: ListenerSpec): readonly ('PLAIN' | 'LOGIN')[] => auth ?? (protocol === 'SMTP' ? [] : ['PLAIN', 'LOGIN'])
