{{- define "lookalike.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What a selector asks for; takes (list $ component). It never changes. */}}
{{- define "lookalike.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: lookalike
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* The labels of everything; takes (list $ component). */}}
{{- define "lookalike.labels" -}}
{{- $root := index . 0 -}}
{{ include "lookalike.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{/* An image of ours; takes (list $ image): its tag is the chart's version unless given. */}}
{{- define "lookalike.image" -}}
{{- $root := index . 0 -}}{{- $image := index . 1 -}}
{{ $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end -}}

{{- define "lookalike.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* takes a user's number */}}
{{- define "lookalike.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "lookalike.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* A setting as text: Helm's numbers are floats, and would be written as 2e+07. */}}
{{- define "lookalike.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* What the gateway would refuse at its start, told before anything is installed. */}}
{{- define "lookalike.check" -}}
{{- with .Values.qdrant }}
{{- if gt (int .writeConsistency) (int .replicas) }}
{{- fail "qdrant.writeConsistency is more than qdrant.replicas: no write could be confirmed" }}
{{- end }}
{{- end }}
{{- with .Values.gateway }}
{{- if lt (float64 .settings.max_timeout_s) (float64 .settings.default_timeout_s) }}
{{- fail "gateway.settings.max_timeout_s is less than default_timeout_s" }}
{{- end }}
{{- if and .settings.rate_limit (not (or .keys.secret .adminKey.secret)) }}
{{- fail "gateway.settings.rate_limit limits each key, and there is none: set gateway.keys.secret" }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "lookalike.tritonTarget" -}}
dns:///{{ include "lookalike.fullname" . }}-triton.{{ .Release.Namespace }}.svc:8001
{{- end -}}

{{/* The gateway's environment, for its pods and for the jobs that are gateways for a while. */}}
{{- define "lookalike.environment" -}}
- name: LOOKALIKE_TRITON
  value: {{ include "lookalike.tritonTarget" . }}
- name: LOOKALIKE_TRITON_KEY_FILE
  value: /run/secrets/triton/key
- name: LOOKALIKE_STORE
  value: cluster
- name: LOOKALIKE_QDRANT_HOST
  value: {{ .Values.qdrant.host | quote }}
- name: LOOKALIKE_QDRANT_GRPC_PORT
  value: {{ .Values.qdrant.grpcPort | quote }}
- name: LOOKALIKE_QDRANT_TLS
  value: {{ .Values.qdrant.tls | quote }}
{{- with .Values.qdrant.shards }}
- name: LOOKALIKE_QDRANT_SHARDS
  value: {{ . | quote }}
{{- end }}
- name: LOOKALIKE_QDRANT_REPLICAS
  value: {{ .Values.qdrant.replicas | quote }}
- name: LOOKALIKE_QDRANT_WRITE_CONSISTENCY
  value: {{ .Values.qdrant.writeConsistency | quote }}
{{- if .Values.qdrant.apiKey.secret }}
- name: LOOKALIKE_QDRANT_API_KEY_FILE
  value: /run/secrets/qdrant/key
{{- end }}
{{- if .Values.gateway.adminKey.secret }}
- name: LOOKALIKE_ADMIN_KEY_FILE
  value: /run/secrets/admin/key
{{- end }}
{{- if .Values.gateway.keys.secret }}
- name: LOOKALIKE_KEYS_FILE
  value: /run/secrets/keys/key
{{- end }}
{{- if .Values.gateway.pictures.claim }}
- name: LOOKALIKE_PICTURES_FOLDER
  value: /pictures
{{- end }}
{{- if not (hasKey .Values.gateway.settings "decode_threads") }}
# The cores that it asks for; by itself it would count the machine's.
- name: LOOKALIKE_DECODE_THREADS
  valueFrom:
    resourceFieldRef: {resource: requests.cpu, divisor: "1"}
{{- end }}
{{- range $name, $value := .Values.gateway.settings }}
- name: LOOKALIKE_{{ upper $name }}
  value: {{ include "lookalike.text" $value | quote }}
{{- end }}
{{- end -}}

{{/* The secrets that a gateway reads: name of the mount, and where its value is. */}}
{{- define "lookalike.secrets" -}}
{{- $secrets := dict "triton" .Values.triton.adminKey "qdrant" .Values.qdrant.apiKey "admin" .Values.gateway.adminKey "keys" .Values.gateway.keys -}}
{{- range $name, $from := $secrets }}
{{- if not $from.secret }}{{- $_ := unset $secrets $name }}{{- end }}
{{- end }}
{{- toJson $secrets -}}
{{- end -}}

{{- define "lookalike.gatewayMounts" -}}
- {name: models, mountPath: /models, readOnly: true{{ include "lookalike.subPath" . }}}
- {name: tmp, mountPath: /tmp}
{{- range $name, $from := include "lookalike.secrets" . | fromJson }}
- {name: secret-{{ $name }}, mountPath: /run/secrets/{{ $name }}, readOnly: true}
{{- end }}
{{- if .Values.gateway.pictures.claim }}
- {name: pictures, mountPath: /pictures, readOnly: true}
{{- end }}
{{- end -}}

{{- define "lookalike.gatewayVolumes" -}}
{{ include "lookalike.models" . }}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- range $name, $from := include "lookalike.secrets" . | fromJson }}
- name: secret-{{ $name }}
  secret:
    secretName: {{ $from.secret }}
    defaultMode: 0440
    items: [{key: {{ $from.key }}, path: key}]
{{- end }}
{{- if .Values.gateway.pictures.claim }}
- name: pictures
  persistentVolumeClaim: {claimName: {{ .Values.gateway.pictures.claim }}, readOnly: true}
{{- end }}
{{- end -}}

{{/* Spread over zones as well as may be, and over machines. takes (list $ component) */}}
{{- define "lookalike.spread" -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "lookalike.selector" $ | nindent 6 }}
{{- end }}
{{- end -}}
