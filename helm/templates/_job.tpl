{{/* A Job at install and upgrade, or a suspended CronJob that is started by hand:
     kubectl create job --from=cronjob/NAME NAME-1
     takes (list $ name run weight podSpec) */}}
{{- define "lookalike.job" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}{{- $run := index . 2 -}}
---
{{- if eq $run "hook" }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "lookalike.fullname" $root }}-{{ $name }}
  labels:
    {{- include "lookalike.labels" (list $root "job") | nindent 4 }}
  annotations:
    helm.sh/hook: post-install,post-upgrade
    helm.sh/hook-weight: {{ index . 3 | quote }}
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  {{- include "lookalike.jobSpec" . | nindent 2 }}
{{- else }}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ include "lookalike.fullname" $root }}-{{ $name }}
  labels:
    {{- include "lookalike.labels" (list $root "job") | nindent 4 }}
spec:
  schedule: "0 0 1 1 *"
  suspend: true
  jobTemplate:
    spec:
      {{- include "lookalike.jobSpec" . | nindent 6 }}
{{- end }}
{{- end -}}

{{- define "lookalike.jobSpec" -}}
{{- $root := index . 0 -}}
# Killed, it goes on where it was; at an install Triton may take a quarter of an hour to come.
backoffLimit: 12
ttlSecondsAfterFinished: 604800
template:
  metadata:
    labels:
      {{- include "lookalike.labels" (list $root "job") | nindent 6 }}
  spec:
    restartPolicy: Never
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- include "lookalike.pullSecrets" $root | nindent 4 }}
    {{- index . 4 | nindent 4 }}
{{- end -}}

{{/* A command of the gateway's image, with its settings; takes (list $ args extraMounts extraVolumes) */}}
{{- define "lookalike.command" -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ include "lookalike.fullname" $root }}-gateway
securityContext:
  {{- include "lookalike.podSecurity" 10001 | nindent 2 }}
{{- with include "lookalike.fetch" $root | trim }}
initContainers:
  {{- . | nindent 2 }}
{{- end }}
containers:
  - name: lookalike
    image: {{ include "lookalike.image" (list $root $root.Values.image) }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args:
      {{- toYaml (index . 1) | nindent 6 }}
    env:
      {{- include "lookalike.environment" $root | nindent 6 }}
    securityContext:
      {{- include "lookalike.containerSecurity" $root | nindent 6 }}
    resources:
      {{- toYaml $root.Values.jobs.resources | nindent 6 }}
    volumeMounts:
      {{- include "lookalike.gatewayMounts" $root | nindent 6 }}
      {{- with index . 2 }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  {{- include "lookalike.gatewayVolumes" $root | nindent 2 }}
  {{- with index . 3 }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
