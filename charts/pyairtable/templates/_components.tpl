{{/* What runs: services merged with their defaults, and the operator in the same shape. */}}

{{/* A service's values over serviceDefaults, as YAML: (list root "auth") */}}
{{- define "pyairtable.service" -}}
{{- $root := index . 0 -}}
{{- mergeOverwrite (deepCopy $root.Values.serviceDefaults) (deepCopy (index $root.Values.services (index . 1))) | toYaml -}}
{{- end -}}

{{/* All components that are on, by name, with `metrics: true` where /metrics is served. */}}
{{- define "pyairtable.components" -}}
{{- $root := . -}}
{{- range $name := keys .Values.services | sortAlpha }}
{{- $service := include "pyairtable.service" (list $root $name) | fromYaml }}
{{- if $service.enabled }}
{{ $name }}:
  {{- toYaml (set $service "metrics" (ne (index $service.env "ENABLE_METRICS" | toString) "false")) | nindent 2 }}
{{- end }}
{{- end }}
operator:
  {{- toYaml (mergeOverwrite (dict "metrics" true "kubernetes" true "autoscaling" (dict "enabled" false)) (deepCopy .Values.operator)) | nindent 2 }}
{{- end -}}

{{/* The most pods of a service at once, those of a rollout included: (list root "airtable-gateway") */}}
{{- define "pyairtable.mostReplicas" -}}
{{- $service := include "pyairtable.service" . | fromYaml -}}
{{- $replicas := ternary $service.autoscaling.maxReplicas $service.replicas $service.autoscaling.enabled -}}
{{- add (int $replicas) (int $service.maxSurge) -}}
{{- end -}}

{{/* The fewest pods of a component while nothing is disturbed. */}}
{{- define "pyairtable.fewestReplicas" -}}
{{- ternary .autoscaling.minReplicas .replicas .autoscaling.enabled -}}
{{- end -}}

{{/* True for what asks the Kubernetes API and so needs its token. */}}
{{- define "pyairtable.asksKubernetes" -}}
{{- if or .kubernetes .readsCredentials }}true{{ else }}false{{ end -}}
{{- end -}}
