/**
 * Helm templates of the built-in service chart (manifests section 12). Every service of an application gets a copy, so that the chart installs
 * without repository access. The names in `_names.tpl` are the same in all copies, which Helm requires: they are global.
 */
const NAMES = `{{- define "vouchsafe.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "vouchsafe.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | lower | replace "_" "-" | replace "." "-" | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "vouchsafe.selector" -}}
app.kubernetes.io/name: {{ include "vouchsafe.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "vouchsafe.labels" -}}
{{ include "vouchsafe.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- end -}}

{{- /*
  Which keys a pod has: they come from its policy in its CAS. A Service leads only to pods of the policy that the chart names, or a release that is
  given other policies would bring its new pods together with the old ones, whose certificates come from other authorities.
*/}}
{{- define "vouchsafe.policy" -}}
vouchsafe.dev/policy-id: {{ printf "%s %s" (default "" .Values.scone.cas_key) (regexReplaceAll "@.*$" .Values.scone.api_session "") | sha256sum | trunc 32 | quote }}
{{- end -}}

{{- define "vouchsafe.account" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "vouchsafe.fullname" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- /* Name of a volume as an object's name: the context is the volume's name. */}}
{{- define "vouchsafe.volume" -}}
{{- . | lower | replace "_" "-" | replace "." "-" | trunc 50 | trimAll "-" -}}
{{- end -}}

{{- define "vouchsafe.wait" -}}
image: {{ .platformImage | quote }}
imagePullPolicy: IfNotPresent
command: ["/vouchsafe/bin/wait-for"]
args: [{{ .host | quote }}, {{ .port | toString | quote }}]
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
{{- end -}}
`;

const POD = `{{- define "vouchsafe.pod" -}}
metadata:
  labels:
    {{- include "vouchsafe.labels" . | nindent 4 }}
    {{- include "vouchsafe.policy" . | nindent 4 }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "vouchsafe.account" . | quote }}
  automountServiceAccountToken: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- /* No root and no capability: the runtime hides secrets in a user namespace, which the profile of the node agent allows (Pod Security "restricted"). */}}
  {{- $profile := dict "type" "Localhost" "localhostProfile" "vouchsafe/runtime.json" }}
  securityContext:
    {{- toYaml (mergeOverwrite (dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 "seccompProfile" $profile) (default dict .Values.podSecurityContext)) | nindent 4 }}
  restartPolicy: {{ .Values.jobs.restartPolicy }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- $root := . }}
  {{- $waits := list }}
  {{- range $name := list "container1" "container2" }}
  {{- $container := index $root.Values.initContainers $name }}
  {{- if and $container $container.enabled }}
  {{- $waits = append $waits (dict "host" $container.host "port" $container.port) }}
  {{- end }}
  {{- end }}
  {{- range .Values.initContainers.waitFor }}
  {{- $host := .host | default (printf "%s-%s" $root.Release.Name .service | lower | replace "_" "-" | replace "." "-" | trunc 63 | trimSuffix "-") }}
  {{- $waits = append $waits (dict "host" $host "port" .port) }}
  {{- end }}
  {{- with $waits }}
  initContainers:
    {{- range $index, $wait := . }}
    - name: wait-{{ $index }}
      {{- include "vouchsafe.wait" (dict "platformImage" $root.Values.global.vouchsafe.platformImage "host" $wait.host "port" $wait.port) | nindent 6 }}
    {{- end }}
  {{- end }}
  containers:
    - name: api
      image: {{ .Values.image | quote }}
      imagePullPolicy: {{ .Values.imagePullPolicy }}
      command:
        {{- toYaml .Values.scone.command | nindent 8 }}
      securityContext:
        {{- toYaml (mergeOverwrite (dict "allowPrivilegeEscalation" false "capabilities" (dict "drop" (list "ALL"))) (default dict .Values.securityContext)) | nindent 8 }}
      env:
        - {name: SCONE_CONFIG_ID, value: {{ .Values.scone.api_session | quote }}}
        - {name: SCONE_CAS_ADDR, value: {{ .Values.scone.cas | quote }}}
        - name: SCONE_LAS_ADDR
          valueFrom:
            fieldRef:
              fieldPath: status.hostIP
        - {name: SCONE_LOG, value: {{ .Values.scone.scone_log | toString | quote }}}
        - {name: SCONE_VERSION, value: {{ .Values.scone.scone_version | toString | quote }}}
        - {name: SCONE_EDMM_MODE, value: auto}
        {{- with .Values.scone.cas_key }}
        - {name: VOUCHSAFE_CAS_KEY, value: {{ . | quote }}}
        {{- end }}
        {{- if .Values.service.port }}
        - {name: VOUCHSAFE_SERVICE_PORT, value: {{ .Values.service.port | toString | quote }}}
        {{- /* Within the grace period, and with a second left for the program itself. */}}
        {{- $drain := min (int .Values.drainSeconds) (max 0 (sub (int .Values.terminationGracePeriodSeconds) 1)) }}
        - {name: VOUCHSAFE_DRAIN_SECONDS, value: {{ $drain | toString | quote }}}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.service.port }}
      ports:
        - {name: api, containerPort: {{ . }}, protocol: TCP}
      {{- end }}
      {{- if eq .Values.readiness.mode "tcp" }}
      readinessProbe:
        tcpSocket:
          port: {{ .Values.readiness.port }}
        periodSeconds: 2
        failureThreshold: 3
      {{- else if eq .Values.readiness.mode "launcher" }}
      {{- /* The launcher makes this file when the program was attested, started, and listens on the port of its Service. Asked often until then, rarely afterwards: each question starts a process. */}}
      startupProbe:
        exec:
          command: ["/usr/bin/test", "-e", "/run/vouchsafe/ready"]
        periodSeconds: 2
        timeoutSeconds: 10
        failureThreshold: 150
      readinessProbe:
        exec:
          command: ["/usr/bin/test", "-e", "/run/vouchsafe/ready"]
        periodSeconds: 15
        timeoutSeconds: 10
        failureThreshold: 2
      {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - {name: vouchsafe-state, mountPath: /run/vouchsafe}
        {{- range $name, $volume := .Values.volumes }}
        - {name: {{ printf "volume-%s" (include "vouchsafe.volume" $name) | quote }}, mountPath: {{ $volume.mountPath | quote }}}
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - {name: vouchsafe-state, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
    {{- range $name, $volume := .Values.volumes }}
    - name: {{ printf "volume-%s" (include "vouchsafe.volume" $name) | quote }}
      {{- if or $volume.existingClaim $volume.size }}
      persistentVolumeClaim:
        claimName: {{ $volume.existingClaim | default (printf "%s-%s" (include "vouchsafe.fullname" $root) (include "vouchsafe.volume" $name)) | quote }}
      {{- else }}
      emptyDir: {}
      {{- end }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
`;

