import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeListing } from "@vouchsafe/fileshield";
import { judgeMounts } from "./judge-mounts.ts";
import { type Mount, parseMountTable } from "./mount-table.ts";
import { judgeOwnMounts } from "./own-mounts.ts";
import { planParents } from "./parents.ts";
import { planView } from "./view-plan.ts";

const mount = (target: string, type = "tmpfs"): Mount => ({ target, type, root: "/", options: new Set(["rw"]) });
const directory = { kind: "directory", uid: 0, gid: 0, mode: 0o755 } as const;
const file = { ...directory, kind: "file" } as const;

test("hazard I7: an emptyDir becomes memory where the image's list has nothing, and is refused where it has files or there is no list", () => {
  const listing = encodeListing([{ kind: "file", path: "/app/code/main.py", mode: 0o644, size: 1, digest: new Uint8Array(32) }]);
  const judge = (target: string, { hasList = true, isDirectory = true } = {}) => {
    const read = () => (hasList ? listing : assert.fail("no list"));
    const places = {
      read,
      status: () => (isDirectory ? directory : file),
      list: () => [],
      readLink: () => "",
      resolve: (path: string) => path,
    };
    return judgeOwnMounts({ mounts: [mount(target)], ...places }, { hostPaths: [] }).memory.includes(target);
  };
  assert.equal(judge("/data"), true);
  for (const target of ["/app", "/app/code"]) assert.throws(() => judge(target), { code: "R-VIEW" }, target);
  assert.throws(() => judge("/data", { hasList: false }), { code: "R-VIEW" });
  assert.throws(() => judge("/data", { isDirectory: false }), { code: "R-VIEW" });
});

test("hazard I7: a path that the image leaves to the host is shown also where programs write by custom", () => {
  const places = { isDirectory: (path: string) => path !== "/etc/hosts", mayHideImage: () => true };
  const { shown, memory } = judgeMounts([mount("/tmp", "ext4")], ["/tmp"], places);
  assert.deepEqual([[...shown], memory.includes("/tmp")], [["/tmp"], false]);
  assert.deepEqual(judgeMounts([mount("/run/.containerenv", "overlay")], [], places).warnings, []);
  assert.deepEqual([...judgeMounts([mount("/etc/hosts", "ext4")], [], places).shown], ["/etc/hosts"]);
  assert.throws(() => judgeMounts([mount("/etc/hosts", "ext4")], [], { ...places, isDirectory: () => true }), { code: "R-VIEW" });
});

test("of several mounts on one target the last counts, at its own place in the order", () => {
  const line = (target: string, type: string) => `1 0 0:1 / ${target} rw - ${type} none rw\n`;
  const mounts = parseMountTable(line("/a", "ext4") + line("/b", "ext4") + line("/a", "tmpfs"));
  assert.deepEqual(
    mounts.map(({ target, type }) => [target, type]),
    [
      ["/b", "ext4"],
      ["/a", "tmpfs"],
    ],
  );
});

test("the view says which mounts are directories, and takes only directories for memory or for what holds mounts", () => {
  const status = (path: string) => (path === "/socket" ? undefined : path === "/file" || path === "/shown" ? file : directory);
  const files = {
    mounts: [mount("/socket/x")],
    list: (path: string) => (path === "/" ? ["file", "shown", "shown-directory", "socket"] : []),
    status,
  };
  const judged = { shown: new Set(["/shown", "/shown-directory"]), memory: ["/file"], warnings: [] };
  assert.deepEqual(planView(files, judged), [
    { kind: "file", path: "/file" },
    { kind: "mount", path: "/shown", isDirectory: false },
    { kind: "mount", path: "/shown-directory", isDirectory: true },
  ]);
});

test("the parents of paths are all directories above them but the root", () => {
  assert.deepEqual([...planParents(["/a/b/c", "/a/d", "/e", "relative/f"])], ["/a/b", "/a", "relative"]);
});
