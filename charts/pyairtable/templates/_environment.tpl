{{/* Settings of a component: what the chart knows, then `env` of its values. Secrets come by reference only. */}}

{{/* (list root name component): a ConfigMap's data; empty values are left out, they mean the default. */}}
{{- define "pyairtable.settings" -}}
{{- $root := index . 0 }}{{- $name := index . 1 }}{{- $component := index . 2 }}
{{- $settings := include (ternary "pyairtable.operatorSettings" "pyairtable.serviceSettings" (eq $name "operator")) . | fromYaml }}
{{- range $peer := $component.peers }}
{{- $_ := set $settings (printf "%s_TARGET" ($peer | upper | replace "-" "_")) (include "pyairtable.target" (list $root $peer)) }}
{{- end }}
{{- range $key, $value := $component.env }}
{{- $_ := set $settings $key (ternary (tpl (toString $value) $root) (toString $value) (kindIs "string" $value)) }}
{{- end }}
{{- range $key := keys $settings | sortAlpha }}
{{- with index $settings $key }}
{{ $key }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "pyairtable.serviceSettings" -}}
{{- $root := index . 0 }}{{- $name := index . 1 }}{{- $component := index . 2 -}}
ENVIRONMENT: {{ $root.Values.environment }}
LOG_LEVEL: {{ $root.Values.logLevel }}
HOST: 0.0.0.0
HTTP_PORT: {{ $component.httpPort | quote }}
GRPC_PORT: {{ $component.grpcPort | quote }}
ALLOWED_HOSTS: {{ include "pyairtable.allowedHosts" (list $root $name) }}
{{- if $component.readsCredentials }}
SECRETS_NAMESPACE: {{ $root.Values.credentials.namespace.name }}
{{- end }}
{{- if $component.mail }}
{{ include "pyairtable.mailSettings" $root }}
{{- end }}
{{- end -}}

{{/* The mail server: the demo's mailbox, which speaks plain SMTP, or the given one. */}}
{{- define "pyairtable.mailSettings" -}}
{{- $mailbox := .Values.demo.mailbox.enabled -}}
SMTP_HOST: {{ ternary (include "pyairtable.host" (list . "demo-mailbox")) .Values.mail.host $mailbox | quote }}
SMTP_PORT: {{ ternary 8093 (int .Values.mail.port) $mailbox | quote }}
SMTP_STARTTLS: {{ ternary false .Values.mail.startTLS $mailbox | quote }}
MAIL_FROM: {{ .Values.mail.from | quote }}
{{- end -}}

{{- define "pyairtable.operatorSettings" -}}
{{- $root := index . 0 }}{{- $component := index . 2 }}{{- $public := $root.Values.public -}}
LOG_LEVEL: {{ $root.Values.logLevel }}
HOST: 0.0.0.0
HTTP_PORT: {{ $component.httpPort | quote }}
CREDENTIALS_NAMESPACE: {{ $root.Values.credentials.namespace.name }}
OPERATOR_NAMESPACE: {{ $root.Release.Namespace }}
PUBLIC_REST_URL: {{ $public.restURL | default (printf "%s/api" (include "pyairtable.http" (list $root "api-gateway"))) }}
PUBLIC_GRPC_TARGET: {{ $public.grpcTarget | default (include "pyairtable.stableTarget" (list $root "api-gateway")) }}
PUBLIC_MCP_URL: {{ $public.mcpURL | default (printf "%s/mcp" (include "pyairtable.http" (list $root "mcp-server"))) }}
PUBLIC_AIRTABLE_URL: {{ $public.airtableURL | default (include "pyairtable.http" (list $root "airtable-gateway")) }}
{{- end -}}

{{/* Names under which a service may be called: its Service in all its spellings, and the hosts exposed for it. */}}
{{- define "pyairtable.allowedHosts" -}}
{{- $root := index . 0 }}{{- $name := index . 1 -}}
{{- $own := include "pyairtable.name" . -}}
{{- $namespace := $root.Release.Namespace -}}
{{- $hosts := list (printf "%s:*" $own) (printf "%s.%s:*" $own $namespace) (printf "%s.%s.svc:*" $own $namespace) (printf "%s:*" (include "pyairtable.host" .)) -}}
{{- range $root.Values.exposure.hosts }}
{{- if eq .service $name }}{{ $hosts = concat $hosts (list .host (printf "%s:*" .host)) }}{{ end -}}
{{- end -}}
{{- join "," (uniq $hosts) -}}
{{- end -}}

{{/* (list root component): env entries by secretKeyRef. */}}
{{- define "pyairtable.secretEnv" -}}
{{- $root := index . 0 }}{{- $component := index . 1 }}
{{- range $variable := keys $component.secrets | sortAlpha }}
{{- with include "pyairtable.credential" (list $root (index $component.secrets $variable)) | fromYaml }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef: {name: {{ .name }}, key: {{ .key }}}
{{- end }}
{{- end }}
{{- if $component.database }}
{{ include "pyairtable.databaseEnv" (list $root $component.databaseKey) }}
{{- end }}
{{- if $component.redis }}
{{ include "pyairtable.redisEnv" $root }}
{{- end }}
{{- if and $component.mail $root.Values.mail.existingSecret }}
{{ include "pyairtable.mailEnv" $root }}
{{- end }}
{{- with $component.podNameAs }}
- name: {{ . }}
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- end }}
{{- end -}}

{{/* Where a credential lies, as {name, key}; nothing when there is none: (list root "apiKey") */}}
{{- define "pyairtable.credential" -}}
{{- $root := index . 0 }}{{- $which := index . 1 }}
{{- $given := index $root.Values.credentials $which | default dict }}
{{- if eq $which "demoAirtableToken" }}
{{- if $root.Values.demo.sharedToken.enabled -}}
{name: {{ include "pyairtable.name" (list $root "credentials") }}, key: AIRTABLE_TOKEN}
{{- end }}
{{- else if $given.existingSecret -}}
{name: {{ $given.existingSecret }}, key: {{ $given.key }}}
{{- else if or (ne $which "geminiApiKey") $root.Values.demo.gemini.enabled -}}
{name: {{ include "pyairtable.name" (list $root "credentials") }}, key: {{ $given.key }}}
{{- end }}
{{- end -}}

{{/* (list root key): the address with the login of a service, or with that of all when the key is empty. */}}
{{- define "pyairtable.databaseEnv" -}}
{{- $root := index . 0 -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ $root.Values.database.existingSecret | default (include "pyairtable.name" (list $root "credentials")) }}, key: {{ index . 1 | default $root.Values.database.key }}}
{{- end -}}

{{- define "pyairtable.mailEnv" -}}
{{- range $variable, $key := dict "SMTP_USER" .Values.mail.userKey "SMTP_PASSWORD" .Values.mail.passwordKey }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef: {name: {{ $.Values.mail.existingSecret }}, key: {{ $key }}}
{{- end }}
{{- end -}}

{{- define "pyairtable.redisEnv" -}}
{{- $secret := .Values.redis.existingSecret | default (include "pyairtable.name" (list . "credentials")) -}}
- name: REDIS_URL
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ .Values.redis.key }}}
{{- with .Values.redis.passwordKey }}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ . }}}
{{- end }}
{{- end -}}