const WORKLOAD = `{{- if (default dict .Values.persistence).enabled }}
{{- fail "persistence.enabled is true: this release cannot keep a program's files encrypted on a volume, so its state is in memory" }}
{{- end }}
{{- $kind := .Values.workloadKind -}}
{{- if eq $kind "job" }}
apiVersion: batch/v1
kind: Job
{{- else if eq $kind "statefulset" }}
apiVersion: apps/v1
kind: StatefulSet
{{- else }}
apiVersion: apps/v1
kind: Deployment
{{- end }}
metadata:
  name: {{ include "vouchsafe.fullname" . | quote }}
  labels:
    {{- include "vouchsafe.labels" . | nindent 4 }}
spec:
  {{- if ne $kind "job" }}
  replicas: {{ .Values.replicaCount }}
  selector:
    matchLabels:
      {{- include "vouchsafe.selector" . | nindent 6 }}
  {{- end }}
  {{- if eq $kind "deployment" }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  {{- end }}
  {{- if eq $kind "statefulset" }}
  serviceName: {{ include "vouchsafe.fullname" . | quote }}
  {{- end }}
  template:
    {{- include "vouchsafe.pod" . | nindent 4 }}
`;

const SERVICE = `{{- if .Values.service.port }}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "vouchsafe.fullname" . | quote }}
  labels:
    {{- include "vouchsafe.labels" . | nindent 4 }}
  {{- with .Values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .Values.service.type }}
  {{- with .Values.service.loadBalancerIP }}
  loadBalancerIP: {{ . | quote }}
  {{- end }}
  selector:
    {{- include "vouchsafe.selector" . | nindent 4 }}
    {{- include "vouchsafe.policy" . | nindent 4 }}
  ports:
    - name: api
      port: {{ .Values.service.port }}
      targetPort: api
      protocol: TCP
      {{- with .Values.service.nodePort }}
      nodePort: {{ . }}
      {{- end }}
{{- end }}
`;

const INGRESS = `{{- if and .Values.ingress.enabled .Values.service.port }}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ include "vouchsafe.fullname" . | quote }}
  labels:
    {{- include "vouchsafe.labels" . | nindent 4 }}
  {{- with .Values.ingress.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .Values.ingress.tls }}
  tls:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    {{- $root := . }}
    {{- range .Values.ingress.hosts }}
    - host: {{ . | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "vouchsafe.fullname" $root | quote }}
                port:
                  name: api
    {{- end }}
{{- end }}
`;

