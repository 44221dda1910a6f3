{{/* What a schema cannot say: values that do not fit together. All of them are said at once. */}}

{{- define "sentiment.check" -}}
{{- $values := .Values -}}
{{- $wrong := list -}}
{{- if not $values.image.repository -}}
{{- $wrong = append $wrong "image.repository is empty: set it to the repository of the served image." -}}
{{- end -}}
{{- if and (ne $values.strategy "blueGreen") (not $values.image.digest) (not $values.image.tag) -}}
{{- $wrong = append $wrong "neither image.digest nor image.tag is set: name the version to serve, best by digest." -}}
{{- end -}}
{{- if eq $values.strategy "blueGreen" -}}
{{- $active := index $values.blueGreen $values.blueGreen.active -}}
{{- if not (or $active.digest $active.tag) -}}
{{- $wrong = append $wrong (printf "blueGreen.active is %s, but neither blueGreen.%s.digest nor its tag is set." $values.blueGreen.active $values.blueGreen.active) -}}
{{- end -}}
{{- end -}}
{{- $versions := dict "image" (merge (dict "bento" $values.bento) $values.image) "canary" $values.canary "blueGreen.blue" $values.blueGreen.blue "blueGreen.green" $values.blueGreen.green -}}
{{- range $name, $of := $versions -}}
{{- $bento := ternary "bento" (printf "%s.bento" $name) (eq $name "image") -}}
{{- if ne (empty $of.bento.uri) (empty $of.bento.sha256) -}}
{{- $wrong = append $wrong (printf "of %s, only uri or sha256 is set: set both, as `sentiment ship` prints them." $bento) -}}
{{- else if and (contains "/by-digest/" $of.bento.uri) (not (contains $of.bento.sha256 $of.bento.uri)) -}}
{{- $wrong = append $wrong (printf "%s.uri and %s.sha256 are of two different Bentos: set both, as `sentiment ship` prints them." $bento $bento) -}}
{{- end -}}
{{- if and $of.bento.uri (not $of.digest) (not $of.tag) (ne $name "image") -}}
{{- $wrong = append $wrong (printf "%s is set, but neither %s.digest nor its tag: name the runtime image that serves it." $bento $name) -}}
{{- end -}}
{{- end -}}
{{- if and $values.canary.weight (not (include "sentiment.hasCanary" .)) -}}
{{- $wrong = append $wrong "canary.weight is set, but there is no canary: set strategy to canary and canary.digest, or canary.weight to 0." -}}
{{- end -}}
{{- if and $values.canary.weight (not (or $values.ingress.enabled $values.httpRoute.enabled)) -}}
{{- $wrong = append $wrong "canary.weight needs something that splits the traffic: set ingress.enabled or httpRoute.enabled." -}}
{{- end -}}
{{- if and $values.networkPolicy.enabled (not $values.networkPolicy.from) (or $values.ingress.enabled $values.httpRoute.enabled $values.monitoring.serviceMonitor) -}}
{{- $wrong = append $wrong "networkPolicy.from is empty, so neither the load balancer nor Prometheus could reach the pods: add the load balancer's subnets (ipBlock) and Prometheus's namespace." -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) -}}
{{- $wrong = append $wrong "httpRoute.parentRefs is empty: name the Gateway." -}}
{{- end -}}
{{- if and (eq $values.apiKeys.source "secret") (not $values.apiKeys.secretName) -}}
{{- $wrong = append $wrong "apiKeys.source is secret: set apiKeys.secretName." -}}
{{- end -}}
{{- if and (eq $values.apiKeys.source "externalSecret") (not (and $values.apiKeys.externalSecret.storeName $values.apiKeys.externalSecret.remoteKey)) -}}
{{- $wrong = append $wrong "apiKeys.source is externalSecret: set apiKeys.externalSecret.storeName and remoteKey." -}}
{{- end -}}
{{- if and (eq $values.serviceAccount.identity "irsa") (not $values.serviceAccount.roleArn) -}}
{{- $wrong = append $wrong "serviceAccount.identity is irsa: set serviceAccount.roleArn." -}}
{{- end -}}
{{- if and $values.serviceAccount.roleArn (ne $values.serviceAccount.identity "irsa") -}}
{{- $wrong = append $wrong "serviceAccount.roleArn is set: set serviceAccount.identity to irsa, or remove it (Pod Identity takes its role from the association in EKS)." -}}
{{- end -}}
{{- if and $values.autoscaling.enabled (gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas)) -}}
{{- $wrong = append $wrong "autoscaling.minReplicas is more than autoscaling.maxReplicas." -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\nThese values do not fit together:\n- %s\n" (join "\n- " $wrong)) -}}
{{- end -}}
{{- end -}}
