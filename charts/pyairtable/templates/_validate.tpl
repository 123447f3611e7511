{{/* Each template below is a YAML list of sentences, empty when all is well. */}}

{{- define "pyairtable.storageFaults" -}}
{{- range $what, $demo := dict "database" "postgres" "redis" "valkey" }}
{{- $external := (index $.Values $what).existingSecret }}
{{- $inside := (index $.Values.demo $demo).enabled }}
{{- if and $external $inside }}
- {{ printf "%s.existingSecret names an external server and demo.%s.enabled starts one in the cluster: set one of them." $what $demo | quote }}
{{- else if not (or $external $inside) }}
- {{ printf "There is no server: set %s.existingSecret to a Secret with its address, or demo.%s.enabled=true to try things out." $what $demo | quote }}
{{- end }}
{{- end }}
{{- if and .Values.migrations.existingSecret .Values.demo.postgres.enabled }}
- "migrations.existingSecret is for an external database: leave it empty with demo.postgres.enabled."
{{- end }}
{{- if eq .Values.environment "production" }}
{{- range $part := list "postgres" "valkey" "airtable" "gemini" "mailbox" "sharedToken" "tenant" }}
{{- if (index $.Values.demo $part).enabled }}
- {{ printf "demo.%s.enabled is for trying things out: environment=production refuses it." $part | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "pyairtable.credentialFaults" -}}
{{- $namespace := .Values.credentials.namespace.name }}
{{- if or (eq $namespace .Release.Namespace) (eq $namespace "default") (hasPrefix "kube-" $namespace) }}
- {{ printf "credentials.namespace.name is %s: the credentials need a namespace of their own, because whoever may read Secrets there reads them all." $namespace | quote }}
{{- end }}
{{- if eq .Values.environment "production" }}
{{- range $which := list "apiKey" "jwtSecret" }}
{{- if not (index $.Values.credentials $which).existingSecret }}
- {{ printf "environment=production makes no credentials by itself: set credentials.%s.existingSecret." $which | quote }}
{{- end }}
{{- end }}
{{- else if and .Values.database.existingSecret (not .Values.credentials.jwtSecret.existingSecret) }}
- "The external database keeps signing keys sealed with the JWT secret, which must outlive this release: set credentials.jwtSecret.existingSecret."
{{- end }}
{{- if and .Values.demo.gemini.enabled .Values.credentials.geminiApiKey.existingSecret }}
- "credentials.geminiApiKey.existingSecret is a real key and demo.gemini.enabled an emulator: set one of them."
{{- end }}
{{- end -}}

