// The CustomResourceDefinition of a kind. Pure.
import { jsonSchemaOf } from './json-schema.ts'
import { group, version, type Kind } from './kind.ts'

export const crdOf = (kind: Kind): object => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${kind.plural}.${group}` },
  spec: {
    group,
    names: { kind: kind.kind, listKind: `${kind.kind}List`, plural: kind.plural, singular: kind.singular, shortNames: [kind.shortName], categories: ['mail'] },
    scope: kind.scope,
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        schema: { openAPIV3Schema: jsonSchemaOf(kind) },
        subresources: { status: {}, ...(kind.scale && { scale: kind.scale }) },
        selectableFields: kind.selectable.map((jsonPath) => ({ jsonPath })),
        additionalPrinterColumns: kind.columns,
      },
    ],
  },
})
