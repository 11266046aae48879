/** Flags of mount(2). */
export const MOUNT_FLAGS = {
  readOnly: 1n,
  noSetUserId: 2n,
  noDevices: 4n,
  noExecute: 8n,
  remount: 32n,
  bind: 4096n,
  recursive: 16_384n,
  private: 1n << 18n,
} as const;
export type MountFlag = keyof typeof MOUNT_FLAGS;
