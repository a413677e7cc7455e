{{- define "delivr.labels" -}}
app.kubernetes.io/name: delivr
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* Takes (dict "root" $ "process" "web"). */ -}}
{{- define "delivr.selector" -}}
app.kubernetes.io/name: delivr
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .process }}
{{- end }}

{{- /* What all pods share. Takes (dict "root" $). */ -}}
{{- define "delivr.pod" -}}
automountServiceAccountToken: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
terminationGracePeriodSeconds: 60
volumes:
  - name: tmp
    emptyDir: {}
{{- end }}

{{- /* What all containers share. Takes (dict "root" $ "secret" "name"). */ -}}
{{- define "delivr.container" -}}
image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: tmp
    mountPath: /tmp
envFrom:
  - secretRef:
      name: {{ .secret }}
env:
  - name: BASE_URL
    value: "https://{{ .root.Values.host }}"
  - name: ALLOWED_HOSTS
    value: "{{ .root.Values.host }},localhost,{{ .root.Release.Name }}-web"
  - name: LIVE_BIND
    value: "0.0.0.0:8001"
  - name: LIVE_EVENTS
    value: {{ if gt (int .root.Values.live.replicas) 0 }}"1"{{ else }}"0"{{ end }}
  {{- range $name, $value := .root.Values.settings }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
{{- end }}

{{- /* A process that serves nothing. Takes (dict "root" $ "process" "worker" "command" "…"). */ -}}
{{- define "delivr.background" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .root.Release.Name }}-{{ .process }}
  labels:
    {{- include "delivr.labels" .root | nindent 4 }}
spec:
  {{- $own := index .root.Values .process }}
  {{- if not (dig "autoscaling" "enabled" false $own) }}
  replicas: {{ $own.replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "delivr.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "delivr.selector" . | nindent 8 }}
    spec:
      {{- include "delivr.pod" . | nindent 6 }}
      containers:
        - name: {{ .process }}
          command: {{ splitList " " .command | toJson }}
          resources: {{ toJson $own.resources }}
          {{- include "delivr.container" (dict "root" .root "secret" .root.Values.secretName) | nindent 10 }}
{{- end }}

{{- /* Takes (dict "root" $ "process" "web"). */ -}}
{{- define "delivr.scaling" -}}
{{- $own := index .root.Values .process }}
{{- if $own.autoscaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ .root.Release.Name }}-{{ .process }}
  labels:
    {{- include "delivr.labels" .root | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ .root.Release.Name }}-{{ .process }}
  minReplicas: {{ $own.autoscaling.min }}
  maxReplicas: {{ $own.autoscaling.max }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $own.autoscaling.cpu }}
{{- end }}
{{- end }}

{{- /* At most one pod of a process is taken away at a time. Takes (dict "root" $ "process" "web"). */ -}}
{{- define "delivr.disruption" }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .root.Release.Name }}-{{ .process }}
  labels:
    {{- include "delivr.labels" .root | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "delivr.selector" . | nindent 6 }}
{{- end }}
