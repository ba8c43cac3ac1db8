{{- /* Short enough that a pod's name, which is its replica's, has at most 63 characters. */ -}}
{{- define "deepfake.name" -}}
{{- $name := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) -}}
{{- $name | replace "." "-" | trunc 45 | trimSuffix "-" -}}
{{- end }}

{{- define "deepfake.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "deepfake.labels" -}}
{{ include "deepfake.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "deepfake.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default (printf "%s%s" .Chart.AppVersion (.Values.gpu.enabled | ternary "-gpu" "")) }}
{{- end -}}
{{- end }}

{{- /* What every container of the pod gives up. */ -}}
{{- define "deepfake.confined" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* Whether the service calls anybody: origins of videos, or receivers of callbacks. */ -}}
{{- define "deepfake.calls" -}}
{{- if or .Values.fetch.enabled .Values.secrets.webhook.name }}true{{ end -}}
{{- end }}
