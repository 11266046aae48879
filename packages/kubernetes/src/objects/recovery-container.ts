import { RESTRICTED_CONTAINER } from "./platform-object.ts";

/** Annotation of a CAS resource: the database shall be replaced by the snapshot with this name, which `kubectl provision` brings. */
export const RECOVERY_ANNOTATION = "vouchsafe.dev/database-recovery";
export const RECOVERY_CONTAINER = "recover";
export const isRecoveryId = (text: string): boolean => /^[0-9a-f]{16}-[0-9a-f]{8}$/.test(text);

/** Where the files of a snapshot are put, below the database's volume. */
export const recoveryDirectory = (mountPath: string, id: string): string => `${mountPath}/recovery-${id}`;

const WAIT_SECONDS = 1_800;

/*
 * Each step can be repeated after a crash: the former files are moved aside once, copies get their name when they are complete, and the last thing is
 * the mark that ends it all. "$1": mount path, "$2": recovery id, then the names of the files.
 */
const SCRIPT = `set -eu
cd "$1"; id=$2; shift 2
new=recovery-$id before=before-$id
[ ! -e "$before/recovered" ] || exit 0
echo "waiting for the snapshot of the recovery $id"
waited=0
until [ -e "$new/complete" ]; do
  waited=$((waited + 1))
  [ $waited -le ${WAIT_SECONDS} ] || { echo "no snapshot arrived within ${WAIT_SECONDS} s" >&2; exit 1; }
  sleep 1
done
mkdir -p "$before"
if [ ! -e "$before/moved" ]; then
  for file in cas.db cas.db-wal cas.db-shm cas.key-store; do [ ! -e "$file" ] || mv "$file" "$before/$file"; done
  : >"$before/moved"
fi
for file; do
  [ -e "$new/$file" ] || continue
  if [ "$file" = platform.key ] && [ -e platform.key ] && [ ! -e "$before/platform.key" ]; then cp -p platform.key "$before/platform.key"; fi
  cp "$new/$file" "$file.part" && chmod 600 "$file.part" && mv "$file.part" "$file"
done
sync
: >"$before/recovered"
rm -rf "$new"
echo "the database is that of the snapshot; the former files are in $before"
`;

/** Runs before the CAS: waits for the files of the snapshot and puts them in the place of the database. */
export function recoveryContainer(
  id: string,
  options: { readonly image: string; readonly imagePullPolicy: string; readonly mountPath: string; readonly files: readonly string[] },
): object {
  return {
    name: RECOVERY_CONTAINER,
    image: options.image,
    imagePullPolicy: options.imagePullPolicy,
    command: ["/bin/sh", "-c", SCRIPT, "recover", options.mountPath, id, ...options.files],
    securityContext: RESTRICTED_CONTAINER,
    resources: { requests: { cpu: "10m", memory: "16Mi" } },
    volumeMounts: [{ name: "database", mountPath: options.mountPath }],
  };
}
