{{- define "posthouse.name" -}}
{{- if .Values.nameOverride }}{{ .Values.nameOverride }}
{{- else if contains "posthouse" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-posthouse" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "posthouse.account" -}}
{{- .Values.serviceAccount.name | default (include "posthouse.name" .) }}
{{- end }}

{{/* Where the first MailRelay is thought to be: beside the operator, if it looks there. */}}
{{- define "posthouse.mail-namespace" -}}
{{- $watched := .Values.watchNamespaces | default (list .Release.Namespace) -}}
{{- ternary .Release.Namespace (first $watched) (has .Release.Namespace $watched) -}}
{{- end }}

{{- define "posthouse.selector" -}}
app.kubernetes.io/name: posthouse
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "posthouse.labels" -}}
{{ include "posthouse.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "posthouse.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "posthouse.nats-image" -}}
{{ .Values.nats.image }}{{ with .Values.nats.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* The pods of hooks run where the operator's may. What else `affinity` says is about pods that are many. */}}
{{- define "posthouse.place-of-hook" -}}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with (.Values.affinity | default dict).nodeAffinity }}
affinity: {nodeAffinity: {{ toJson . }}}
{{- end }}
{{- end }}

{{/* PodSecurity `restricted`. */}}
{{- define "posthouse.pod-security" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "posthouse.container-security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What the operator may do in a namespace it looks after: what it does, and no verb more (test/cluster/rights.test.ts). */}}
{{- define "posthouse.rules" -}}
- apiGroups: [posthouse.dev]
  resources: [mailrelays, maildomains, mailsenders, relaypolicies, deliveryroutes]
  verbs: [list, watch]
# only the finalizer that keeps a MailRelay with mail in its queue
- apiGroups: [posthouse.dev]
  resources: [mailrelays]
  verbs: [patch]
- apiGroups: [posthouse.dev]
  resources: [mailrelays/status, maildomains/status, mailsenders/status, relaypolicies/status, deliveryroutes/status]
  verbs: [patch]
# to be named as owners of what is made for them, where a cluster asks for that right
- apiGroups: [posthouse.dev]
  resources: [mailrelays/finalizers, maildomains/finalizers, mailsenders/finalizers]
  verbs: [update]
# their metadata is watched; contents are read one by one, by name, where a manifest names them
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# get: whether what is there by the name is somebody else's
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, create, patch]
# delete: a server of a queue that waits for itself, which its kubelet does not see
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch, delete]
# how large the volumes of a queue are
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
