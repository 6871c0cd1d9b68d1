{{- /* One bridge, whatever keeps its journal. */ -}}
{{- define "lpbridge.pod" -}}
metadata:
  labels:
    {{- include "lpbridge.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  automountServiceAccountToken: false
  # Kubernetes would name variables of its own like ours.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add .Values.drainDelaySeconds .Values.shutdownTimeoutSeconds 10 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.affinity }}
  affinity:
    {{- toYaml .Values.affinity | nindent 4 }}
  {{- else if .Values.postgres.url }}
  # A machine that is lost should not take all replicas along.
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "lpbridge.selector" . | nindent 16 }}
  {{- end }}
  containers:
    - name: lpbridge
      image: {{ include "lpbridge.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [run]
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      env:
        - name: GOMEMLIMIT
          value: {{ .Values.goMemLimit | quote }}
        - name: LPBRIDGE_LISTEN
          value: ":8080"
        - name: LPBRIDGE_ADMIN_LISTEN
          value: ":8081"
        - name: LPBRIDGE_STORE
          value: {{ include "lpbridge.store" . | quote }}
        {{- if .Values.postgres.url }}
        - name: LPBRIDGE_PEER_LISTEN
          value: ":8082"
        {{- end }}
        - name: LPBRIDGE_DRAIN_DELAY
          value: {{ printf "%ds" (int .Values.drainDelaySeconds) }}
        - name: LPBRIDGE_SHUTDOWN_TIMEOUT
          value: {{ printf "%ds" (int .Values.shutdownTimeoutSeconds) }}
        {{- if .Values.tls.publicSecret }}
        - name: LPBRIDGE_TLS_CERT
          value: /run/tls/public/tls.crt
        - name: LPBRIDGE_TLS_KEY
          value: /run/tls/public/tls.key
        {{- end }}
        {{- if .Values.tls.adminSecret }}
        - name: LPBRIDGE_ADMIN_TLS_CERT
          value: /run/tls/admin/tls.crt
        - name: LPBRIDGE_ADMIN_TLS_KEY
          value: /run/tls/admin/tls.key
        {{- end }}
        {{- range $name, $value := .Values.env }}
        - name: {{ $name }}
          {{- /* Helm reads numbers of values as floats, which print as 1e+06. */}}
          value: {{ if kindIs "float64" $value }}{{ $value | toJson | quote }}{{ else }}{{ $value | toString | quote }}{{ end }}
        {{- end }}
        {{- range $name, $_ := .Values.secretFiles }}
        - name: {{ $name }}_FILE
          value: {{ include "lpbridge.secretPath" $name }}
        {{- end }}
      ports:
        - name: public
          containerPort: 8080
        - name: admin
          containerPort: 8081
        {{- if .Values.postgres.url }}
        - name: peer
          containerPort: 8082
        {{- end }}
      # The admin listener answers once what an earlier process left has been looked
      # through. It asks nothing more: a full disk is mended by no restart.
      startupProbe:
        {{- include "lpbridge.probe" (dict "root" . "path" "/healthz") | nindent 8 }}
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: {{ div .Values.startSeconds 2 }}
      # A restart mends nothing of the surroundings, and /healthz asks none.
      livenessProbe:
        {{- include "lpbridge.probe" (dict "root" . "path" "/healthz") | nindent 8 }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        {{- include "lpbridge.probe" (dict "root" . "path" "/readyz") | nindent 8 }}
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 1
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        {{- if not .Values.postgres.url }}
        - name: data
          mountPath: /data
        {{- end }}
        {{- if .Values.postgres.caSecret }}
        - name: postgres-ca
          mountPath: /run/tls/postgres
          readOnly: true
        {{- end }}
        - name: tmp
          mountPath: /tmp
        - name: secrets
          mountPath: /run/secrets/lpbridge
          readOnly: true
        {{- if .Values.tls.publicSecret }}
        - name: tls-public
          mountPath: /run/tls/public
          readOnly: true
        {{- end }}
        {{- if .Values.tls.adminSecret }}
        - name: tls-admin
          mountPath: /run/tls/admin
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: 1Gi
    # All in one place and without subPath, so that the kubelet writes a Secret
    # that is changed into the running pod.
    - name: secrets
      projected:
        defaultMode: 0440
        sources:
          {{- range $name, $from := .Values.secretFiles }}
          - secret:
              name: {{ $from.secret }}
              items:
                - key: {{ $from.key }}
                  path: {{ $name }}
          {{- end }}
    {{- if .Values.tls.publicSecret }}
    - name: tls-public
      secret:
        secretName: {{ .Values.tls.publicSecret }}
        defaultMode: 0440
    {{- end }}
    {{- if .Values.tls.adminSecret }}
    - name: tls-admin
      secret:
        secretName: {{ .Values.tls.adminSecret }}
        defaultMode: 0440
    {{- end }}
    {{- with .Values.postgres.caSecret }}
    - name: postgres-ca
      secret:
        secretName: {{ . }}
        defaultMode: 0440
    {{- end }}
    {{- if and .Values.persistence.existingClaim (not .Values.postgres.url) }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ .Values.persistence.existingClaim }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