const CLAIMS = `{{- $root := . }}
{{- range $name, $volume := .Values.volumes }}
{{- if and $volume.size (not $volume.existingClaim) }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ printf "%s-%s" (include "vouchsafe.fullname" $root) (include "vouchsafe.volume" $name) | quote }}
  labels:
    {{- include "vouchsafe.labels" $root | nindent 4 }}
spec:
  accessModes:
    {{- toYaml ($volume.accessModes | default (list "ReadWriteOnce")) | nindent 4 }}
  {{- with $volume.storageClass }}
  storageClassName: {{ if eq . "-" }}""{{ else }}{{ . | quote }}{{ end }}
  {{- end }}
  resources:
    requests:
      storage: {{ $volume.size | quote }}
{{- end }}
{{- end }}
`;

const ACCOUNT = `{{- if and .Values.serviceAccount.create (not .Values.serviceAccount.name) }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "vouchsafe.account" . | quote }}
  labels:
    {{- include "vouchsafe.labels" . | nindent 4 }}
  {{- with .Values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
`;

const NETWORK = `{{- if .Values.networkPolicy.enabled }}
{{- $isOpen := or (not .Values.networkPolicy.clients) (ne .Values.service.type "ClusterIP") .Values.ingress.enabled }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "vouchsafe.fullname" . | quote }}
  labels:
    {{- include "vouchsafe.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "vouchsafe.selector" . | nindent 6 }}
  policyTypes:
    - Ingress
    {{- if .Values.networkPolicy.restrictEgress }}
    - Egress
    {{- end }}
  {{- if .Values.service.port }}
  ingress:
    - ports:
        - {port: api, protocol: TCP}
      {{- if not $isOpen }}
      from:
        - podSelector:
            matchLabels:
              app.kubernetes.io/instance: {{ .Release.Name | quote }}
            matchExpressions:
              - key: app.kubernetes.io/name
                operator: In
                values:
                  {{- toYaml .Values.networkPolicy.clients | nindent 18 }}
        - podSelector:
            matchLabels:
              app.kubernetes.io/instance: {{ .Release.Name | quote }}
              vouchsafe.dev/test: connection
        {{- with .Values.networkPolicy.from }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
  {{- else }}
  ingress: []
  {{- end }}
  {{- if .Values.networkPolicy.restrictEgress }}
  egress:
    - ports:
        - {port: 53, protocol: UDP}
        - {port: 53, protocol: TCP}
        # CAS and node agent, wherever they are.
        - {port: 8081, protocol: TCP}
        - {port: 18765, protocol: TCP}
        - {port: 18766, protocol: TCP}
    - to:
        - podSelector:
            matchLabels:
              app.kubernetes.io/instance: {{ .Release.Name | quote }}
        {{- with .Values.networkPolicy.to }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  {{- end }}
{{- end }}
`;

const TEST = `{{- if and .Values.tests.enabled .Values.service.port }}
apiVersion: v1
kind: Pod
metadata:
  name: {{ printf "%s-test" (include "vouchsafe.fullname" . | trunc 58 | trimSuffix "-") | quote }}
  labels:
    app.kubernetes.io/name: {{ printf "%s-test" (include "vouchsafe.name" . | trunc 58 | trimSuffix "-") | quote }}
    app.kubernetes.io/instance: {{ .Release.Name | quote }}
    vouchsafe.dev/test: connection
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  restartPolicy: Never
  activeDeadlineSeconds: 120
  automountServiceAccountToken: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: connect
      {{- include "vouchsafe.wait" (dict "platformImage" .Values.global.vouchsafe.platformImage "host" (include "vouchsafe.fullname" .) "port" .Values.service.port) | nindent 6 }}
{{- end }}
`;

/** Templates by path relative to the chart. */
export const SERVICE_CHART_TEMPLATES: ReadonlyMap<string, string> = new Map([
  ["templates/_names.tpl", NAMES],
  ["templates/_pod.tpl", POD],
  ["templates/workload.yaml", WORKLOAD],
  ["templates/service.yaml", SERVICE],
  ["templates/ingress.yaml", INGRESS],
  ["templates/claims.yaml", CLAIMS],
  ["templates/account.yaml", ACCOUNT],
  ["templates/network.yaml", NETWORK],
  ["templates/tests/connection.yaml", TEST],
]);
