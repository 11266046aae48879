/** The Java releases whose images are built: those that a stable Debian release maintains. */
export const JAVA_KINDS = ["java17", "java21"] as const;
export type JavaKind = (typeof JAVA_KINDS)[number];

export const isJavaKind = (kind: string): kind is JavaKind => JAVA_KINDS.some((each) => each === kind);

interface JavaBase {
  readonly kind: "debian";
  readonly packages: readonly string[];
  readonly suite: string;
}

/** The whole base comes from the release that has the virtual machine, so that its C library fits. */
const BASES: Readonly<Record<JavaKind, JavaBase>> = {
  java17: { kind: "debian", packages: ["openjdk-17-jre-headless"], suite: "bookworm" },
  java21: { kind: "debian", packages: ["openjdk-21-jre-headless"], suite: "trixie" },
};

/** The base of an image that runs Java programs: OpenJDK without desktop parts. */
export const javaBase = (kind: JavaKind): JavaBase => BASES[kind];

/**
 * Programs of OpenJDK beside `java` itself. Each starts a virtual machine and takes options for it (`keytool -J-javaagent:…`), so none is part of an
 * image (MF-68).
 */
export const JAVA_TOOLS = /^\/usr\/lib\/jvm\/[^/]+\/(?:bin\/(?!java$).+|lib\/jexec)$/;

/** Runs in the new root, where it has a virtual machine: Debian makes the link in a maintainer script. */
export const PREPARE_JAVA = `
for home in /usr/lib/jvm/*; do
  if [ ! -L "$home" ] && [ -x "$home/bin/java" ]; then ln -s "$home/bin/java" /usr/bin/java; fi
done
`;

/** Where the virtual machines of Debian look for the certificates that they trust. */
export const JAVA_TRUST_STORE = "/etc/ssl/certs/java/cacerts";
