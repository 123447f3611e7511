{{/* Names, labels, addresses and images. */}}

{{- define "pyairtable.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of a component's objects: (list root "api-gateway") */}}
{{- define "pyairtable.name" -}}
{{- printf "%s-%s" (include "pyairtable.fullname" (index . 0)) (index . 1) -}}
{{- end -}}

{{/* Labels by which Services, policies and spreading find the pods of a component; they never change. */}}
{{- define "pyairtable.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "pyairtable.releaseLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: pyairtable
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "pyairtable.labels" -}}
{{ include "pyairtable.releaseLabels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "pyairtable.host" -}}
{{- printf "%s.%s.svc.%s" (include "pyairtable.name" .) (index . 0).Release.Namespace (index . 0).Values.clusterDomain -}}
{{- end -}}

{{/* REST address of a service inside the cluster: (list root "mcp-server") */}}
{{- define "pyairtable.http" -}}
{{- $service := include "pyairtable.service" . | fromYaml -}}
{{- printf "http://%s:%d" (include "pyairtable.host" .) (int $service.httpPort) -}}
{{- end -}}

{{/* gRPC target of a service. The headless name resolves to every pod, so that clients spread their calls (round robin)
     over one connection each; through a cluster address all calls of a connection would stay with one pod. */}}
{{- define "pyairtable.target" -}}
{{- $service := include "pyairtable.service" . | fromYaml -}}
{{- printf "%s-headless.%s.svc.%s:%d" (include "pyairtable.name" .) (index . 0).Release.Namespace (index . 0).Values.clusterDomain (int $service.grpcPort) -}}
{{- end -}}

{{/* For readers outside of a pod: the cluster address, which does not change. */}}
{{- define "pyairtable.stableTarget" -}}
{{- $service := include "pyairtable.service" . | fromYaml -}}
{{- printf "%s:%d" (include "pyairtable.host" .) (int $service.grpcPort) -}}
{{- end -}}

{{- define "pyairtable.airtableURL" -}}
{{- if .Values.demo.airtable.enabled }}http://{{ include "pyairtable.host" (list . "demo-airtable") }}:8090{{ end -}}
{{- end -}}

{{- define "pyairtable.sharedToken" -}}
{{- if .Values.demo.sharedToken.enabled }}true{{ end -}}
{{- end -}}

{{- define "pyairtable.geminiURL" -}}
{{- if .Values.demo.gemini.enabled }}http://{{ include "pyairtable.host" (list . "demo-gemini") }}:8091{{ end -}}
{{- end -}}

{{/* Image reference: (list root "services"). A digest wins over a tag; the default tag is the chart's appVersion. */}}
{{- define "pyairtable.image" -}}
{{- $image := index (index . 0).Values.images (index . 1) -}}
{{- $name := $image.repository -}}
{{- if $image.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" $image.registry) $image.repository }}{{ end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default (index . 0).Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* A component towards the API server: (list root "workspaces") */}}
{{- define "pyairtable.serviceAccount" -}}
{{- printf "system:serviceaccount:%s:%s" (index . 0).Release.Namespace (include "pyairtable.name" .) -}}
{{- end -}}

{{- define "pyairtable.operatorServiceAccount" -}}
{{- include "pyairtable.serviceAccount" (list . "operator") -}}
{{- end -}}
