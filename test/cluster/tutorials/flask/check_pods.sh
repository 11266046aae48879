#!/usr/bin/env bash
# Waits until the first pod of a service is ready.
NAMESPACE=${ns:-default}
APP_NAME=${APP_NAME:-flask}
RELEASE=${RELEASE:-flaskredis}
waits=31

is_ready() {
  POD=$(kubectl get pods --namespace $NAMESPACE -l "app.kubernetes.io/name=$APP_NAME,app.kubernetes.io/instance=$RELEASE" -o jsonpath="{.items[0].metadata.name}")
  [ "$(kubectl get pod $POD -o jsonpath='{.status.containerStatuses[0].ready}')" = true ]
}
for ((waited = 0; ; waited++)); do
  if is_ready; then echo "$APP_NAME is ready"; exit 0; fi
  [ $waited -lt $waits ] || { echo "$APP_NAME is not ready after $((waits * 5)) s" >&2; exit 1; }
  sleep 5
done
