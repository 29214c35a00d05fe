{{/* Triton's pods, for a Deployment and for a StatefulSet. */}}
{{- define "lookalike.tritonPod" -}}
{{- $name := include "lookalike.fullname" . -}}
{{- with .Values.triton -}}
metadata:
  labels:
    {{- include "lookalike.labels" (list $ "triton") | nindent 4 }}
  annotations:
    lookalike/releases: {{ join "," $.Values.releases | quote }}
    {{- with .podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ $name }}-triton
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- include "lookalike.pullSecrets" $ | nindent 2 }}
  securityContext:
    {{- include "lookalike.podSecurity" 1000 | nindent 4 }}
  terminationGracePeriodSeconds: {{ add 15 (int .drainSeconds) (int .exitTimeoutSeconds) }}
  topologySpreadConstraints:
    {{- include "lookalike.spread" (list $ "triton") | nindent 4 }}
  {{- with include "lookalike.fetch" $ | trim }}
  initContainers:
    {{- . | nindent 4 }}
  {{- end }}
  containers:
    - name: triton
      image: {{ .image.repository }}:{{ .image.tag }}
      imagePullPolicy: {{ .image.pullPolicy }}
      command: [tritonserver]
      args:
        - --model-repository=/models
        # Gateways may load a release besides, to build its index; a new release for good is in `releases`.
        - --model-control-mode=explicit
        {{- range $.Values.releases }}
        - --load-model={{ . }}-image
        - --load-model={{ . }}-text
        {{- end }}
        - --disable-auto-complete-config
        - --exit-on-error=true
        # Ready when these are loaded. Strictly, every server would be unready while it loads one more.
        - --strict-readiness=false
        - --exit-timeout-secs={{ .exitTimeoutSeconds }}
        - --allow-gpu-metrics={{ gt (int .gpus) 0 }}
        - --log-format=ISO8601
        {{- if .cacheBytes }}
        - --cache-config=local,size={{ int64 .cacheBytes }}
        {{- end }}
        # HTTP is for probes; who loads models shows the key.
        - --http-restricted-api=metadata,inference,shared-memory,model-config,model-repository,statistics,trace,logging:admin-key=$(ADMIN_KEY)
        - --grpc-restricted-protocol=shared-memory,model-repository,statistics,trace,logging:admin-key=$(ADMIN_KEY)
        # These let the gateway's keepalive pings through.
        - --grpc-http2-min-recv-ping-interval-without-data=5000
        - --grpc-keepalive-permit-without-calls=1
        # Gateways look up the pods anew when a connection ends: new pods get work, and leaving ones
        # lose it, within this and what DNS keeps.
        - --grpc-max-connection-age=30000
        - --grpc-max-connection-age-grace=30000
        {{- range .extraArgs }}
        - {{ . | quote }}
        {{- end }}
      env:
        - name: ADMIN_KEY
          valueFrom:
            secretKeyRef: {name: {{ .adminKey.secret }}, key: {{ .adminKey.key }}}
      ports:
        - {name: http, containerPort: 8000}
        - {name: grpc, containerPort: 8001}
        - {name: metrics, containerPort: 8002}
      startupProbe:
        httpGet: {path: /v2/health/ready, port: http}
        periodSeconds: 5
        # An engine may be built first.
        failureThreshold: {{ div (int .startupSeconds) 5 }}
      readinessProbe:
        httpGet: {path: /v2/health/ready, port: http}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      livenessProbe:
        httpGet: {path: /v2/health/live, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      lifecycle:
        preStop:
          # Serving on while the gateways turn to the others: Triton refuses all at SIGTERM.
          exec: {command: [sleep, {{ .drainSeconds | quote }}]}
      securityContext:
        {{- include "lookalike.containerSecurity" $ | nindent 8 }}
      resources:
        {{- $resources := deepCopy .resources }}
        {{- if .gpus }}
        {{- $_ := set $resources "limits" (merge (dict .gpuResource (int .gpus)) (default dict $resources.limits)) }}
        {{- end }}
        {{- toYaml $resources | nindent 8 }}
      volumeMounts:
        - {name: models, mountPath: /models, readOnly: true{{ include "lookalike.subPath" $ }}}
        - {name: engines, mountPath: /var/cache/lookalike}
        - {name: tmp, mountPath: /tmp}
        - {name: shm, mountPath: /dev/shm}
  volumes:
    {{- include "lookalike.models" $ | nindent 4 }}
    - name: tmp
      emptyDir: {sizeLimit: 1Gi}
    - name: shm
      emptyDir: {medium: Memory, sizeLimit: {{ .sharedMemory }}}
    {{- if .engineCache.claim }}
    - name: engines
      persistentVolumeClaim: {claimName: {{ .engineCache.claim }}}
    {{- else if eq .kind "Deployment" }}
    - name: engines
      emptyDir: {sizeLimit: {{ .engineCache.size }}}
    {{- end }}
  {{- with .nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}