{{- define "pyairtable.serviceFaults" -}}
{{- $root := . }}
{{- $components := include "pyairtable.components" . | fromYaml }}
{{- range $name, $component := $components }}
{{- if not $component.autoscaling.enabled }}
{{- if lt (int $component.replicas) 1 }}
- {{ printf "%s has 0 replicas, and others need it: give it at least 1." $name | quote }}
{{- end }}
{{- else }}
{{- if not (kindIs "invalid" (index (index $root.Values.services $name) "replicas")) }}
- {{ printf "services.%s.replicas and its autoscaling contradict each other: leave replicas out, the number belongs to the autoscaler." $name | quote }}
{{- end }}
{{- if gt (int $component.autoscaling.minReplicas) (int $component.autoscaling.maxReplicas) }}
- {{ printf "services.%s.autoscaling has minReplicas above maxReplicas." $name | quote }}
{{- end }}
{{- if not (dig "requests" "cpu" "" $component.resources) }}
- {{ printf "services.%s.autoscaling needs resources.requests.cpu: the target is a share of it." $name | quote }}
{{- end }}
{{- end }}
{{- range $peer := $component.peers }}
{{- if not (hasKey $components $peer) }}
- {{ printf "%s needs the service %s (peers), which is not there or not enabled." $name $peer | quote }}
{{- end }}
{{- end }}
{{- if and $root.Values.metrics.serviceMonitor.enabled (not $component.metrics) }}
- {{ printf "metrics.serviceMonitor.enabled asks %s for metrics, and its ENABLE_METRICS is false." $name | quote }}
{{- end }}
{{- range $variable, $which := $component.secrets }}
{{- if not (has $which (list "apiKey" "jwtSecret" "geminiApiKey" "demoAirtableToken")) }}
- {{ printf "%s takes %s from the credential %s; there are apiKey, jwtSecret and geminiApiKey." $name $variable $which | quote }}
{{- end }}
{{- if hasKey ($component.env | default dict) $variable }}
- {{ printf "%s is a secret of %s: give it by credentials, not in env, where everybody can read it." $variable $name | quote }}
{{- end }}
{{- end }}
{{- if and (ne $name "operator") (not (hasKey ($component.secrets | default dict) "API_KEY")) }}
- {{ printf "%s takes no API_KEY: nothing starts without one, and services prove themselves by it." $name | quote }}
{{- end }}
{{- if hasKey ($component.env | default dict) "OPEN_ACCESS" }}
- {{ printf "OPEN_ACCESS in env of %s is for development on one machine: in a cluster every caller shows a credential." $name | quote }}
{{- end }}
{{- range $variable := list "DATABASE_URL" "POSTGRES_PASSWORD" "REDIS_URL" "REDIS_PASSWORD" "AIRTABLE_TOKEN" "API_KEY" "JWT_SECRET" "GEMINI_API_KEY" "SMTP_PASSWORD" }}
{{- if and (hasKey ($component.env | default dict) $variable) (not (hasKey ($component.secrets | default dict) $variable)) }}
- {{ printf "%s is a secret: it may not stand in env of %s, where everybody can read it." $variable $name | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- range $image := list "services" "operator" "devkit" }}
{{- $tag := (index $root.Values.images $image).tag }}
{{- if eq $tag "latest" }}
- {{ printf "images.%s.tag is latest, which means something else tomorrow: name a version or a digest." $image | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "pyairtable.loginFaults" -}}
{{- $mail := .Values.mail }}
{{- if and .Values.demo.sharedToken.enabled (not .Values.demo.airtable.enabled) }}
- "demo.sharedToken is the emulator's token: enable demo.airtable too, or give each workspace a token of its own."
{{- end }}
{{- if and $mail.host .Values.demo.mailbox.enabled }}
- "mail.host names a mail server and demo.mailbox.enabled starts a mailbox in the cluster: set one of them."
{{- end }}
{{- if and $mail.existingSecret (not $mail.host) }}
- "mail.existingSecret is a login at a mail server: name the server in mail.host."
{{- end }}
{{- if and $mail.host (not .Values.public.url) }}
- "Letters hold links: set public.url to where people reach the installation, or leave out mail.host."
{{- end }}
{{- if and $mail.host (not $mail.startTLS) (eq .Values.environment "production") }}
- "mail.startTLS is false, and letters hold tokens: environment=production sends none over a connection that everybody can read."
{{- end }}
{{- if .Values.demo.postgres.enabled }}
{{- range $name, $component := include "pyairtable.components" . | fromYaml }}
{{- if $component.databaseKey }}
- {{ printf "services.%s.databaseKey is for an external database: the demo's has one login." $name | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "pyairtable.exposureFaults" -}}
{{- $exposure := .Values.exposure }}
{{- $components := include "pyairtable.components" . | fromYaml }}
{{- $routed := or $exposure.ingress.enabled $exposure.httpRoute.enabled }}
{{- if and $routed (not $exposure.hosts) }}
- "exposure.hosts is empty: an Ingress or HTTPRoute needs at least one host and the service that answers there."
{{- end }}
{{- if and $exposure.hosts (not $routed) }}
- "exposure.hosts says what is reachable from outside and nothing makes it so: enable exposure.ingress or exposure.httpRoute."
{{- end }}
{{- range $exposure.hosts }}
{{- if or (eq .service "operator") (not (hasKey $components .service)) }}
- {{ printf "exposure.hosts names the service %s, which is not there or not enabled." .service | quote }}
{{- end }}
{{- end }}
{{- range $route := list "httpRoute" "grpcRoute" }}
{{- if and (index $exposure $route).enabled (not (index $exposure $route).parentRefs) }}
- {{ printf "exposure.%s.parentRefs is empty: name the Gateway that the route belongs to." $route | quote }}
{{- end }}
{{- end }}
{{- if and $exposure.grpcRoute.enabled (not $exposure.grpcRoute.hostnames) }}
- "exposure.grpcRoute.hostnames is empty: name the host under which gRPC is reached."
{{- end }}
{{- if and (or $routed $exposure.grpcRoute.enabled) .Values.networkPolicy.enabled (not .Values.networkPolicy.ingressFrom) }}
- "networkPolicy.ingressFrom is empty, so that the ingress controller could not reach what exposure opens: name its pods."
{{- end }}
{{- end -}}
