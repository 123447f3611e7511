{{/* Who may call a component, and what it may call. */}}

{{/* NetworkPolicyPeers that may call a component: (list root name components) */}}
{{- define "pyairtable.callers" -}}
{{- $root := index . 0 }}{{- $name := index . 1 }}{{- $components := index . 2 }}
{{- range $other, $component := $components }}
{{- if has $name ($component.peers | default list) }}
- podSelector:
    matchLabels: {{- include "pyairtable.selector" (list $root $other) | nindent 6 }}
{{- end }}
{{- end }}
{{- if eq $name "api-gateway" }}
- podSelector:
    matchLabels: {{- include "pyairtable.selector" (list $root "test") | nindent 6 }}
{{- end }}
{{- if (index $components $name).tenants }}
- namespaceSelector:
    matchExpressions: [{key: pyairtable.dev/workspace, operator: Exists}]
{{- end }}
{{- if include "pyairtable.isExposed" (list $root $name) }}
{{- with $root.Values.networkPolicy.ingressFrom }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "pyairtable.isExposed" -}}
{{- $root := index . 0 }}{{- $name := index . 1 }}{{- $exposure := $root.Values.exposure -}}
{{- if and $exposure.grpcRoute.enabled (eq $name "api-gateway") }}true{{ end -}}
{{- if or $exposure.ingress.enabled $exposure.httpRoute.enabled -}}
{{- range $exposure.hosts }}{{ if eq .service $name }}true{{ end }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Egress rules of a component: (list root component). An empty list of targets means any address. */}}
{{- define "pyairtable.egress" -}}
{{- $root := index . 0 }}{{- $component := index . 1 }}{{- $network := $root.Values.networkPolicy }}
{{- range $peer := $component.peers }}
{{- $service := include "pyairtable.service" (list $root $peer) | fromYaml }}
- to:
    - podSelector:
        matchLabels: {{- include "pyairtable.selector" (list $root $peer) | nindent 10 }}
  ports: [{port: {{ int $service.httpPort }}}, {port: {{ int $service.grpcPort }}}]
{{- end }}
{{- if $component.database }}
{{ include "pyairtable.egressTo" (list $root "postgres" $network.databaseTo (list $network.databasePort)) }}
{{- end }}
{{- if $component.redis }}
{{ include "pyairtable.egressTo" (list $root "valkey" $network.redisTo (list $network.redisPort)) }}
{{- end }}
{{- if $component.mail }}
{{ include "pyairtable.egressTo" (list $root "mailbox" $network.mailTo (list $root.Values.mail.port)) }}
{{- end }}
{{- if $component.internet }}
{{- range $emulator, $port := dict "airtable" 8090 "gemini" 8091 }}
{{- if (index $root.Values.demo $emulator).enabled }}
{{ include "pyairtable.egressTo" (list $root $emulator nil (list $port)) }}
{{- end }}
{{- end }}
{{ include "pyairtable.egressTo" (list $root "" $network.internetTo $network.internetPorts) }}
{{- end }}
{{- if or $component.kubernetes $component.readsCredentials }}
{{ include "pyairtable.egressTo" (list $root "" $network.kubernetesTo $network.kubernetesPorts) }}
{{- end }}
{{- end -}}

{{/* One rule: to the demo's part when it is on, else to the given peers: (list root part peers ports) */}}
{{- define "pyairtable.egressTo" -}}
{{- $root := index . 0 }}{{- $part := index . 1 -}}
- ports:
    {{- if and $part (index $root.Values.demo $part).enabled }}
    - {port: {{ dict "postgres" 5432 "valkey" 6379 "airtable" 8090 "gemini" 8091 "mailbox" 8093 | dig $part 0 }}}
  to:
    - podSelector:
        matchLabels: {{- include "pyairtable.selector" (list $root (printf "demo-%s" $part)) | nindent 10 }}
    {{- else }}
    {{- range index . 3 }}
    - {port: {{ int . }}}
    {{- end }}
  {{- with index . 2 }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
    {{- end }}
{{- end -}}
