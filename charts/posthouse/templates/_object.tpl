{{/*
One object of the chart: the template `body`, then labels and annotations of all, then `merge`, then `patch` of the values at `at`.
(list ROOT BODY AT [IT]): BODY sees the root, and IT as .It.
*/}}
{{- define "posthouse.object" -}}
{{- $root := index . 0 -}}
{{- $at := index . 2 -}}
{{- $context := $root -}}
{{- if gt (len .) 3 -}}{{- $context = set (omit $root "It") "It" (index . 3) -}}{{- end -}}
{{- $object := fromYaml (include (index . 1) $context) -}}
{{- if hasKey $object "Error" -}}{{- fail (printf "%s is no YAML: %s" (index . 1) $object.Error) -}}{{- end -}}
{{- range $field := list "labels" "annotations" -}}
{{- with index $root.Values $field -}}{{- include "posthouse.merge" (list $object (dict "metadata" (dict $field (deepCopy .)))) -}}{{- end -}}
{{- end -}}
{{- $how := $root.Values -}}
{{- range splitList "." $at -}}
{{- if kindIs "slice" $how -}}{{- $how = index $how (atoi .) -}}{{- else -}}{{- $how = default dict (index $how .) -}}{{- end -}}
{{- end -}}
{{- include "posthouse.merge" (list $object (deepCopy (default dict $how.merge))) -}}
{{- $box := dict "it" $object -}}
{{- range $n, $operation := default list $how.patch -}}
{{- include "posthouse.patch" (list $box $operation (printf "%s.patch[%d]" $at $n)) -}}
{{- end -}}
---
{{ toYaml $box.it }}
{{ end }}

{{/* (list BASE OVER): OVER is laid over BASE, in place: maps are merged, all else is replaced, null removes (RFC 7396). */}}
{{- define "posthouse.merge" -}}
{{- $base := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- $there := get $base $key -}}
{{- if kindIs "invalid" $value -}}{{- $_ := unset $base $key -}}
{{- else if and (kindIs "map" $value) (kindIs "map" $there) -}}{{- include "posthouse.merge" (list $there $value) -}}
{{- else -}}{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* (list BOX OPERATION WHERE): one operation of a JSON Patch (RFC 6902) on BOX.it, in place. WHERE is said when it fails. */}}
{{- define "posthouse.patch" -}}
{{- $box := index . 0 -}}
{{- $patch := index . 1 -}}
{{- $op := dict "name" $patch.op "where" (printf "%s (%s %s)" (index . 2) $patch.op $patch.path) "value" (get $patch "value") -}}
{{- if has $patch.op (list "move" "copy") -}}
{{- $look := dict "name" "look" "where" (printf "%s (%s from %s)" (index . 2) $patch.op $patch.from) -}}
{{- include "posthouse.patch-at" (list $box "it" (include "posthouse.pointer" $patch.from | fromJsonArray) $look) -}}
{{- $_ := set $op "value" (get (deepCopy (dict "found" $look.found)) "found") -}}
{{- if eq $patch.op "move" -}}
{{- include "posthouse.patch-at" (list $box "it" (include "posthouse.pointer" $patch.from | fromJsonArray) (dict "name" "remove" "where" $look.where)) -}}
{{- end -}}
{{- $_ := set $op "name" "add" -}}
{{- end -}}
{{- include "posthouse.patch-at" (list $box "it" (include "posthouse.pointer" $patch.path | fromJsonArray) $op) -}}
{{- end }}

{{/* The tokens of a JSON Pointer (RFC 6901), as a JSON array. */}}
{{- define "posthouse.pointer" -}}
{{- $tokens := list -}}
{{- if . -}}{{- range splitList "/" (trimPrefix "/" .) -}}{{- $tokens = append $tokens (replace "~0" "~" (replace "~1" "/" .)) -}}{{- end -}}{{- end -}}
{{- toJson $tokens -}}
{{- end }}

{{/* (list HOLDER KEY TOKENS OP): does OP where TOKENS lead to from HOLDER[KEY]. A list is made anew, so that its holder must be known. */}}
{{- define "posthouse.patch-at" -}}
{{- $holder := index . 0 -}}
{{- $key := index . 1 -}}
{{- $tokens := index . 2 -}}
{{- $op := index . 3 -}}
{{- $here := index $holder $key -}}
{{- if not $tokens -}}
{{- if eq $op.name "look" -}}{{- $_ := set $op "found" $here -}}
{{- else if eq $op.name "test" -}}{{- if not (deepEqual $here $op.value) -}}{{- fail (printf "%s: there is %s" $op.where (toJson $here)) -}}{{- end -}}
{{- else if eq $op.name "remove" -}}{{- $_ := unset $holder $key -}}
{{- else -}}{{- $_ := set $holder $key $op.value -}}
{{- end -}}
{{- else if kindIs "map" $here -}}
{{- $token := first $tokens -}}
{{- if and (not (hasKey $here $token)) (or (rest $tokens) (ne $op.name "add")) -}}{{- fail (printf "%s: there is no %q, only %s" $op.where $token (keys $here | sortAlpha | join ", ")) -}}{{- end -}}
{{- if not (hasKey $here $token) -}}{{- $_ := set $here $token "" -}}{{- end -}}
{{- include "posthouse.patch-at" (list $here $token (rest $tokens) $op) -}}
{{- else if kindIs "slice" $here -}}
{{- include "posthouse.patch-list" . -}}
{{- else -}}{{- fail (printf "%s: %q leads into %s, which has no parts" $op.where (first $tokens) (toJson $here)) -}}
{{- end -}}
{{- end }}

{{/* As posthouse.patch-at, where HOLDER[KEY] is a list. */}}
{{- define "posthouse.patch-list" -}}
{{- $holder := index . 0 -}}
{{- $key := index . 1 -}}
{{- $here := index $holder $key -}}
{{- $token := first (index . 2) -}}
{{- $deeper := rest (index . 2) -}}
{{- $op := index . 3 -}}
{{- $adds := and (not $deeper) (eq $op.name "add") -}}
{{- $last := ternary (len $here) (sub (len $here) 1) $adds | int -}}
{{- if and $adds (eq $token "-") -}}{{- $token = toString (len $here) -}}{{- end -}}
{{- if not (regexMatch "^(0|[1-9][0-9]{0,5})$" $token) -}}{{- fail (printf "%s: %q is no place in a list of %d" $op.where $token (len $here)) -}}{{- end -}}
{{- $n := atoi $token -}}
{{- if gt $n $last -}}{{- fail (printf "%s: there is no place %d in a list of %d" $op.where $n (len $here)) -}}{{- end -}}
{{- if $adds -}}
{{- $_ := set $holder $key (concat (slice $here 0 $n) (list $op.value) (slice $here $n)) -}}
{{- else -}}
{{- $box := dict "it" (index $here $n) -}}
{{- include "posthouse.patch-at" (list $box "it" $deeper $op) -}}
{{- $kept := ternary (list (get $box "it")) list (hasKey $box "it") -}}
{{- $_ := set $holder $key (concat (slice $here 0 $n) $kept (slice $here (add $n 1 | int))) -}}
{{- end -}}
{{- end }}
