{{/* Parts of every pod template. */}}

{{/* (list root name): metadata labels of a pod. */}}
{{- define "pyairtable.podLabels" -}}
{{- $root := index . 0 }}{{- $pods := index . 2 -}}
{{ include "pyairtable.labels" . }}
{{- with $pods.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* `pods` of a component over those of all, as YAML: (list root component) */}}
{{- define "pyairtable.pods" -}}
{{- mergeOverwrite (deepCopy (index . 0).Values.pods) (deepCopy ((index . 1).pods | default dict)) | toYaml -}}
{{- end -}}

{{/* (list root name pods): security, images and placement; every field is one of the restricted Pod Security profile or of
     scheduling. */}}
{{- define "pyairtable.podSpec" -}}
{{- $root := index . 0 }}{{- $name := index . 1 }}{{- $pods := index . 2 -}}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ int $pods.runAsUser }}
  runAsGroup: {{ int $pods.runAsUser }}
  fsGroup: {{ int $pods.runAsUser }}
  seccompProfile: {type: RuntimeDefault}
enableServiceLinks: false
{{- with $root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- if kindIs "bool" $pods.hostUsers }}
hostUsers: {{ $pods.hostUsers }}
{{- end }}
{{- with $pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $pods.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pods.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pods.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $pods.spread }}
topologySpreadConstraints:
  {{- range $topology := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $topology }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "pyairtable.selector" (list $root $name) | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "pyairtable.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* (list root "services"): image and pull policy of a container. */}}
{{- define "pyairtable.containerImage" -}}
image: {{ include "pyairtable.image" . }}
imagePullPolicy: {{ (index . 0).Values.images.pullPolicy }}
{{- end -}}
