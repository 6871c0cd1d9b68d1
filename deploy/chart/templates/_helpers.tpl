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

{{- /* What kubectl calls a pod of the release. */ -}}
{{- define "lpbridge.pods" -}}
{{- if .Values.postgres.url -}}
deployment/{{ include "lpbridge.fullname" . }}
{{- else -}}
{{ include "lpbridge.fullname" . }}-0
{{- end -}}
{{- end -}}

{{- /* Where the journal is. */ -}}
{{- define "lpbridge.store" -}}
{{- if .Values.postgres.url -}}
{{- .Values.postgres.url -}}
{{- if .Values.postgres.caSecret -}}
{{- ternary "&" "?" (contains "?" .Values.postgres.url) -}}
sslrootcert=/run/tls/postgres/ca.crt
{{- end -}}
{{- else -}}
sqlite:/data/lpbridge.db
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
{{- if regexMatch "://[^@/]*:[^@/]*@" .Values.postgres.url -}}
{{- fail "postgres.url must have no password: it belongs to a Secret, as LPBRIDGE_STORE_PASSWORD in secretFiles" -}}
{{- end -}}
{{- range list "LP_ACCOUNT_ID" "LP_CLIENT_ID" "LPBRIDGE_CHANNELS" -}}
{{- $_ := required (printf "env.%s is required" .) (get $.Values.env .) -}}
{{- end -}}
{{- range list "LP_CLIENT_SECRET" "LPBRIDGE_ADMIN_TOKEN" -}}
{{- $_ := required (printf "secretFiles.%s is required" .) (get $.Values.secretFiles .) -}}
{{- end -}}
{{- end -}}
