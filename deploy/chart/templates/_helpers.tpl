{{- define "broadaxe.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "broadaxe.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "broadaxe.labels" -}}
{{ include "broadaxe.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end -}}

{{- define "broadaxe.image" -}}
{{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}
{{- end -}}

{{- define "broadaxe.secretName" -}}
{{- default (include "broadaxe.fullname" .) .Values.database.existingSecret -}}
{{- end -}}

{{- define "broadaxe.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "broadaxe.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "broadaxe.httpUrl" -}}
{{- printf "http://%s-http.%s.svc:%v" (include "broadaxe.fullname" .) .Release.Namespace .Values.service.http.port -}}
{{- end -}}

{{- define "broadaxe.grpcAddress" -}}
{{- printf "%s-grpc.%s.svc:%v" (include "broadaxe.fullname" .) .Release.Namespace .Values.service.grpc.port -}}
{{- end -}}

{{- define "broadaxe.secretData" -}}
{{- if not .Values.database.url -}}
{{- fail "set database.url, or database.existingSecret with the name of a Secret that has it" -}}
{{- end -}}
{{ .Values.database.urlKey }}: {{ .Values.database.url | quote }}
{{- with .Values.database.directUrl }}
{{ $.Values.database.directUrlKey }}: {{ . | quote }}
{{- end }}
{{- with .Values.database.readUrl }}
{{ $.Values.database.readUrlKey }}: {{ . | quote }}
{{- end }}
{{- with .Values.secretKey }}
{{ $.Values.database.secretKeyKey }}: {{ . | quote }}
{{- end }}
{{- if .Values.mail.from }}
{{ .Values.database.smtpUrlKey }}: {{ required "set mail.smtpUrl as well as mail.from" .Values.mail.smtpUrl | quote }}
{{- end }}
{{- end -}}

{{/* Settings that migrations and the engine have in common; `secret` names the Secret. */}}
{{- define "broadaxe.env" -}}
- name: BROADAXE_DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ .secret | quote }}, key: {{ .root.Values.database.urlKey | quote }}}
- name: BROADAXE_DIRECT_DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ .secret | quote }}, key: {{ .root.Values.database.directUrlKey | quote }}, optional: true}
{{- with .root.Values.database.schema }}
- name: BROADAXE_DATABASE_SCHEMA
  value: {{ . | quote }}
{{- end }}
- name: BROADAXE_LOG_LEVEL
  value: {{ .root.Values.logLevel | quote }}
{{- range $name, $value := .root.Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "broadaxe.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "broadaxe.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The engines of the release, as a peer of a network policy. */}}
{{- define "broadaxe.engines" -}}
- podSelector:
    matchLabels:
      {{- include "broadaxe.selector" . | nindent 6 }}
      app.kubernetes.io/component: engine
{{- end }}
