{{- define "deepfake.mounts" -}}
{{- if or .Values.model.volume .Values.model.init.image }}
- {name: models, mountPath: /models, readOnly: true}
{{- end }}
{{- if .Values.secrets.receipt.name }}
- {name: receipt, mountPath: /secrets, readOnly: true}
{{- end }}
{{- if .Values.scratch.enabled }}
- {name: scratch, mountPath: /tmp}
{{- end }}
{{- end }}

{{- define "deepfake.volumes" -}}
{{- if .Values.model.init.image }}
- name: models
  emptyDir: {medium: Memory, sizeLimit: {{ .Values.model.init.size }}}
{{- else if .Values.model.volume }}
- name: models
  {{- toYaml .Values.model.volume | nindent 2 }}
{{- end }}
{{- with .Values.secrets.receipt }}
{{- if .name }}
- name: receipt
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items: [{key: {{ .key }}, path: receipt.pem}]
{{- end }}
{{- end }}
{{- if .Values.scratch.enabled }}
- name: scratch
  emptyDir: {medium: Memory, sizeLimit: {{ .Values.scratch.size }}}
{{- end }}
{{- end }}
