{{- define "lpbridge.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "lpbridge.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "lpbridge.labels" -}}
{{ include "lpbridge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "lpbridge.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Where the secret of a variable is in the container. */ -}}
{{- define "lpbridge.secretPath" -}}
/run/secrets/lpbridge/{{ . }}
{{- end -}}

{{- /* The kubelet calls the pod by its address, which the admin listener answers to
without a token for these paths. */ -}}
{{- define "lpbridge.probe" -}}
httpGet:
  path: {{ .path }}
  port: admin
  {{- if .root.Values.tls.adminSecret }}
  scheme: HTTPS
  {{- end }}
{{- end -}}

{{- define "lpbridge.required" -}}
{{- range list "LP_ACCOUNT_ID" "LP_CLIENT_ID" "LPBRIDGE_CHANNELS" -}}
{{- $_ := required (printf "env.%s is required" .) (get $.Values.env .) -}}
{{- end -}}
{{- range list "LP_CLIENT_SECRET" "LPBRIDGE_ADMIN_TOKEN" -}}
{{- $_ := required (printf "secretFiles.%s is required" .) (get $.Values.secretFiles .) -}}
{{- end -}}
{{- end -}}
