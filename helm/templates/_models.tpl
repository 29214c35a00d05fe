{{/* The model repository as a volume, its folder within, and how it gets there and is checked. */}}
{{- define "lookalike.models" -}}
- name: models
{{- with .Values.modelRepository }}
{{- if eq .type "pvc" }}
  persistentVolumeClaim: {claimName: {{ required "modelRepository.pvc.claim is needed for type pvc" .pvc.claim }}, readOnly: true}
{{- else if eq .type "image" }}
  image: {reference: {{ required "modelRepository.image.reference is needed for type image" .image.reference | quote }}, pullPolicy: {{ .image.pullPolicy }}}
{{- else }}
  emptyDir: {sizeLimit: {{ .sizeLimit }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* Continues a flow mapping. A bucket's path is what is copied, so that it is no folder here. */}}
{{- define "lookalike.subPath" -}}
{{- if and .Values.modelRepository.path (has .Values.modelRepository.type (list "pvc" "image")) }}, subPath: {{ .Values.modelRepository.path | quote }}{{ end -}}
{{- end -}}

{{- define "lookalike.prefix" -}}
{{- if .path }}/{{ .path }}{{ end -}}
{{- end -}}

{{/* Init containers: the files are fetched, if they are in a bucket, and compared with the digests. */}}
{{- define "lookalike.fetch" -}}
{{- $root := . -}}
{{- with .Values.modelRepository }}
{{- if eq .type "s3" }}
- name: fetch
  image: {{ .s3.image }}
  args:
    - s3
    - sync
    - s3://{{ required "modelRepository.s3.bucket is needed for type s3" .s3.bucket }}{{ include "lookalike.prefix" . }}
    - /models
    - --no-progress
    {{- with .s3.endpoint }}
    - --endpoint-url={{ . }}
    {{- end }}
    {{- if $root.Values.releases }}
    - --exclude=*
    {{- range $root.Values.releases }}
    - --include={{ . }}.*
    - --include={{ . }}-image/*
    - --include={{ . }}-text/*
    {{- end }}
    {{- end }}
  env:
    - {name: HOME, value: /tmp}
    {{- with .s3.region }}
    - {name: AWS_REGION, value: {{ . | quote }}}
    {{- end }}
  {{- include "lookalike.fetchRest" $root | nindent 2 }}
{{- else if eq .type "gcs" }}
{{- $from := printf "gs://%s%s" (required "modelRepository.gcs.bucket is needed for type gcs" .gcs.bucket) (include "lookalike.prefix" .) }}
- name: fetch
  image: {{ .gcs.image }}
  command: [gcloud, storage, cp, --recursive]
  args:
    {{- range $root.Values.releases }}
    - {{ $from }}/{{ . }}.*
    - {{ $from }}/{{ . }}-image
    - {{ $from }}/{{ . }}-text
    {{- else }}
    - {{ $from }}/*
    {{- end }}
    - /models/
  env:
    - {name: HOME, value: /tmp}
    - {name: CLOUDSDK_CONFIG, value: /tmp/gcloud}
  {{- include "lookalike.fetchRest" $root | nindent 2 }}
{{- end }}
{{- if .verify }}
{{- range $at, $release := $root.Values.releases }}
- name: verify-{{ $at }}
  image: {{ include "lookalike.image" (list $root $root.Values.image) }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args: [verify, {{ $release }}, --files]
  securityContext:
    {{- include "lookalike.containerSecurity" $root | nindent 4 }}
  resources:
    requests: {cpu: 500m, memory: 512Mi}
    limits: {memory: 1Gi}
  volumeMounts:
    - {name: models, mountPath: /models, readOnly: true{{ include "lookalike.subPath" $root }}}
    - {name: tmp, mountPath: /tmp}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "lookalike.fetchRest" -}}
{{- with .Values.modelRepository.credentialsSecret }}
envFrom:
  - secretRef: {name: {{ . }}}
{{- end }}
securityContext:
  {{- include "lookalike.containerSecurity" . | nindent 2 }}
resources:
  requests: {cpu: 500m, memory: 512Mi}
  limits: {memory: 1Gi}
volumeMounts:
  - {name: models, mountPath: /models}
  - {name: tmp, mountPath: /tmp}
{{- end -}}
