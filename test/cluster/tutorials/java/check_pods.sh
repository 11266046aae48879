#!/usr/bin/env bash
# Waits until the first pod of a service is ready: the patient form of the later tutorials.
for ((waited = 0; waited <= 127; waited++)); do
  POD=$(kubectl get pods --namespace "$ns" -l "app.kubernetes.io/name=$APP_NAME,app.kubernetes.io/instance=$RELEASE" -o jsonpath="{.items[0].metadata.name}" 2>/dev/null)
  [ "$(kubectl get pod "$POD" --namespace "$ns" -o jsonpath='{.status.containerStatuses[0].ready}' 2>/dev/null)" != true ] || exit 0
  sleep 5
done
echo "$APP_NAME is not ready" >&2
exit 1
