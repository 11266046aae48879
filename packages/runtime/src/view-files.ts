import { dirname } from "node:path";
import type { TreeEntry } from "@vouchsafe/fileshield";
import { step } from "@vouchsafe/linux";
import { type LayoutStep, plain, writtenFile } from "./layout.ts";

/** Directories above `path` that are not among `known`, from the root down; they may exist. */
function parentDirectories(path: string, known: Set<string>): LayoutStep[] {
  const missing: string[] = [];
  for (let parent = dirname(path); parent !== "/" && !known.has(parent); parent = dirname(parent)) missing.unshift(parent);
  for (const parent of missing) known.add(parent);
  return plain(...missing.map((parent) => step.optional(step.makeDirectory(parent, 0o755))));
}

/** Writes the decrypted tree into the view. Everything belongs to root and can be read by the program, as copied files of any image. */
export function treeFiles(entries: readonly TreeEntry[]): LayoutStep[] {
  const known = new Set<string>();
  return entries.flatMap((entry) => {
    const parents = parentDirectories(entry.path, known);
    if (entry.kind === "file") return [...parents, ...writtenFile(entry.path, entry.bytes, entry.mode)];
    if (entry.kind === "link") return [...parents, ...plain(step.makeLink(entry.path, entry.target))];
    const made = [step.optional(step.makeDirectory(entry.path, 0o755)), step.changeMode(entry.path, entry.mode)];
    return [...parents, ...plain(...made)];
  });
}

export interface InjectedFile {
  readonly path: string;
  readonly content: Uint8Array;
  readonly permission: number;
}

/** Writes an injected file for its owner. `isMounted`: the view has a mount of the container at its place, which goes. */
export function injectedFile(
  { path, content, permission }: InjectedFile,
  owner: { readonly uid: number; readonly gid: number },
  isMounted: boolean,
): LayoutStep[] {
  return [
    ...parentDirectories(path, new Set()),
    ...plain(...(isMounted ? [step.detach(path)] : [])),
    { step: step.receiveFile(path, content.length), content },
    ...plain(step.changeOwner(path, owner.uid, owner.gid), step.changeMode(path, permission)),
  ];
}
