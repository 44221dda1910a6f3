{{/* The pods of a track: a dict of root, track, digest, tag and bento. */}}

{{/* Where the runtime's pods keep the Bento: a folder in the volume, so that it can be renamed there when it is whole. */}}
{{- define "sentiment.bentoFolder" -}}/home/bentoml/bento/fetched{{- end -}}

{{- define "sentiment.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1034
runAsGroup: 1034
fsGroup: 1034
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "sentiment.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "sentiment.pod" -}}
{{- $values := .root.Values -}}
serviceAccountName: {{ include "sentiment.serviceAccount" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "sentiment.podSecurity" . | nindent 2 }}
terminationGracePeriodSeconds: {{ add $values.timing.drainSeconds $values.timing.requestSeconds 15 }}
topologySpreadConstraints:
  - topologyKey: topology.kubernetes.io/zone
    maxSkew: 1
    whenUnsatisfiable: {{ $values.placement.zones }}
    labelSelector:
      matchLabels:
        {{- include "sentiment.selector" . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  - topologyKey: kubernetes.io/hostname
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "sentiment.selector" . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- with $values.placement.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.placement.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.placement.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if .bento.uri }}
# Fetches the Bento and compares it with its digest; the server starts when it is there, whole.
initContainers:
  - name: fetch
    image: {{ include "sentiment.image" . | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    command: [python, /opt/sentiment/fetch.py]
    args:
      - {{ .bento.uri | quote }}
      - {{ .bento.sha256 | quote }}
      - {{ include "sentiment.bentoFolder" . }}
    envFrom:
      - configMapRef:
          name: {{ include "sentiment.name" .root }}
    {{- with $values.env }}
    env:
      {{- range $name, $value := . }}
      - name: {{ $name }}
        value: {{ $value | quote }}
      {{- end }}
    {{- end }}
    terminationMessagePolicy: FallbackToLogsOnError
    resources:
      {{- toYaml $values.resources | nindent 6 }}
    securityContext:
      {{- include "sentiment.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - name: bento
        mountPath: {{ include "sentiment.bentoFolder" . | dir }}
{{- end }}
containers:
  - name: server
    image: {{ include "sentiment.image" . | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    # A connection is kept for longer than the load balancer keeps it (60 s): otherwise it may use one that just closed.
    args:
      - serve
      - --host=0.0.0.0
      - --port=3000
      - --timeout-keep-alive=75
      - --timeout-graceful-shutdown={{ $values.timing.requestSeconds }}
    ports:
      - name: http
        containerPort: 3000
    envFrom:
      - configMapRef:
          name: {{ include "sentiment.name" .root }}
    env:
      - name: BENTOML_HOME
        value: /run/bentoml
      {{- if .bento.uri }}
      - name: BENTO_PATH
        value: {{ include "sentiment.bentoFolder" . }}
      {{- end }}
      {{- range $name, $value := $values.env }}
      - name: {{ $name }}
        value: {{ $value | quote }}
      {{- end }}
    startupProbe:
      httpGet: {path: /livez, port: http}
      periodSeconds: 2
      timeoutSeconds: 2
      failureThreshold: {{ div (add $values.timing.startupSeconds 1) 2 }}
    readinessProbe:
      httpGet: {path: /readyz, port: http}
      periodSeconds: 5
      timeoutSeconds: 3
      failureThreshold: 2
    livenessProbe:
      httpGet: {path: /livez, port: http}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 3
    # Load balancers learn a little later than the pod that it ends; it answers until they know.
    lifecycle:
      preStop:
        sleep:
          seconds: {{ $values.timing.drainSeconds }}
    resources:
      {{- toYaml $values.resources | nindent 6 }}
    securityContext:
      {{- include "sentiment.containerSecurity" . | nindent 6 }}
    volumeMounts:
      {{- if .bento.uri }}
      - name: bento
        mountPath: {{ include "sentiment.bentoFolder" . | dir }}
        readOnly: true
      {{- end }}
      - name: bentoml
        mountPath: /run/bentoml
      - name: tmp
        mountPath: /tmp
      - name: spool
        mountPath: /var/spool/sentiment
      {{- if ne $values.apiKeys.source "none" }}
      - name: keys
        mountPath: /etc/sentiment/keys
        readOnly: true
      {{- end }}
volumes:
  {{- if .bento.uri }}
  - name: bento
    emptyDir: {sizeLimit: 256Mi}
  {{- end }}
  - name: bentoml
    emptyDir: {medium: Memory, sizeLimit: 64Mi}
  - name: tmp
    emptyDir: {medium: Memory, sizeLimit: 64Mi}
  - name: spool
    emptyDir: {sizeLimit: {{ $values.spool.sizeLimit }}}
  {{- if ne $values.apiKeys.source "none" }}
  - name: keys
    secret:
      secretName: {{ include "sentiment.keysSecret" .root }}
      defaultMode: 0440
  {{- end }}
{{- end -}}
