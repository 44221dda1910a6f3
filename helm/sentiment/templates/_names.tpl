{{/* Names, labels and images. */}}

{{- define "sentiment.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sentiment.identity" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sentiment.labels" -}}
{{ include "sentiment.identity" . }}
app.kubernetes.io/part-of: sentiment
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* What selects the pods of a track: a dict of root and track. Never changes, as Deployments demand. */}}
{{- define "sentiment.selector" -}}
{{ include "sentiment.identity" .root }}
app.kubernetes.io/component: server
track: {{ .track }}
{{- end -}}

{{- define "sentiment.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "sentiment.name" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "sentiment.keysSecret" -}}
{{- .Values.apiKeys.secretName | default (printf "%s-keys" (include "sentiment.name" .)) -}}
{{- end -}}

{{/* Whether something splits the traffic, and whether there is something to split it between. */}}
{{- define "sentiment.hasCanary" -}}
{{- if and (eq .Values.strategy "canary") (or .Values.canary.digest .Values.canary.tag) }}true{{ end -}}
{{- end -}}

{{/* The Deployments of the chosen strategy, as YAML: track, name, digest, tag, modelVersion, bento, replicas, scaled. */}}
{{- define "sentiment.tracks" -}}
{{- $name := include "sentiment.name" . -}}
{{- $replicas := int .Values.replicas -}}
{{- $scaled := .Values.autoscaling.enabled -}}
{{- $tracks := list -}}
{{- if eq .Values.strategy "blueGreen" -}}
{{- range $colour := list "blue" "green" -}}
{{- $of := index $.Values.blueGreen $colour -}}
{{- if or $of.digest $of.tag -}}
{{- $tracks = append $tracks (dict "track" $colour "name" (printf "%s-%s" $name $colour) "digest" $of.digest "tag" $of.tag "modelVersion" $of.modelVersion "bento" $of.bento "replicas" $replicas "scaled" $scaled) -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- $tracks = append $tracks (dict "track" "stable" "name" $name "digest" .Values.image.digest "tag" .Values.image.tag "modelVersion" .Values.image.modelVersion "bento" .Values.bento "replicas" $replicas "scaled" $scaled) -}}
{{- if include "sentiment.hasCanary" . -}}
{{- $tracks = append $tracks (dict "track" "canary" "name" (printf "%s-canary" $name) "digest" .Values.canary.digest "tag" .Values.canary.tag "modelVersion" .Values.canary.modelVersion "bento" .Values.canary.bento "replicas" (int .Values.canary.replicas) "scaled" false) -}}
{{- end -}}
{{- end -}}
{{- toYaml $tracks -}}
{{- end -}}

{{/* An image: a dict of root, digest and tag. */}}
{{- define "sentiment.image" -}}
{{- .root.Values.image.repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end -}}
{{- end -}}

{{/* The track that gets the traffic, or all but the canary's share of it. */}}
{{- define "sentiment.activeTrack" -}}
{{- ternary .Values.blueGreen.active "stable" (eq .Values.strategy "blueGreen") -}}
{{- end -}}
